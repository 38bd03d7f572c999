use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::chat::limits::TokenBucket;
use crate::chat::message::{Place, Reactions};
use crate::chat::room::RoomId;

const SENT_MS: i64 = 1_700_000_000_000;

fn limits() -> Limits {
    Limits {
        content_bytes_max: 16,
        messages_per_second_max: 1,
        messages_burst_max: 2,
        user_messages_per_second_max: 1,
        user_messages_burst_max: 2,
        rooms_per_socket_max: 10,
        page_messages_max: 200,
        join_messages_default: 50,
        edit_window: Duration::from_secs(60),
        reactions_per_message_max: 3,
        emojis_per_message_max: 2,
    }
}

fn person(id: &str) -> Sender {
    Sender {
        id: id.to_owned(),
        name: id.to_owned(),
    }
}

/// What ann said.
fn target() -> Message {
    let draft = Draft {
        id: Uuid::from_u128(1),
        sender: person("ann"),
        client_msg_id: "c1".to_owned(),
        entry: Entry::Message {
            message_type: "text".to_owned(),
            content: "helo".to_owned(),
            reply_to: None,
        },
        timestamp_ms: SENT_MS,
    };
    draft.placed(
        &RoomId::parse("lobby").unwrap(),
        Place::default().next(&Entry::Delete { ref_seq: 1 }),
    )
}

fn deleted() -> Message {
    let mut target = target();
    target.marks.deleted_at_ms = Some(SENT_MS + 1);
    target
}

fn edit(content: &str) -> Deed {
    Deed::Edit {
        content: content.to_owned(),
    }
}

fn react(emoji: &str) -> Deed {
    Deed::React {
        emoji: emoji.to_owned(),
        added: true,
    }
}

/// The entry, or the code of the refusal, for `who` after `seconds`.
fn asked(deed: Deed, target: Option<&Message>, who: &str, seconds: i64) -> Result<Entry, Code> {
    let limits = limits();
    let moment = Moment {
        monotonic: crate::clock::monotonic(),
        unix_ms: SENT_MS + seconds * 1000,
        id: Uuid::from_u128(7),
    };
    let mut connection = TokenBucket::full(limits.connection_rate(), moment.monotonic);
    let mut user = connection;
    let buckets = Buckets {
        connection: &mut connection,
        user: &mut user,
    };
    let change = Change {
        ref_seq: 1,
        deed,
        client_msg_id: None,
    };
    let asker = Asker {
        sender: &person(who),
        is_member: who != "stranger",
        is_moderator: who == "moderator",
    };
    admit(change, target, asker, (&limits, buckets), moment)
        .map(|draft| draft.entry)
        .map_err(|refusal| refusal.code)
}

#[test]
fn authors_edit_what_they_said_for_a_while() {
    let content = "hello".to_owned();
    let edited = Entry::Edit {
        ref_seq: 1,
        content,
    };
    assert_eq!(
        asked(edit("hello"), Some(&target()), "ann", 60),
        Ok(edited.clone())
    );
    // A server whose clock is behind has sent it in the future.
    assert_eq!(
        asked(edit("hello"), Some(&target()), "ann", -60),
        Ok(edited)
    );
    assert_eq!(
        asked(edit("hello"), Some(&target()), "ann", 61),
        Err(Code::Forbidden)
    );
    for who in ["bob", "moderator"] {
        assert_eq!(
            asked(edit("hello"), Some(&target()), who, 1),
            Err(Code::Forbidden)
        );
    }
    assert_eq!(
        asked(edit(""), Some(&target()), "ann", 1),
        Err(Code::BadRequest)
    );
    let long = "x".repeat(17);
    assert_eq!(
        asked(edit(&long), Some(&target()), "ann", 1),
        Err(Code::PayloadTooLarge)
    );
}

#[test]
fn authors_and_moderators_delete_at_any_time() {
    for who in ["ann", "moderator"] {
        let entry = Entry::Delete { ref_seq: 1 };
        assert_eq!(
            asked(Deed::Delete, Some(&target()), who, 1_000_000),
            Ok(entry.clone())
        );
        // A deletion that is sent again finds its own.
        assert_eq!(asked(Deed::Delete, Some(&deleted()), who, 2), Ok(entry));
    }
    assert_eq!(
        asked(Deed::Delete, Some(&target()), "bob", 1),
        Err(Code::Forbidden)
    );
}

#[test]
fn members_react_within_bounds() {
    assert!(asked(react("👍"), Some(&target()), "bob", 1).is_ok());
    assert_eq!(
        asked(react("👍"), Some(&target()), "stranger", 1),
        Err(Code::NotMember)
    );
    assert_eq!(
        asked(react(""), Some(&target()), "bob", 1),
        Err(Code::BadRequest)
    );
    let mut popular = target();
    let reactions = |emoji: &str, users: &[&str]| Reactions {
        emoji: emoji.to_owned(),
        users: users.iter().map(|user| (*user).to_owned()).collect(),
    };
    popular.marks.reactions = vec![reactions("👍", &["bob"]), reactions("🎉", &["bob"])];
    assert_eq!(
        asked(react("👀"), Some(&popular), "cat", 1),
        Err(Code::Conflict)
    );
    assert!(asked(react("🎉"), Some(&popular), "cat", 1).is_ok());
    popular.marks.reactions[0].users.push("dan".to_owned());
    assert_eq!(
        asked(react("🎉"), Some(&popular), "cat", 1),
        Err(Code::Conflict)
    );
    // Again, and back, are no more than there are.
    assert!(asked(react("🎉"), Some(&popular), "bob", 1).is_ok());
    let back = Deed::React {
        emoji: "🎉".to_owned(),
        added: false,
    };
    assert!(asked(back, Some(&popular), "cat", 1).is_ok());
}

#[test]
fn a_deleted_message_is_not_changed() {
    for deed in [edit("x"), react("👍")] {
        assert_eq!(asked(deed, Some(&deleted()), "ann", 1), Err(Code::Conflict));
    }
}

#[test]
fn only_messages_are_changed() {
    let mut system = target();
    system.entry = Entry::Delete { ref_seq: 1 };
    for target in [None, Some(&system)] {
        for deed in [edit("x"), Deed::Delete, react("👍")] {
            assert_eq!(asked(deed, target, "ann", 1), Err(Code::BadRequest));
        }
    }
}
