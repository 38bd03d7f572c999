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

    /// Who read a standing first may come last: what is newer stays.
    pub(super) fn take(&self, mut standing: Standing) {
        let mut seats = self.seats();
        if let Some(known) = seats.get(&standing.room.id) {
            if known.room.version > standing.room.version {
                standing.room = known.room.clone();
            }
            if known.member.version > standing.member.version {
                standing.member = known.member.clone();
            }
        }
        seats.insert(standing.room.id.clone(), Arc::new(standing));
    }

    /// The room has changed; who somebody is in it has not.
    pub(super) fn renew(&self, room: &Room) {
        if let Some(seat) = self.seats().get_mut(&room.id)
            && seat.room.version <= room.version
        {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::membership::{Access, Member, MemberChange, Role, Rules};

    fn standing(version: u64, changes: &[MemberChange]) -> Standing {
        let room = Room {
            id: RoomId::parse("r").unwrap(),
            name: format!("name {version}"),
            access: Access::Public,
            created_by: None,
            created_at_ms: 0,
            rules: Rules::default(),
            version,
        };
        let member = changes.iter().fold(Member::unknown("ann"), Member::after);
        Standing { room, member }
    }

    #[test]
    fn what_was_read_before_and_comes_behind_changes_nothing() {
        let seats = Seats::default();
        let [mute, promote] = [MemberChange::Mute(Some(7)), MemberChange::Role(Role::Owner)];
        seats.take(standing(3, std::slice::from_ref(&mute)));
        seats.take(standing(2, &[mute, promote]));
        seats.renew(&standing(1, &[]).room);
        seats.take(standing(1, &[]));
        let room = RoomId::parse("r").unwrap();
        let seat = seats.of(&room).unwrap();
        assert_eq!((seat.room.version, seat.member.version), (3, 2));
        assert_eq!(
            (seat.room.name.as_str(), seat.role()),
            ("name 3", Role::Owner)
        );
        seats.renew(&standing(4, &[]).room);
        assert_eq!(seats.of(&room).unwrap().room.name, "name 4");
    }
}
