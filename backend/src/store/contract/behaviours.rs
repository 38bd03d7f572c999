//! The behaviours themselves, each a sentence about a store.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use uuid::Uuid;

use super::{Fixture, append, at, draft, drafts, model, room, seqs, walk_back, walk_forth};
use crate::chat::message::{Entry, Message};
use crate::store::{Appended, Page, Store};

pub(in crate::store) async fn appends_keep_the_order_of_the_batch(
    fixture: &impl Fixture<dyn Store>,
) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    let sent = [drafts("ann", 20), drafts("bob", 30)].concat();
    let appended = append(&*store, &lobby, sent.clone()).await;
    let expected: Vec<Appended> = sent
        .into_iter()
        .zip(1..)
        .map(|(draft, seq)| Appended {
            message: draft.placed(&lobby, at(seq)),
            duplicate: false,
        })
        .collect();
    assert_eq!(appended, expected);
    let further = append(&*store, &lobby, drafts("cat", 1)).await;
    assert_eq!(further[0].message.seq, 51);
    let page = store
        .page(&lobby, Page::Latest { limit: 100 })
        .await
        .unwrap();
    let messages: Vec<Message> = expected
        .into_iter()
        .chain(further)
        .map(|a| a.message)
        .collect();
    assert_eq!(page.messages, messages);
}

pub(in crate::store) async fn an_empty_batch_is_nothing(fixture: &impl Fixture<dyn Store>) {
    let store = fixture.open().await;
    assert_eq!(store.append(&room("lobby"), vec![]).await, vec![]);
    assert_eq!(
        store
            .page(&room("lobby"), Page::Latest { limit: 1 })
            .await
            .unwrap()
            .last_seq,
        0
    );
}

pub(in crate::store) async fn many_appenders_leave_no_gap(fixture: &impl Fixture<dyn Store>) {
    const HANDLES: usize = 3;
    const TASKS: usize = 4;
    const BATCHES: usize = 8;
    const BATCH: usize = 3;
    let lobby = room("lobby");
    let handles = join_all((0..HANDLES).map(|_| fixture.open())).await;
    let tasks = (0..HANDLES * TASKS).map(|task| {
        let (store, lobby) = (handles[task % HANDLES].clone(), lobby.clone());
        tokio::spawn(async move {
            let all = drafts(&format!("sender-{task}"), BATCHES * BATCH);
            let mut places = Vec::new();
            for batch in all.chunks(BATCH) {
                for appended in append(&*store, &lobby, batch.to_vec()).await {
                    assert!(!appended.duplicate);
                    places.push(appended.message.seq);
                }
            }
            assert!(
                places.is_sorted(),
                "one sender's messages keep their order: {places:?}"
            );
            places
        })
    });
    let mut places: Vec<u64> = Vec::new();
    for task in join_all(tasks).await {
        places.extend(task.unwrap());
    }
    places.sort_unstable();
    let whole: Vec<u64> = (1..=(HANDLES * TASKS * BATCHES * BATCH) as u64).collect();
    assert_eq!(places, whole);
    assert_eq!(seqs(&walk_forth(&*handles[0], &lobby, 50).await), whole);
}

pub(in crate::store) async fn a_sender_says_a_thing_once(fixture: &impl Fixture<dyn Store>) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    let first = append(&*store, &lobby, vec![draft("ann", "a", "first")]).await;
    // Other content and id, as a client's resend after a crash may have: what is stored wins.
    let again = append(&*store, &lobby, vec![draft("ann", "a", "second")]).await;
    assert_eq!(
        again,
        vec![Appended {
            message: first[0].message.clone(),
            duplicate: true
        }]
    );
    // The very same draft, as our own retry has.
    let retried = draft("ann", "b", "retried");
    append(&*store, &lobby, vec![retried.clone()]).await;
    assert!(append(&*store, &lobby, vec![retried]).await[0].duplicate);
    assert_eq!(seqs(&walk_forth(&*store, &lobby, 10).await), [1, 2]);
}

pub(in crate::store) async fn a_client_id_belongs_to_its_sender_and_room(
    fixture: &impl Fixture<dyn Store>,
) {
    let store = fixture.open().await;
    let ours = append(
        &*store,
        &room("lobby"),
        vec![draft("ann", "a", "x"), draft("bob", "a", "y")],
    )
    .await;
    let theirs = append(&*store, &room("garden"), vec![draft("ann", "a", "z")]).await;
    assert!(
        ours.iter()
            .chain(&theirs)
            .all(|appended| !appended.duplicate)
    );
    assert_eq!((ours[1].message.seq, theirs[0].message.seq), (2, 1));
}

pub(in crate::store) async fn handles_race_to_say_a_thing_once(fixture: &impl Fixture<dyn Store>) {
    let lobby = room("lobby");
    let handles = join_all((0..4).map(|_| fixture.open())).await;
    for n in 0..10 {
        let client_msg_id = format!("thing-{n}");
        let race = handles
            .iter()
            .map(|store| append(&**store, &lobby, vec![draft("ann", &client_msg_id, "once")]));
        let appended = join_all(race).await.concat();
        let stored: HashSet<Uuid> = appended.iter().map(|a| a.message.id).collect();
        assert_eq!(stored.len(), 1, "everybody answers the same message");
        assert_eq!(
            appended.iter().filter(|a| !a.duplicate).count(),
            1,
            "one of them stored it"
        );
    }
    assert_eq!(
        seqs(&walk_forth(&*handles[0], &lobby, 20).await),
        (1..=10).collect::<Vec<_>>()
    );
}

