//! What is known of a client that itself knows nothing: the newest it heard on this connection, for whoever waits for it.

use std::collections::HashMap;

use crate::record::RoomId;

#[derive(Debug, Default)]
pub(super) struct Vanilla {
    newest: HashMap<RoomId, u64>,
}

impl Vanilla {
    pub(super) fn heard(&mut self, room: RoomId, seq: u64) {
        let newest = self.newest.entry(room).or_default();
        *newest = (*newest).max(seq);
    }

    pub(super) fn last(&self, room: RoomId) -> Option<u64> {
        self.newest.get(&room).copied()
    }

    pub(super) fn lost(&mut self) {
        self.newest.clear();
    }
}
