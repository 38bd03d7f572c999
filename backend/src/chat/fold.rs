//! What an edit, a deletion or a reaction does to the message it is about.
//!
//! The log is the truth; a message as history shows it is the fold of the entries that refer to it, in the order of their seqs. Every
//! store and every cache of messages uses this one function. It forgives what a race may put into the log: nothing changes a deleted message.

use super::message::{Entry, Marks, Message, Reactions};

/// Applies `change` to `target`. Changes must come in the order of their seqs; one that is about something else does nothing.
pub fn apply(target: &mut Message, change: &Message) {
    let is_about = target.room == change.room
        && change.entry.ref_seq() == Some(target.seq)
        && change.seq > target.seq;
    let Entry::Message { content, .. } = &mut target.entry else {
        return;
    };
    if !is_about || target.marks.deleted_at_ms.is_some() {
        return;
    }
    match &change.entry {
        Entry::Edit { content: new, .. } => {
            content.clone_from(new);
            target.marks.edited_at_ms = Some(change.timestamp_ms);
        }
        Entry::Delete { .. } => {
            content.clear();
            target.marks = Marks {
                edited_at_ms: target.marks.edited_at_ms,
                deleted_at_ms: Some(change.timestamp_ms),
                reactions: Vec::new(),
            };
        }
        Entry::Reaction { emoji, added, .. } => {
            react(
                &mut target.marks.reactions,
                emoji,
                &change.sender.id,
                *added,
            );
        }
        Entry::Message { .. } | Entry::System { .. } => {}
    }
}

fn react(reactions: &mut Vec<Reactions>, emoji: &str, user: &str, added: bool) {
    match reactions.iter_mut().find(|one| one.emoji == emoji) {
        Some(one) => {
            let has_reacted = one.users.iter().any(|id| id == user);
            if added && !has_reacted {
                one.users.push(user.to_owned());
            } else if !added {
                one.users.retain(|id| id != user);
            }
        }
        None if added => reactions.push(Reactions {
            emoji: emoji.to_owned(),
            users: vec![user.to_owned()],
        }),
        None => {}
    }
    reactions.retain(|one| !one.users.is_empty());
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::chat::message::{Draft, Place, Sender};
    use crate::chat::room::RoomId;

    fn entry(seq: u64, sender: &str, entry: Entry) -> Message {
        let draft = Draft {
            id: Uuid::from_u128(u128::from(seq)),
            sender: Sender {
                id: sender.to_owned(),
                name: sender.to_owned(),
            },
            client_msg_id: seq.to_string(),
            entry,
            timestamp_ms: i64::try_from(seq).unwrap() * 1000,
        };
        draft.placed(&RoomId::parse("lobby").unwrap(), Place { seq, n: 1 })
    }

    fn said(content: &str) -> Message {
        let said = Entry::Message {
            message_type: "text".to_owned(),
            content: content.to_owned(),
            reply_to: None,
        };
        entry(1, "ann", said)
    }

    fn edit(seq: u64, content: &str) -> Message {
        let content = content.to_owned();
        entry(
            seq,
            "ann",
            Entry::Edit {
                ref_seq: 1,
                content,
            },
        )
    }

    fn reaction(seq: u64, sender: &str, emoji: &str, added: bool) -> Message {
        let emoji = emoji.to_owned();
        entry(
            seq,
            sender,
            Entry::Reaction {
                ref_seq: 1,
                emoji,
                added,
            },
        )
    }

    /// The content, the marks and the reactions as `emoji:users`.
    fn folded(changes: &[Message]) -> (String, Option<i64>, Option<i64>, String) {
        let mut target = said("helo");
        for change in changes {
            apply(&mut target, change);
        }
        let reactions: Vec<String> = target
            .marks
            .reactions
            .iter()
            .map(|one| format!("{}:{}", one.emoji, one.users.join(",")))
            .collect();
        let content = target.entry.text().to_owned();
        let Marks {
            edited_at_ms,
            deleted_at_ms,
            ..
        } = target.marks;
        (content, edited_at_ms, deleted_at_ms, reactions.join(" "))
    }

    #[test]
    fn the_last_edit_is_what_is_said() {
        let shown = folded(&[edit(2, "hell"), edit(3, "hello")]);
        assert_eq!(shown, ("hello".to_owned(), Some(3000), None, String::new()));
    }

    #[test]
    fn a_deleted_message_has_nothing_left_and_stays_so() {
        let deleted = entry(3, "ann", Entry::Delete { ref_seq: 1 });
        let shown = folded(&[
            reaction(2, "bob", "👍", true),
            deleted,
            edit(4, "still here"),
            reaction(5, "bob", "👍", true),
            entry(6, "ann", Entry::Delete { ref_seq: 1 }),
        ]);
        assert_eq!(shown, (String::new(), None, Some(3000), String::new()));
    }

    #[test]
    fn a_reaction_counts_once_per_user_and_can_be_taken_back() {
        let shown = folded(&[
            reaction(2, "bob", "👍", true),
            reaction(3, "cat", "👍", true),
            reaction(4, "bob", "👍", true),
            reaction(5, "bob", "🎉", true),
            reaction(6, "cat", "👍", false),
            reaction(7, "bob", "🎉", false),
            reaction(8, "dan", "🎉", false),
        ]);
        assert_eq!(shown.3, "👍:bob");
    }

    #[test]
    fn what_is_about_something_else_changes_nothing() {
        let mut target = said("hello");
        let mut elsewhere = edit(2, "other room");
        elsewhere.room = RoomId::parse("garden").unwrap();
        let mut other = edit(3, "other message");
        other.entry = Entry::Edit {
            ref_seq: 2,
            content: "other message".to_owned(),
        };
        let mut before = edit(1, "before it was said");
        before.seq = 0;
        for change in [elsewhere, other, before, said("again")] {
            apply(&mut target, &change);
        }
        assert_eq!(target, said("hello"));
        let mut change = edit(2, "x");
        apply(&mut change, &edit(3, "y"));
        assert_eq!(change, edit(2, "x"));
    }
}
