//! `slow_start`: a server that comes back gets its weight little by little, as in nginx Plus.
//!
//! Owns since when a server is back and which part of its weight it has by now. Does not see that it comes back
//! (`health`, the prober, the registry) and does not choose: `balance` multiplies. In whole seconds, like all of
//! `health`: the weight rises in as many steps as `slow_start` has seconds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::pool::{Seconds, Server};

/// All of a weight. A part of 1 lets a server with three equals meet one request in 3000: as good as none, yet enough
/// to tell servers apart that all came back together.
pub const WHOLE: u32 = 1000;

/// When a server came back; 0: it was never away.
#[derive(Debug, Default)]
pub struct Comeback(AtomicU64);

/// The part of its weight that the server has: rises from 1 to `WHOLE`, and never falls unless it goes away again.
#[must_use]
pub fn part(server: &Server, now: Seconds) -> u32 {
    if server.slow_start == 0 {
        return WHOLE;
    }
    let back_for = now.saturating_sub(server.state.comeback.0.load(Relaxed));
    if back_for >= server.slow_start {
        return WHOLE;
    }
    let part = u64::from(WHOLE) * back_for / server.slow_start;
    u32::try_from(part).unwrap_or(WHOLE).max(1)
}

/// The server is back, and what it earned before it went counts no more: the rise alone limits it.
pub fn begin(server: &Server, now: Seconds) {
    if server.slow_start == 0 {
        return;
    }
    let state = &server.state;
    state.comeback.0.store(now, Relaxed);
    let weight = i64::from(server.weight);
    state.effective_weight.store(weight, Relaxed);
    state.current_weight.store(0, Relaxed);
}

/// A server that was added while others served may serve only now, when it passed its first check.
pub fn begin_if_added(server: &Server, now: Seconds) {
    if server.state.comeback.0.load(Relaxed) > 0 {
        begin(server, now);
    }
}

/// Forgets a rise that is over, so that a longer `slow_start` in new settings does not take weight away.
pub fn forget_if_over(server: &Server, now: Seconds) {
    if part(server, now) == WHOLE {
        server.state.comeback.0.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::health::{self, Transition};
    use crate::pool::Pool;
    use crate::pool::tests::servers;

    const START: Seconds = 1_000_000;

    fn slow(words: &str, slow_start: Seconds) -> Pool {
        Pool::new(servers(words).map(|server| Server {
            slow_start,
            ..server
        }))
    }

    /// Puts the server out and lets its probe succeed; tells when that was.
    #[track_caller]
    fn go_and_come_back(pool: &Pool, server: &Server, now: Seconds) -> Seconds {
        assert_eq!(health::failed(pool, server, now), Transition::Out);
        let probed = now + server.fail_timeout + 1;
        assert!(health::pick(server, probed));
        assert_eq!(health::succeeded(pool, server, probed), Transition::Back);
        probed
    }

    #[test]
    fn a_server_that_never_went_away_has_its_weight() {
        let pool = slow("a b", 10);
        assert_eq!(part(&pool.servers()[0], START), WHOLE);
    }

    #[test]
    fn without_slow_start_a_server_is_back_at_once() {
        let pool = slow("a b", 0);
        let a = &pool.servers()[0];
        let back = go_and_come_back(&pool, a, START);
        assert_eq!(part(a, back), WHOLE);
    }

    #[test]
    fn the_weight_rises_by_the_second() {
        let pool = slow("a b", 10);
        let a = &pool.servers()[0];
        let back = go_and_come_back(&pool, a, START);
        let parts: Vec<_> = (0..12).map(|second| part(a, back + second)).collect();
        assert_eq!(
            parts,
            [1, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1000]
        );
    }

    #[test]
    fn a_server_that_goes_out_again_starts_from_nothing() {
        let pool = slow("a b", 20);
        let a = &pool.servers()[0];
        let back = go_and_come_back(&pool, a, START);
        assert_eq!(part(a, back + 10), 500);
        let again = go_and_come_back(&pool, a, back + 10);
        assert_eq!(part(a, again), 1);
        assert_eq!(part(a, again + 20), WHOLE);
    }

    #[test]
    fn a_failure_that_does_not_put_a_server_out_leaves_its_rise() {
        let pool = Pool::new(servers("a b").map(|server| Server {
            max_fails: 3,
            slow_start: 10,
            ..server
        }));
        let a = &pool.servers()[0];
        begin(a, START);
        assert_eq!(health::failed(&pool, a, START + 5), Transition::None);
        assert_eq!(part(a, START + 5), 500);
    }

    #[test]
    fn the_wait_for_the_first_check_is_no_part_of_the_rise() {
        let pool = slow("a b", 10);
        let (first, added) = (&pool.servers()[0], &pool.servers()[1]);
        begin(added, START);
        for server in [first, added] {
            begin_if_added(server, START + 8);
        }
        assert_eq!(part(first, START + 8), WHOLE);
        assert_eq!(part(added, START + 9), 100);
    }

    #[test]
    fn a_longer_slow_start_takes_no_weight_from_who_has_it() {
        let pool = slow("a b", 10);
        let (over, rising) = (&pool.servers()[0], &pool.servers()[1]);
        begin(over, START);
        begin(rising, START + 8);
        let now = START + 10;
        let longer = |server: &Arc<Server>| {
            forget_if_over(server, now);
            Server {
                slow_start: 100,
                ..Server::clone(server)
            }
        };
        assert_eq!(part(&longer(over), now), WHOLE);
        assert_eq!(part(&longer(rising), now), 20);
    }

    proptest! {
        #[test]
        fn it_is_a_line_from_nothing_to_the_whole(slow_start in 1_u64..100_000, seconds in prop::collection::vec(0_u64..200_000, 1..50)) {
            let pool = slow("a b", slow_start);
            let a = &pool.servers()[0];
            begin(a, START);
            let mut seconds = seconds;
            seconds.extend([0, slow_start - 1, slow_start]);
            seconds.sort_unstable();
            let mut before = 0;
            for second in seconds {
                let part = part(a, START + second);
                prop_assert!(part >= before, "it never falls");
                prop_assert_eq!(part == WHOLE, second >= slow_start, "the whole at the end and not before");
                let line = u64::from(WHOLE) * second.min(slow_start) / slow_start;
                prop_assert!(u64::from(part).abs_diff(line) <= 1, "{part} is off the line's {line}");
                before = part;
            }
        }
    }
}
