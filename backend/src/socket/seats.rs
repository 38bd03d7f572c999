//! What one connection knows of its rooms: its user's standing in each, so that a message asks nobody.
//!
//! A seat is taken when the room is joined, renewed when the bus tells of a change (`news`), and given up when the room is left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::chat::membership::Room;
use crate::chat::room::RoomId;
use crate::chat::standing::Standing;

/// As many as rooms that one connection may be in.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<HashMap<RoomId, Arc<Standing>>>);

impl Seats {
    /// None for who is in the room by an operator's hand, from outside.
    pub(super) fn of(&self, room: &RoomId) -> Option<Arc<Standing>> {
        self.seats().get(room).cloned()
    }

    pub(super) fn take(&self, standing: Standing) {
        let room = standing.room.id.clone();
        self.seats().insert(room, Arc::new(standing));
    }

    /// The room has changed; who somebody is in it has not.
    pub(super) fn renew(&self, room: &Room) {
        if let Some(seat) = self.seats().get_mut(&room.id) {
            let member = seat.member.clone();
            let room = room.clone();
            *seat = Arc::new(Standing { room, member });
        }
    }

    pub(super) fn leave(&self, room: &RoomId) {
        self.seats().remove(room);
    }

    pub(super) fn rooms(&self) -> Vec<RoomId> {
        self.seats().keys().cloned().collect()
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<RoomId, Arc<Standing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