pub(in crate::store) async fn a_duplicate_does_not_hold_up_the_rest(
    fixture: &impl Fixture<dyn Store>,
) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    append(&*store, &lobby, vec![draft("ann", "old", "from before")]).await;
    let batch = ["new-1", "old", "new-2", "new-1", "new-3", "new-3"];
    let batch = batch.iter().map(|id| draft("ann", id, id)).collect();
    let outcomes: Vec<(u64, bool)> = append(&*store, &lobby, batch)
        .await
        .iter()
        .map(|a| (a.message.seq, a.duplicate))
        .collect();
    assert_eq!(
        outcomes,
        [
            (2, false),
            (1, true),
            (3, false),
            (2, true),
            (4, false),
            (4, true)
        ]
    );
    assert_eq!(seqs(&walk_forth(&*store, &lobby, 10).await), [1, 2, 3, 4]);
}

pub(in crate::store) async fn an_append_that_was_dropped_can_be_sent_again(
    fixture: &impl Fixture<dyn Store>,
) {
    const ROUNDS: usize = 20;
    let store = fixture.open().await;
    let lobby = room("lobby");
    for round in 0..ROUNDS {
        let sent = drafts(&format!("sender-{round}"), 3);
        tokio::select! {
            biased;
            _ = store.append(&lobby, sent.clone()) => {}
            () = yield_times(round) => {}
        }
        append(&*store, &lobby, sent).await;
    }
    let messages = walk_forth(&*store, &lobby, 50).await;
    let whole: Vec<u64> = (1..=3 * ROUNDS as u64).collect();
    assert_eq!(seqs(&messages), whole);
    let texts: HashSet<&str> = messages
        .iter()
        .map(|message| message.entry.text())
        .collect();
    assert_eq!(texts.len(), whole.len(), "each is there once");
}

/// Gives other tasks that many turns.
async fn yield_times(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

pub(in crate::store) async fn texts_come_back_as_they_went(fixture: &impl Fixture<dyn Store>) {
    let store = fixture.open().await;
    let here = room("Küche 🍳 $where.{\"$gt\":1} index: roomId_1_seq_1 dup key");
    let texts = [
        "",
        " ",
        "👩‍👩‍👧‍👦 שלום\u{202e} e\u{301}",
        "a\0b",
        "\u{feff}x\r\n",
        "'; DROP TABLE messages; --",
    ];
    let long = "ü".repeat(512 * 1024);
    for (n, text) in texts.into_iter().chain([long.as_str()]).enumerate() {
        let mut sent = draft(
            &format!("sender {text:.20}"),
            &format!("{n} {text:.20}"),
            text,
        );
        sent.sender.name = format!("{text:.20}");
        sent.entry = Entry::Message {
            message_type: format!("{text:.20}"),
            content: text.to_owned(),
            reply_to: None,
        };
        sent.timestamp_ms = i64::try_from(n).unwrap() - 3;
        let stored = append(&*store, &here, vec![sent.clone()]).await;
        assert_eq!(
            stored[0].message,
            sent.clone().placed(&here, at(n as u64 + 1))
        );
        assert!(append(&*store, &here, vec![sent]).await[0].duplicate);
        let page = store.page(&here, Page::Latest { limit: 1 }).await.unwrap();
        assert_eq!(page.messages, [stored[0].message.clone()]);
    }
}

pub(in crate::store) async fn rooms_do_not_mix(fixture: &impl Fixture<dyn Store>) {
    let store = fixture.open().await;
    let names = ["a", "A", "a ", "a.b", "aa", "ä", "a\u{308}"];
    for (n, name) in names.iter().enumerate() {
        append(&*store, &room(name), drafts("ann", n + 1)).await;
    }
    for (n, name) in names.iter().enumerate() {
        let messages = walk_back(&*store, &room(name), 3).await;
        assert_eq!(
            seqs(&messages),
            (1..=n as u64 + 1).collect::<Vec<_>>(),
            "{name:?}"
        );
        assert!(messages.iter().all(|message| message.room == room(name)));
    }
}

pub(in crate::store) async fn another_handle_reads_what_was_acked(
    fixture: &impl Fixture<dyn Store>,
) {
    let (writer, reader) = (fixture.open().await, fixture.open().await);
    let lobby = room("lobby");
    for n in 1..=20 {
        let acked = append(
            &*writer,
            &lobby,
            vec![draft("ann", &n.to_string(), "hello")],
        )
        .await;
        let page = reader
            .page(&lobby, Page::Latest { limit: 1 })
            .await
            .unwrap();
        assert_eq!(page.messages, [acked[0].message.clone()]);
        assert_eq!(page.last_seq, n);
    }
}

pub(in crate::store) async fn the_epoch_names_the_log<F: Fixture<dyn Store>>(fixture: &F) {
    let epoch = async |store: Arc<dyn Store>| {
        store
            .page(&room("lobby"), Page::Latest { limit: 1 })
            .await
            .unwrap()
            .epoch
    };
    let ours = epoch(fixture.open().await).await;
    assert_eq!(epoch(fixture.open().await).await, ours);
    let other = F::fresh().await;
    assert_ne!(epoch(other.open().await).await, ours);
    other.clear().await;
}

pub(in crate::store) async fn a_ping_is_answered(fixture: &impl Fixture<dyn Store>) {
    assert_eq!(fixture.open().await.ping().await, Ok(()));
}

pub(in crate::store) async fn answers_as_the_model_does(fixture: &impl Fixture<dyn Store>) {
    model::compare(fixture).await;
}
