//! The behaviours of entries that change others.

use futures_util::future::join_all;

use super::{Fixture, append, draft, drafts, room, said, walk_back, walk_forth};
use crate::chat::message::{Draft, Entry, Marks, Message, Reactions};
use crate::store::{Page, Store};

fn entry(sender: &str, client_msg_id: &str, entry: Entry) -> Draft {
    Draft {
        entry,
        ..draft(sender, client_msg_id, "")
    }
}

fn edit(client_msg_id: &str, ref_seq: u64, content: &str) -> Draft {
    let content = content.to_owned();
    entry("ann", client_msg_id, Entry::Edit { ref_seq, content })
}

fn delete(client_msg_id: &str, ref_seq: u64) -> Draft {
    entry("ann", client_msg_id, Entry::Delete { ref_seq })
}

fn react(sender: &str, client_msg_id: &str, emoji: &str, added: bool) -> Draft {
    let emoji = emoji.to_owned();
    let reaction = Entry::Reaction {
        ref_seq: 1,
        emoji,
        added,
    };
    entry(sender, client_msg_id, reaction)
}

async fn first(store: &dyn Store) -> Message {
    let page = Page::After { after: 0, limit: 1 };
    let history = store.page(&room("lobby"), page).await.unwrap();
    history.messages.into_iter().next().unwrap()
}

pub(in crate::store) async fn every_kind_of_entry_comes_back_as_it_went(
    fixture: &impl Fixture<dyn Store>,
) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    let system = |subject: Option<&str>| Entry::System {
        event: "memberJoined".to_owned(),
        content: "Ann has joined".to_owned(),
        subject: subject.map(str::to_owned),
    };
    let answer = Entry::Message {
        message_type: "text".to_owned(),
        content: "yes".to_owned(),
        reply_to: Some(1),
    };
    let sent = vec![
        draft("ann", "1", "hello?"),
        entry("bob", "2", answer),
        edit("3", 1, "hello!"),
        react("bob", "4", "👍", true),
        react("bob", "5", "👍", false),
        entry("ann", "6", system(Some("ann"))),
        entry("ann", "7", system(None)),
        delete("8", 2),
    ];
    let appended = append(&*store, &lobby, sent.clone()).await;
    let entries: Vec<&Entry> = appended.iter().map(|a| &a.message.entry).collect();
    assert_eq!(
        entries,
        sent.iter().map(|d| &d.entry).collect::<Vec<_>>(),
        "as appended"
    );
    let read = walk_forth(&*fixture.open().await, &lobby, 3).await;
    let unchanged: Vec<&Message> = read[2..].iter().collect();
    assert_eq!(
        unchanged,
        appended[2..].iter().map(|a| &a.message).collect::<Vec<_>>(),
        "as read"
    );
}

pub(in crate::store) async fn pages_show_messages_as_changes_left_them(
    fixture: &impl Fixture<dyn Store>,
) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    append(&*store, &lobby, drafts("ann", 2)).await;
    append(
        &*store,
        &lobby,
        vec![edit("e1", 1, "first try"), react("bob", "r1", "👍", true)],
    )
    .await;
    append(
        &*store,
        &lobby,
        vec![edit("e2", 1, "second try"), react("cat", "r2", "👍", true)],
    )
    .await;
    let expected = Marks {
        edited_at_ms: Some(draft("ann", "", "").timestamp_ms),
        deleted_at_ms: None,
        reactions: vec![Reactions {
            emoji: "👍".to_owned(),
            users: vec!["bob".to_owned(), "cat".to_owned()],
        }],
    };
    let other = fixture.open().await;
    for messages in [
        walk_forth(&*other, &lobby, 1).await,
        walk_back(&*other, &lobby, 4).await,
    ] {
        assert_eq!(messages.len(), 6);
        assert_eq!(messages[0].entry, said("second try"));
        assert_eq!(messages[0].marks, expected);
        assert_eq!(messages[1].marks, Marks::default());
    }
    let back = vec![
        react("bob", "r3", "👍", false),
        react("cat", "r4", "👍", false),
    ];
    append(&*store, &lobby, back).await;
    assert_eq!(first(&*other).await.marks.reactions, []);
}

