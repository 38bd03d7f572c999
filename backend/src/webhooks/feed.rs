//! Where webhooks hear that a room has grown: from this server's appends at once, from the others' by a look into the store.
//!
//! The way of a message only leaves a note here. It never waits, and the notes are bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;

use super::Wants;
use crate::chat::room::RoomId;

/// Rooms noted for one webhook and not taken yet. More are found by a look through all rooms.
const ROOMS_MAX: usize = 10_000;

/// The inboxes of the webhooks that this server tells. Cheap to share.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<RwLock<Vec<Arc<Inbox>>>>);

/// The rooms that have grown, as far as one webhook wants to know.
#[derive(Debug)]
pub(super) struct Inbox {
    wants: Wants,
    noted: Mutex<Noted>,
    changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Noted {
    /// With the newest seqs that were heard of.
    pub(super) rooms: HashMap<RoomId, u64>,
    /// Some had no space.
    pub(super) has_forgotten: bool,
    /// Somebody wants it tried again at once.
    pub(super) is_resumed: bool,
}

impl Feed {
    /// A room has grown, up to this seq.
    pub fn note(&self, room: &RoomId, seq: u64) {
        let inboxes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        inboxes.iter().for_each(|inbox| inbox.note(room, seq));
    }

    pub(super) fn open(&self, wants: Wants) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox {
            wants,
            noted: Mutex::default(),
            changed: Notify::new(),
        });
        let mut inboxes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inboxes.push(Arc::clone(&inbox));
        inbox
    }

    pub(super) fn close(&self, inbox: &Arc<Inbox>) {
        let mut inboxes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
    }

    /// Whether anybody listens.
    pub(super) fn is_open(&self) -> bool {
        let inboxes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !inboxes.is_empty()
    }
}

impl Inbox {
    pub(super) fn note(&self, room: &RoomId, seq: u64) {
        if !self.wants.room(room) {
            return;
        }
        let mut noted = self.noted();
        if let Some(known) = noted.rooms.get_mut(room) {
            *known = seq.max(*known);
        } else if noted.rooms.len() < ROOMS_MAX {
            noted.rooms.insert(room.clone(), seq);
        } else {
            noted.has_forgotten = true;
        }
        drop(noted);
        self.changed.notify_one();
    }

    pub(super) fn resume(&self) {
        self.noted().is_resumed = true;
        self.changed.notify_one();
    }

    pub(super) fn take(&self) -> Noted {
        std::mem::take(&mut *self.noted())
    }

    /// Something was noted since this was last awaited.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    #[tokio::test]
    async fn each_webhook_hears_of_the_rooms_that_it_wants() {
        let feed = Feed::default();
        feed.note(&room("before"), 1);
        let some = Wants::parse(&[] as &[&str], &["lobby"]).unwrap();
        let (all, some) = (feed.open(Wants::default()), feed.open(some));
        for (name, seq) in [("lobby", 7), ("garden", 1), ("lobby", 6)] {
            feed.note(&room(name), seq);
        }
        all.changed().await;
        assert_eq!(
            all.take().rooms,
            HashMap::from([(room("lobby"), 7), (room("garden"), 1)])
        );
        assert_eq!(all.take().rooms, HashMap::new());
        some.changed().await;
        assert_eq!(some.take().rooms, HashMap::from([(room("lobby"), 7)]));
        feed.close(&all);
        feed.note(&room("lobby"), 8);
        assert_eq!((all.take().rooms.len(), some.take().rooms.len()), (0, 1));
    }

    #[test]
    fn notes_beyond_the_bound_are_forgotten_and_it_says_so() {
        let feed = Feed::default();
        let inbox = feed.open(Wants::default());
        for number in 0..=ROOMS_MAX {
            feed.note(&room(&number.to_string()), 1);
        }
        let noted = inbox.take();
        assert_eq!((noted.rooms.len(), noted.has_forgotten), (ROOMS_MAX, true));
        assert!(!inbox.take().has_forgotten);
    }
}
