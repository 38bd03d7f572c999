//! Messages whose storing failed with an unknown outcome.
//!
//! When such a message is sent again and turns out to be stored, nobody has seen it yet: it is news, although the store calls it a
//! duplicate. The memory is this instance's and bounded; a client that resends elsewhere is answered, and members recover by their lastSeq.

use std::collections::{HashSet, VecDeque};

use crate::chat::message::Draft;
use crate::chat::room::RoomId;

/// More than fails together in one outage of a busy room; about 200 bytes each.
const KEYS_MAX: usize = 8_192;

/// What the store calls the same message.
pub(super) type Key = (RoomId, String, String);

/// A set that forgets its oldest.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    keys: HashSet<Key>,
    ages: VecDeque<Key>,
}

/// The key of a draft in its room.
pub(super) fn key(room: &RoomId, draft: &Draft) -> Key {
    (
        room.clone(),
        draft.sender.id.clone(),
        draft.client_msg_id.clone(),
    )
}

impl Unsettled {
    pub(super) fn add(&mut self, key: Key) {
        if !self.keys.insert(key.clone()) {
            return;
        }
        self.ages.push_back(key);
        if self.ages.len() > KEYS_MAX
            && let Some(oldest) = self.ages.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    /// Whether the message was unsettled; it is settled now.
    pub(super) fn settle(&mut self, key: &Key) -> bool {
        // Its place among the ages stays until it is the oldest: a settled key is rarely added again.
        self.keys.remove(key)
    }
}