pub(in crate::store) async fn a_deleted_message_leaves_no_content(
    fixture: &impl Fixture<dyn Store>,
) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    let secret = "a secret that was said by mistake";
    append(&*store, &lobby, vec![draft("ann", "1", secret)]).await;
    append(
        &*store,
        &lobby,
        vec![edit("2", 1, &format!("not {secret}"))],
    )
    .await;
    append(
        &*store,
        &lobby,
        vec![react("bob", "3", "👍", true), delete("4", 1)],
    )
    .await;
    // One that raced with the deletion and came late.
    append(&*store, &lobby, vec![edit("5", 1, secret)]).await;
    let messages = walk_forth(&*fixture.open().await, &lobby, 2).await;
    assert_eq!(messages.len(), 5);
    assert!(messages[0].marks.deleted_at_ms.is_some());
    assert_eq!(messages[0].marks.reactions, []);
    let texts: String = messages
        .iter()
        .map(|message| message.entry.text())
        .collect();
    assert_eq!(texts, "👍");
}

pub(in crate::store) async fn a_change_is_made_once(fixture: &impl Fixture<dyn Store>) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    append(&*store, &lobby, drafts("ann", 1)).await;
    let sent = vec![
        react("bob", "r", "👍", true),
        react("bob", "back", "👍", false),
        edit("e", 1, "edited"),
    ];
    append(&*store, &lobby, sent.clone()).await;
    let again = append(&*store, &lobby, sent).await;
    assert!(again.iter().all(|appended| appended.duplicate));
    assert_eq!(
        again.iter().map(|a| a.message.seq).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    let target = first(&*store).await;
    assert_eq!(target.marks.reactions, [], "what was taken back stays so");
    assert_eq!(target.entry, said("edited"));
}

pub(in crate::store) async fn n_counts_the_messages(fixture: &impl Fixture<dyn Store>) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    append(
        &*store,
        &lobby,
        vec![
            draft("ann", "1", "a"),
            edit("2", 1, "b"),
            draft("ann", "3", "c"),
        ],
    )
    .await;
    let other = fixture.open().await;
    append(
        &*other,
        &lobby,
        vec![delete("4", 1), delete("5", 3), draft("ann", "6", "d")],
    )
    .await;
    let ns: Vec<u64> = walk_forth(&*store, &lobby, 10)
        .await
        .iter()
        .map(|message| message.n)
        .collect();
    assert_eq!(ns, [1, 1, 2, 2, 2, 3]);
    for page in [
        Page::Latest { limit: 2 },
        Page::Before {
            before: 3,
            limit: 1,
        },
        Page::After { after: 0, limit: 1 },
    ] {
        let history = store.page(&lobby, page).await.unwrap();
        assert_eq!((history.last_seq, history.last_n), (6, 3), "{page:?}");
    }
}

pub(in crate::store) async fn handles_that_change_one_message_all_count(
    fixture: &impl Fixture<dyn Store>,
) {
    const HANDLES: usize = 3;
    const EACH: usize = 8;
    let lobby = room("lobby");
    let handles = join_all((0..HANDLES).map(|_| fixture.open())).await;
    append(&*handles[0], &lobby, drafts("ann", 1)).await;
    let tasks = handles.iter().enumerate().map(|(handle, store)| {
        let lobby = &lobby;
        async move {
            for n in 0..EACH {
                let user = format!("{handle}-{n}");
                append(&**store, lobby, vec![react(&user, &user, "👍", true)]).await;
                let shown = first(&**store).await.marks.reactions;
                assert!(shown[0].users.contains(&user), "acked means shown");
            }
        }
    });
    join_all(tasks).await;
    let reactions = first(&*handles[0]).await.marks.reactions;
    assert_eq!(reactions.len(), 1);
    assert_eq!(reactions[0].users.len(), HANDLES * EACH);
    // Everybody has them in the order of the log.
    let order: Vec<String> = walk_forth(&*handles[0], &lobby, 100).await[1..]
        .iter()
        .map(|reaction| reaction.sender.id.clone())
        .collect();
    assert_eq!(reactions[0].users, order);
}
