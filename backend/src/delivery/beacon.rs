//! When an instance says again where the logs end that it has appended to: the frame of a room's last entry may be lost, and then no later
//! one shows the gap.
//!
//! Pure: `now` is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::chat::room::RoomId;

/// How long after a room's last append its end is told, the first and the second time.
const AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Rooms that wait for their turn. Beyond it the look that every instance takes once a minute has to do.
const ROOMS_MAX: usize = 65_536;

/// The rooms whose ends are to be told.
#[derive(Debug, Default)]
pub(super) struct Beacons(HashMap<RoomId, Beacon>);

#[derive(Debug)]
struct Beacon {
    seq: u64,
    appended: Instant,
    told: usize,
}

impl Beacons {
    /// An entry was appended here.
    pub(super) fn note(&mut self, room: &RoomId, seq: u64, now: Instant) {
        if let Some(beacon) = self.0.get_mut(room) {
            beacon.seq = beacon.seq.max(seq);
            (beacon.appended, beacon.told) = (now, 0);
        } else if self.0.len() < ROOMS_MAX {
            let beacon = Beacon {
                seq,
                appended: now,
                told: 0,
            };
            self.0.insert(room.clone(), beacon);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ends that are to be told now. Each is told once for each time in [`AFTER`], unless its room goes on.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(RoomId, u64)> {
        let mut due = Vec::new();
        self.0.retain(|room, beacon| {
            let silence = now.saturating_duration_since(beacon.appended);
            if AFTER
                .get(beacon.told)
                .is_some_and(|after| silence >= *after)
            {
                beacon.told += 1;
                due.push((room.clone(), beacon.seq));
            }
            beacon.told < AFTER.len()
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    #[test]
    fn an_end_is_told_a_second_and_five_seconds_after_the_last_append() {
        let start = crate::clock::monotonic();
        let at = |ms| start + Duration::from_millis(ms);
        let mut beacons = Beacons::default();
        beacons.note(&room("r"), 7, at(0));
        assert_eq!(beacons.due(at(999)), []);
        beacons.note(&room("r"), 8, at(900));
        assert_eq!(beacons.due(at(1_800)), []);
        assert_eq!(beacons.due(at(1_900)), [(room("r"), 8)]);
        assert_eq!(beacons.due(at(5_800)), []);
        assert_eq!(beacons.due(at(5_900)), [(room("r"), 8)]);
        assert_eq!(beacons.due(at(90_000)), []);
        assert!(beacons.0.is_empty());
    }

    #[test]
    fn what_could_not_be_told_is_told_when_it_can() {
        let start = crate::clock::monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut beacons = Beacons::default();
        for (seq, name) in (1..).zip(["a", "b"]) {
            beacons.note(&room(name), seq, at(0));
        }
        // The bus was away for a minute.
        let mut first = beacons.due(at(60));
        first.sort();
        assert_eq!(first, [(room("a"), 1), (room("b"), 2)]);
        assert_eq!(beacons.due(at(61)).len(), 2);
        assert_eq!(beacons.due(at(62)), []);
    }

    #[test]
    fn rooms_beyond_the_bound_are_left_out() {
        let now = crate::clock::monotonic();
        let mut beacons = Beacons::default();
        for number in 0..=ROOMS_MAX {
            beacons.note(&room(&number.to_string()), 1, now);
        }
        assert_eq!(beacons.0.len(), ROOMS_MAX);
    }
}
