//! The members of rooms with their outboxes, as they were when the room was last told something: in one piece of memory, so that telling 200
//! members touches little else than their connections.
//!
//! Who is a member, only the adapter knows: whoever asks brings the list, and another list makes another roster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engineioxide::Outbox;
use socketioxide_core::Sid;

use crate::chat::room::RoomId;

/// One room's members.
#[derive(Debug)]
pub(super) struct Roster {
    ids: Vec<Sid>,
    outboxes: Vec<Arc<Outbox>>,
}

impl Roster {
    pub(super) fn members(&self) -> impl Iterator<Item = (Sid, &Outbox)> {
        let outboxes = self.outboxes.iter().map(Arc::as_ref);
        self.ids.iter().copied().zip(outboxes)
    }
}

#[derive(Debug, Default)]
pub(super) struct Rosters(Mutex<HashMap<RoomId, Arc<Roster>>>);

impl Rosters {
    /// The roster of these members. `outbox_of` answers nothing for who is not there yet or any more: such a one is left out, this time.
    pub(super) fn of(
        &self,
        room: &RoomId,
        ids: Vec<Sid>,
        outbox_of: impl Fn(Sid) -> Option<Arc<Outbox>>,
    ) -> Arc<Roster> {
        if let Some(known) = self.rosters().get(room)
            && known.ids == ids
        {
            return Arc::clone(known);
        }
        let count = ids.len();
        let found = ids.into_iter().filter_map(|id| Some((id, outbox_of(id)?)));
        let (ids, outboxes): (Vec<_>, Vec<_>) = found.unzip();
        let is_complete = ids.len() == count;
        let roster = Arc::new(Roster { ids, outboxes });
        if is_complete {
            self.rosters().insert(room.clone(), Arc::clone(&roster));
        }
        roster
    }

    /// The room has no members.
    pub(super) fn forget(&self, room: &RoomId) {
        self.rosters().remove(room);
    }

    fn rosters(&self) -> MutexGuard<'_, HashMap<RoomId, Arc<Roster>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_roster_is_made_anew_when_its_members_change_and_when_one_was_not_there() {
        let (rosters, room) = (Rosters::default(), RoomId::parse("r").unwrap());
        let [one, two] = [Sid::new(), Sid::new()];
        let (asked, is_there) = (Cell::new(0), Cell::new(false));
        let look = |ids: &[Sid]| {
            asked.set(0);
            let roster = rosters.of(&room, ids.to_vec(), |id| {
                asked.set(asked.get() + 1);
                (id == one || is_there.get()).then(|| Outbox::new(None, 1))
            });
            let ids: Vec<Sid> = roster.members().map(|(id, _)| id).collect();
            (ids, asked.get())
        };
        assert_eq!(look(&[one]), (vec![one], 1));
        assert_eq!(look(&[one]), (vec![one], 0));
        assert_eq!(look(&[one, two]), (vec![one], 2));
        is_there.set(true);
        assert_eq!(look(&[one, two]), (vec![one, two], 2));
        assert_eq!(look(&[one, two]), (vec![one, two], 0));
        rosters.forget(&room);
        assert_eq!(look(&[one, two]), (vec![one, two], 2));
    }
}
