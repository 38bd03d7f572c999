//! Decides which rooms are hot: where most entries came since somebody last looked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::chat::room::RoomId;

/// More nobody looks at.
const ROOMS_MAX: usize = 12;

/// Two operators look in turns; who looks sooner than this gets the rates that the other one was told.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Where the logs ended, and how fast they grew, when somebody last looked.
#[derive(Debug, Default)]
pub(crate) struct Hot {
    at: Option<Instant>,
    rooms: HashMap<RoomId, (u64, f64)>,
}

impl Hot {
    /// The hottest first: the room, where its log ends, entries per second. `ends` are all rooms with where their logs end.
    pub(super) fn rank(
        &mut self,
        ends: Vec<(RoomId, u64)>,
        now: Instant,
    ) -> Vec<(RoomId, u64, f64)> {
        let passed = self.at.map(|at| now.saturating_duration_since(at));
        let is_fresh = passed.is_some_and(|passed| passed < LOOK_INTERVAL);
        let rate = |room: &RoomId, end: u64| match (self.rooms.get(room), passed) {
            (Some((_, rate)), _) if is_fresh => *rate,
            (Some((before, _)), Some(passed)) => per_second(end.saturating_sub(*before), passed),
            _ => 0.0,
        };
        let mut ranked: Vec<_> = ends
            .into_iter()
            .map(|(room, end)| {
                let rate = rate(&room, end);
                (room, end, rate)
            })
            .collect();
        if !is_fresh {
            self.at = Some(now);
            let known = ranked.iter();
            let known = known.map(|(room, end, rate)| (room.clone(), (*end, *rate)));
            self.rooms = known.collect();
        }
        ranked.sort_by(|a, b| b.2.total_cmp(&a.2).then(b.1.cmp(&a.1)));
        ranked.truncate(ROOMS_MAX);
        ranked
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nobody writes 2^53 messages between two looks"
)]
fn per_second(count: u64, passed: Duration) -> f64 {
    count as f64 / passed.as_secs_f64().max(f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn ends(of: &[(&str, u64)]) -> Vec<(RoomId, u64)> {
        of.iter()
            .map(|(room, end)| (RoomId::parse(room).unwrap(), *end))
            .collect()
    }

    fn words(ranked: &[(RoomId, u64, f64)]) -> String {
        let words: Vec<String> = ranked
            .iter()
            .map(|(room, end, rate)| format!("{room}:{end}:{rate}"))
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_room_that_grows_fastest_comes_first() {
        let (mut hot, start) = (Hot::default(), clock::monotonic());
        let first = hot.rank(ends(&[("a", 9), ("b", 100), ("c", 50)]), start);
        assert_eq!(words(&first), "b:100:0 c:50:0 a:9:0");
        let later = start + Duration::from_secs(2);
        let second = hot.rank(ends(&[("a", 29), ("b", 101), ("new", 7)]), later);
        assert_eq!(words(&second), "a:29:10 b:101:0.5 new:7:0");
    }

    #[test]
    fn who_looks_at_once_again_sees_the_same_rates() {
        let (mut hot, start) = (Hot::default(), clock::monotonic());
        let at = |ms| start + Duration::from_millis(ms);
        hot.rank(ends(&[("a", 0)]), at(0));
        hot.rank(ends(&[("a", 10)]), at(1_000));
        let again = hot.rank(ends(&[("a", 11)]), at(1_001));
        assert_eq!(words(&again), "a:11:10");
        let then = hot.rank(ends(&[("a", 20)]), at(2_000));
        assert_eq!(words(&then), "a:20:10");
    }

    #[test]
    fn only_so_many_are_told() {
        let names: Vec<String> = (0..50).map(|number| format!("r{number}")).collect();
        let many: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let ranked = Hot::default().rank(ends(&many), clock::monotonic());
        assert_eq!(ranked.len(), ROOMS_MAX);
    }
}
