//! The names of a row's rooms.

use crate::record::RoomId;

/// Rooms by number. The prefix keeps rows apart.
#[derive(Clone, Debug)]
pub(crate) struct Rooms {
    prefix: Box<str>,
}

impl Rooms {
    pub(crate) fn of(prefix: &str) -> Self {
        Self {
            prefix: format!("{prefix}-").into(),
        }
    }

    pub(crate) fn name(&self, room: RoomId) -> String {
        format!("{}{room}", self.prefix)
    }

    pub(crate) fn number(&self, name: &str) -> Option<RoomId> {
        name.strip_prefix(&*self.prefix)?.parse().ok()
    }
}
