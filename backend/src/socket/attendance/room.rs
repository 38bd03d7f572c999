//! What is known of one room: who is there, what was written down, and when to look again. Decides from facts; time is one of them.

use std::time::{Duration, Instant};

use rand::Rng as _;

use crate::presence::view::View;
use crate::presence::{Change, People};
use crate::protocol::PresenceBody;

/// A room's members are told at most this often; in a room of more than [`LARGE_PEOPLE`], whose reading costs Redis milliseconds, less.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_LARGE: Duration = Duration::from_secs(5);
const LARGE_PEOPLE: usize = 1_000;

/// Every room is written and read anew this often, give or take a tenth.
pub(super) const RENEWAL: Duration = Duration::from_secs(60);

/// What is known of one room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) view: View,
    /// Who this instance may have written down: what must be taken back when they are gone.
    pub(super) written: People,
    /// Everything is to be written again, whatever was written before.
    pub(super) is_doubtful: bool,
    /// Who was there when it was last read.
    pub(super) read: People,
    /// The last reading or writing failed.
    pub(super) is_approximate: bool,
    pub(super) is_changed: bool,
    pub(super) looked_at: Option<Instant>,
    pub(super) renew_at: Instant,
}

impl Room {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            view: View::default(),
            written: People::new(),
            is_doubtful: false,
            read: People::new(),
            is_approximate: false,
            is_changed: true,
            looked_at: None,
            renew_at: now + spread(RENEWAL),
        }
    }

    pub(super) fn is_due(&self, grace: Duration, now: Instant) -> bool {
        let is_renewal = self.renew_at <= now;
        let is_end = self.view.next_end(grace).is_some_and(|end| end <= now);
        let pause = if self.view.count() > LARGE_PEOPLE {
            PAUSE_LARGE
        } else {
            PAUSE
        };
        let is_early = self
            .looked_at
            .is_some_and(|at| now.saturating_duration_since(at) < pause);
        (self.is_changed || is_renewal || is_end) && !is_early
    }
}

pub(super) fn spread(around: Duration) -> Duration {
    around.mul_f64(rand::rng().random_range(0.9..1.1))
}

/// Names in the answer to a join of a room with too many.
pub(super) const NAMES_OF_LARGE: usize = 50;

pub(super) fn body(
    view: &View,
    after: Option<&str>,
    limit: usize,
    approximate: bool,
) -> PresenceBody {
    let (page, has_more) = view.page(after, limit);
    PresenceBody {
        count: view.count(),
        cursor: page.last().filter(|_| has_more).map(|(id, _)| id.clone()),
        users: page.into_iter().map(Into::into).collect(),
        approximate,
    }
}

pub(super) fn difference(written: &People, here: &People, is_doubtful: bool) -> Change {
    let is_new = |id: &String, name: &String| is_doubtful || written.get(id) != Some(name);
    let add = here.iter().filter(|(id, name)| is_new(id, name));
    let remove = written.keys().filter(|id| !here.contains_key(*id));
    Change {
        add: add.map(|(id, name)| (id.clone(), name.clone())).collect(),
        remove: remove.cloned().collect(),
        is_last: here.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn people(ids: &[&str]) -> People {
        ids.iter()
            .map(|id| ((*id).to_owned(), (*id).to_owned()))
            .collect()
    }

    #[test]
    fn only_what_differs_is_written_unless_in_doubt() {
        let change = difference(&people(&["ann", "ben"]), &people(&["ben", "cal"]), false);
        assert_eq!(change.add, people(&["cal"]));
        assert!(change.remove.iter().eq(["ann"]) && !change.is_last);
        let change = difference(&people(&["ann", "ben"]), &people(&["ben"]), true);
        assert_eq!(change.add, people(&["ben"]));
        let change = difference(&people(&["ann"]), &people(&[]), false);
        assert!(change.is_last && change.add.is_empty());
        let renamed = People::from([("ann".to_owned(), "Ann".to_owned())]);
        assert_eq!(difference(&people(&["ann"]), &renamed, false).add, renamed);
    }

    #[test]
    fn a_room_is_looked_at_when_there_is_a_reason_and_not_too_often() {
        let start = clock::monotonic();
        let at = |ms| start + Duration::from_millis(ms);
        let grace = Duration::from_secs(8);
        let mut room = Room::new(start);
        assert!(room.is_due(grace, at(0)));
        (room.is_changed, room.looked_at) = (false, Some(at(0)));
        assert!(!room.is_due(grace, at(5_000)), "nothing has changed");
        room.is_changed = true;
        assert!(!room.is_due(grace, at(999)));
        assert!(room.is_due(grace, at(1_000)));
        room.is_changed = false;
        room.view.observe(&people(&["ann"]), grace, at(0));
        room.view.observe(&people(&[]), grace, at(2_000));
        assert!(!room.is_due(grace, at(9_999)));
        assert!(room.is_due(grace, at(10_000)), "somebody's grace is over");
        assert!(room.is_due(grace, at(66_000)), "a minute has passed");
    }
}
