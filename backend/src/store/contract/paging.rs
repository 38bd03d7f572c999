//! The behaviours of pages.

use super::{Fixture, append, drafts, room, seqs, walk_back, walk_forth};
use crate::chat::message::Message;
use crate::store::{History, Page, Store};

pub(in crate::store) async fn an_empty_room_is_an_empty_page(fixture: &impl Fixture<dyn Store>) {
    let store = fixture.open().await;
    let pages = [
        Page::Latest { limit: 5 },
        Page::Before {
            before: 9,
            limit: 5,
        },
        Page::After { after: 0, limit: 5 },
    ];
    for page in pages {
        let History {
            messages,
            first_seq,
            last_seq,
            last_n,
            has_more,
            epoch,
        } = store.page(&room("nobody"), page).await.unwrap();
        assert_eq!(
            (messages, first_seq, last_seq, last_n, has_more),
            (vec![], 0, 0, 0, false)
        );
        assert!(!epoch.is_empty());
    }
}

pub(in crate::store) async fn pages_concatenate_to_the_whole(fixture: &impl Fixture<dyn Store>) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    let whole: Vec<Message> = append(&*store, &lobby, drafts("ann", 23))
        .await
        .into_iter()
        .map(|a| a.message)
        .collect();
    for limit in [1, 2, 7, 22, 23, 24, 1000] {
        assert_eq!(
            walk_forth(&*store, &lobby, limit).await,
            whole,
            "forth by {limit}"
        );
        assert_eq!(
            walk_back(&*store, &lobby, limit).await,
            whole,
            "back by {limit}"
        );
    }
    let page = store
        .page(
            &lobby,
            Page::Before {
                before: 10,
                limit: 3,
            },
        )
        .await
        .unwrap();
    assert_eq!((seqs(&page.messages), page.has_more), (vec![7, 8, 9], true));
    assert_eq!((page.first_seq, page.last_seq), (1, 23));
    let page = store
        .page(
            &lobby,
            Page::After {
                after: 20,
                limit: 3,
            },
        )
        .await
        .unwrap();
    assert_eq!(
        (seqs(&page.messages), page.has_more),
        (vec![21, 22, 23], false)
    );
    assert_eq!((page.first_seq, page.last_seq), (1, 23));
}

pub(in crate::store) async fn cursors_beyond_the_ends_are_empty_pages(
    fixture: &impl Fixture<dyn Store>,
) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    append(&*store, &lobby, drafts("ann", 3)).await;
    for (page, expected) in [
        (
            Page::Before {
                before: 0,
                limit: 5,
            },
            vec![],
        ),
        (
            Page::Before {
                before: 1,
                limit: 5,
            },
            vec![],
        ),
        (
            Page::Before {
                before: u64::MAX,
                limit: 5,
            },
            vec![1, 2, 3],
        ),
        (Page::After { after: 3, limit: 5 }, vec![]),
        (
            Page::After {
                after: u64::MAX,
                limit: 5,
            },
            vec![],
        ),
    ] {
        let history = store.page(&lobby, page).await.unwrap();
        assert_eq!(
            (seqs(&history.messages), history.has_more),
            (expected, false),
            "{page:?}"
        );
        assert_eq!((history.first_seq, history.last_seq), (1, 3), "{page:?}");
    }
}

pub(in crate::store) async fn a_limit_of_zero_counts_as_one(fixture: &impl Fixture<dyn Store>) {
    let store = fixture.open().await;
    let lobby = room("lobby");
    append(&*store, &lobby, drafts("ann", 2)).await;
    let page = store.page(&lobby, Page::Latest { limit: 0 }).await.unwrap();
    assert_eq!((seqs(&page.messages), page.has_more), (vec![2], true));
}

pub(in crate::store) async fn tails_are_where_the_logs_end(fixture: &impl Fixture<dyn Store>) {
    let (writer, reader) = (fixture.open().await, fixture.open().await);
    let rooms = [room("long"), room("nobody"), room("short"), room("long")];
    append(&*writer, &rooms[0], drafts("ann", 300)).await;
    for seq in 1..=3 {
        append(&*writer, &rooms[2], drafts(&format!("bob-{seq}"), 1)).await;
        let tails = reader.tails(&rooms).await.unwrap();
        assert_eq!(tails.seqs, [300, 0, seq, 300]);
        let page = reader.page(&rooms[2], Page::Latest { limit: 1 }).await;
        assert_eq!(tails.epoch, page.unwrap().epoch);
    }
    assert_eq!(reader.tails(&[]).await.unwrap().seqs, [0_u64; 0]);
}
