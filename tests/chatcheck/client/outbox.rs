//! What a recovering client has said and nobody has acked yet. Everything in it may be sent again: it keeps its id.

use std::collections::{HashSet, VecDeque};

use crate::record::{Mark, RoomId};

/// After a refusal that names no time.
const PAUSE_MICROS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    InFlight,
    /// Refused for now; not again before this.
    Refused(u64),
}

#[derive(Debug)]
struct Draft {
    room: RoomId,
    mark: Mark,
    attempts: u32,
    state: State,
}

/// Something to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) room: RoomId,
    pub(super) mark: Mark,
    pub(super) attempt: u32,
}

#[derive(Debug)]
pub(super) struct Outbox {
    drafts: VecDeque<Draft>,
    /// How many may be under way at once.
    window: usize,
}

impl Outbox {
    pub(super) fn new(window: usize) -> Self {
        Self {
            drafts: VecDeque::new(),
            window,
        }
    }

    pub(super) fn add(&mut self, room: RoomId, mark: Mark) {
        self.drafts.push_back(Draft {
            room,
            mark,
            attempts: 0,
            state: State::Waiting,
        });
    }

    pub(super) fn len(&self) -> usize {
        self.drafts.len()
    }

    /// What is to be sent now. An earlier message that cannot go holds back the later ones of its room.
    pub(super) fn due(&mut self, now: u64, is_in: impl Fn(RoomId) -> bool) -> Vec<Due> {
        let mut under_way = self.in_flight();
        let mut held: HashSet<RoomId> = HashSet::new();
        let mut due = Vec::new();
        for draft in &mut self.drafts {
            if matches!(draft.state, State::Refused(until) if until <= now) {
                draft.state = State::Waiting;
            }
            let may_go = match draft.state {
                State::InFlight => continue,
                State::Waiting => true,
                State::Refused(_) => false,
            };
            let is_free = is_in(draft.room) && !held.contains(&draft.room);
            if under_way >= self.window || !may_go || !is_free {
                held.insert(draft.room);
                continue;
            }
            under_way += 1;
            draft.attempts += 1;
            draft.state = State::InFlight;
            due.push(Due {
                room: draft.room,
                mark: draft.mark,
                attempt: draft.attempts,
            });
        }
        due
    }

    fn in_flight(&self) -> usize {
        let is_in_flight = |draft: &&Draft| draft.state == State::InFlight;
        self.drafts.iter().filter(is_in_flight).count()
    }

    pub(super) fn settle(&mut self, mark: Mark) {
        self.drafts.retain(|draft| draft.mark != mark);
    }

    pub(super) fn refused(&mut self, mark: Mark, now: u64, retry_after_ms: Option<u64>) {
        let pause = retry_after_ms.map_or(PAUSE_MICROS, |ms| ms * 1_000);
        self.change(mark, State::Refused(now + pause));
    }

    /// No answer came: it is sent again.
    pub(super) fn unanswered(&mut self, mark: Mark) {
        self.change(mark, State::Waiting);
    }

    fn change(&mut self, mark: Mark, state: State) {
        for draft in self.drafts.iter_mut().filter(|draft| draft.mark == mark) {
            draft.state = state;
        }
    }

    /// The connection is gone, and with it every answer.
    pub(super) fn lost(&mut self) {
        for draft in &mut self.drafts {
            draft.state = State::Waiting;
        }
    }

    /// When a refused message may go.
    pub(super) fn wake_at(&self) -> Option<u64> {
        let times = self.drafts.iter().filter_map(|draft| match draft.state {
            State::Refused(until) => Some(until),
            State::Waiting | State::InFlight => None,
        });
        times.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u32) -> Mark {
        Mark { client: 1, number }
    }

    fn numbers(due: &[Due]) -> Vec<u32> {
        due.iter().map(|due| due.mark.number).collect()
    }

    #[test]
    fn a_refused_message_holds_back_the_later_ones_of_its_room_only() {
        let mut outbox = Outbox::new(8);
        for (room, number) in [(0, 1), (0, 2), (1, 3)] {
            outbox.add(room, mark(number));
        }
        assert_eq!(numbers(&outbox.due(0, |_| true)), [1, 2, 3]);
        for number in [1, 3] {
            outbox.refused(mark(number), 0, Some(5));
        }
        outbox.unanswered(mark(2));
        outbox.settle(mark(3));
        outbox.add(1, mark(4));
        assert_eq!(numbers(&outbox.due(0, |_| true)), [4]);
        assert_eq!(outbox.wake_at(), Some(5_000));
        let due = outbox.due(5_000, |_| true);
        assert_eq!((numbers(&due), due[0].attempt), (vec![1, 2], 2));
    }

    #[test]
    fn a_window_of_one_sends_one_at_a_time() {
        let mut outbox = Outbox::new(1);
        outbox.add(0, mark(1));
        outbox.add(0, mark(2));
        assert_eq!(numbers(&outbox.due(0, |_| true)), [1]);
        assert!(outbox.due(0, |_| true).is_empty());
        outbox.settle(mark(1));
        assert_eq!(numbers(&outbox.due(0, |_| true)), [2]);
    }

    #[test]
    fn nothing_goes_into_a_room_before_it_is_entered() {
        let mut outbox = Outbox::new(8);
        outbox.add(0, mark(1));
        assert!(outbox.due(0, |_| false).is_empty());
        assert_eq!(numbers(&outbox.due(0, |_| true)), [1]);
    }
}
