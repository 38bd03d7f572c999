//! When a webhook is told of which room: the rooms that wait, who is next, and how long to leave a receiver alone that fails.
//!
//! Pure: `now` and the dice are arguments. Rooms take turns. After a failure one request at a time goes out, with pauses that double; the
//! first one that succeeds ends that for all rooms. A room that fails while others succeed waits by itself, so that what a receiver
//! cannot digest holds up its own room alone.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::State;
use crate::chat::room::RoomId;

/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rooms told of at the same time.
    pub rooms_at_once_max: usize,
    /// Rooms that may wait. More are forgotten, and found again by a look through all rooms.
    pub rooms_waiting_max: usize,
    /// The longest pause between tries.
    pub pause_max: Duration,
    /// Failing for so long is being paused.
    pub paused_after: Duration,
    /// Between tries while paused.
    pub paused_interval: Duration,
}

/// The rooms of one webhook that have something to tell.
#[derive(Debug)]
pub struct Schedule {
    limits: Limits,
    rooms: HashMap<RoomId, Room>,
    ready: VecDeque<RoomId>,
    /// By when they are ready again.
    waiting: BTreeSet<(Instant, RoomId)>,
    at_once: usize,
    /// Failures since the last success.
    failures: u32,
    failing_since: Option<Instant>,
    is_gone: bool,
    not_before: Option<Instant>,
    /// A room was forgotten for lack of space.
    has_forgotten: bool,
}

#[derive(Debug, Default)]
struct Room {
    is_under_way: bool,
    /// Something came while it was under way.
    again: bool,
    /// Failures while others succeeded.
    failures: u32,
    /// Where the batch ended that was tried and not delivered.
    tried_to: Option<u64>,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Tell of this room. What was tried before ended at this seq: a repeated request is the same request.
    Tell(RoomId, Option<u64>),
    /// Nothing until then, or until an outcome or a room comes.
    At(Instant),
    Nothing,
}

impl Schedule {
    /// One that has failed since a while ago, if its last holder has said so.
    #[must_use]
    pub fn new(limits: Limits, failing_since: Option<Instant>) -> Self {
        Self {
            limits,
            rooms: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            at_once: 0,
            failures: u32::from(failing_since.is_some()),
            failing_since,
            is_gone: false,
            not_before: None,
            has_forgotten: false,
        }
    }

    /// A room has grown.
    pub fn note(&mut self, room: RoomId) {
        if let Some(known) = self.rooms.get_mut(&room) {
            known.again |= known.is_under_way;
        } else if self.rooms.len() < self.limits.rooms_waiting_max {
            self.rooms.insert(room.clone(), Room::default());
            self.ready.push_back(room);
        } else {
            self.has_forgotten = true;
        }
    }

    /// Whether rooms were forgotten since this was last asked.
    pub fn take_forgotten(&mut self) -> bool {
        std::mem::take(&mut self.has_forgotten)
    }

    pub fn next(&mut self, now: Instant) -> Next {
        while let Some((at, room)) = self.waiting.first().cloned()
            && at <= now
        {
            self.waiting.remove(&(at, room.clone()));
            self.ready.push_back(room);
        }
        let at_once_max = match self.failures {
            0 => self.limits.rooms_at_once_max,
            _ => 1,
        };
        if self.at_once >= at_once_max {
            return Next::Nothing;
        }
        let pause = self.not_before.filter(|at| *at > now);
        if self.ready.is_empty() {
            let first = self.waiting.first().map(|(at, _)| *at);
            return first.map_or(Next::Nothing, |at| Next::At(pause.unwrap_or(at).max(at)));
        }
        if let Some(at) = pause {
            return Next::At(at);
        }
        let Some(room) = self.ready.pop_front() else {
            return Next::Nothing;
        };
        let known = self.rooms.entry(room.clone()).or_default();
        known.is_under_way = true;
        self.at_once += 1;
        Next::Tell(room, known.tried_to)
    }

    /// A room has been told of as far as one request goes; `more`: there is more to tell. `was_asked`: a request was needed for it.
    pub fn told(&mut self, room: &RoomId, more: bool, was_asked: bool) {
        self.at_once = self.at_once.saturating_sub(1);
        if was_asked {
            self.resume();
        }
        let Some(known) = self.rooms.remove(room) else {
            return;
        };
        if more || known.again {
            self.rooms.insert(room.clone(), Room::default());
            self.ready.push_back(room.clone());
        }
    }

    /// A request failed whose batch ended at `to`. `dice` is from 0 to 1; `at_least` is how long the receiver asked to be left alone.
    pub fn failed(
        &mut self,
        room: &RoomId,
        to: u64,
        at_least: Option<Duration>,
        (now, dice): (Instant, f64),
    ) {
        self.failing_since.get_or_insert(now);
        if self.not_before.is_some_and(|at| at > now) {
            // It was under way when another one failed: the same failure.
            return self.put_back(room, Some(to), |_, _| None);
        }
        self.failures = self.failures.saturating_add(1);
        let pause = match self.state(now) {
            State::Paused => self.limits.paused_interval,
            State::Ok | State::Failing => {
                let asked = at_least.unwrap_or_default().min(self.limits.pause_max);
                self.pause(self.failures, dice).max(asked)
            }
        };
        self.not_before = Some(now + pause);
        let is_its_own_fault = self.failures == 1;
        self.put_back(room, Some(to), |known, schedule| {
            if !is_its_own_fault {
                return None;
            }
            known.failures = known.failures.saturating_add(1);
            Some(now + schedule.pause(known.failures, dice))
        });
    }

    /// It could not be tried, for a reason that is not the receiver's.
    pub fn hindered(&mut self, room: &RoomId, now: Instant) {
        self.put_back(room, None, |_, _| Some(now + PAUSE_MIN));
    }

    /// The receiver says that it is no longer there: what fails now pauses it.
    pub fn gone(&mut self) {
        self.is_gone = true;
    }

    /// Tries again at once, as if nothing had failed.
    pub fn resume(&mut self) {
        self.failures = 0;
        self.failing_since = None;
        self.is_gone = false;
        self.not_before = None;
    }

    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        match self.failing_since {
            None => State::Ok,
            Some(since)
                if self.is_gone
                    || now.saturating_duration_since(since) >= self.limits.paused_after =>
            {
                State::Paused
            }
            Some(_) => State::Failing,
        }
    }

    /// Rooms that have something to tell.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    fn put_back(
        &mut self,
        room: &RoomId,
        tried_to: Option<u64>,
        until: impl FnOnce(&mut Room, &Self) -> Option<Instant>,
    ) {
        self.at_once = self.at_once.saturating_sub(1);
        let mut known = self.rooms.remove(room).unwrap_or_default();
        known.is_under_way = false;
        known.again = false;
        known.tried_to = tried_to.or(known.tried_to);
        let until = until(&mut known, self);
        self.rooms.insert(room.clone(), known);
        match until {
            Some(at) => drop(self.waiting.insert((at, room.clone()))),
            None => self.ready.push_back(room.clone()),
        }
    }

    /// Doubles with each failure; a half of it is left to chance, so that receivers are not asked by all servers in step.
    fn pause(&self, failures: u32, dice: f64) -> Duration {
        let doubled = PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let whole = doubled.min(self.limits.pause_max);
        whole.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests;
