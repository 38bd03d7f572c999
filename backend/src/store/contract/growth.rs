//! Which rooms there are, and which of them have grown.

use uuid::Uuid;

use super::{Fixture, append, draft, drafts, room};
use crate::chat::message::Draft;
use crate::chat::room::RoomId;
use crate::store::{Mark, Page, Store};

fn named(rooms: &[(RoomId, u64)]) -> Vec<(&str, u64)> {
    let mut named: Vec<_> = rooms
        .iter()
        .map(|(room, seq)| (room.as_str(), *seq))
        .collect();
    named.sort_unstable();
    named
}

pub(in crate::store) async fn ends_name_every_room_in_order(fixture: &impl Fixture<dyn Store>) {
    let (writer, reader) = (fixture.open().await, fixture.open().await);
    assert_eq!(reader.ends(None, 10).await.unwrap().rooms, []);
    for (number, name) in ["d", "a", "한", "c", "B"].iter().enumerate() {
        append(&*writer, &room(name), drafts("ann", number + 1)).await;
    }
    let whole = reader.ends(None, 10).await.unwrap();
    let expected = [("B", 5), ("a", 2), ("c", 4), ("d", 1), ("한", 3)];
    let found: Vec<_> = whole
        .rooms
        .iter()
        .map(|(room, seq)| (room.as_str(), *seq))
        .collect();
    assert_eq!(found, expected);
    let page = reader.page(&room("a"), Page::Latest { limit: 1 }).await;
    assert_eq!(whole.epoch, page.unwrap().epoch);

    let mut walked = Vec::new();
    loop {
        let after = walked.last().map(|(room, _): &(RoomId, u64)| room.clone());
        let page = reader.ends(after.as_ref(), 2).await.unwrap().rooms;
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        walked.extend(page);
    }
    assert_eq!(walked, whole.rooms);
}

/// As the server makes them: of now.
fn fresh(client_msg_id: &str) -> Vec<Draft> {
    vec![Draft {
        id: Uuid::now_v7(),
        ..draft("ann", client_msg_id, "hello")
    }]
}

async fn grown_since(store: &dyn Store, mark: Mark) -> (Vec<(String, u64)>, Mark) {
    let grown = store.grown(Some(mark)).await.unwrap();
    let rooms = named(&grown.rooms);
    let rooms = rooms.into_iter().map(|(name, seq)| (name.to_owned(), seq));
    (rooms.collect(), grown.mark)
}

pub(in crate::store) async fn what_has_grown_is_told_once_a_mark_is_given(
    fixture: &impl Fixture<dyn Store>,
) {
    let (writer, reader) = (fixture.open().await, fixture.open().await);
    append(&*writer, &room("old"), drafts("ann", 3)).await;
    let begun = reader.grown(None).await.unwrap();
    assert_eq!(begun.rooms, []);

    append(&*writer, &room("lobby"), fresh("1")).await;
    append(&*writer, &room("lobby"), fresh("2")).await;
    append(&*writer, &room("garden"), fresh("3")).await;
    let (rooms, mark) = grown_since(&*reader, begun.mark).await;
    // Others may be named again.
    for wanted in [("garden".to_owned(), 1), ("lobby".to_owned(), 2)] {
        assert!(rooms.contains(&wanted), "{rooms:?}");
    }

    append(&*writer, &room("garden"), fresh("4")).await;
    let (rooms, _) = grown_since(&*reader, mark).await;
    assert!(rooms.contains(&("garden".to_owned(), 2)), "{rooms:?}");
}
