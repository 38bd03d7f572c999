//! Smooth weighted round robin, as nginx's `ngx_http_upstream_round_robin`.
//!
//! Every candidate gains its effective weight, the richest is picked and pays the sum. Weights that failures took
//! away come back by one per round. All of it in parts of a weight, of which a server in its `slow_start` gains few;
//! that changes no order while nobody is. Two requests at the same instant may read each other's half-made round: the sums
//! stay right, only their order can differ.

use std::sync::atomic::Ordering::Relaxed;

use super::is_candidate;
use crate::health::slow_start;
use crate::pool::{Seconds, Server, Tried};

pub fn pick<'a>(
    group: impl Iterator<Item = (usize, &'a Server)>,
    tried: &Tried,
    now: Seconds,
) -> Option<usize> {
    turn(
        group.filter(|(index, server)| is_candidate(*index, server, tried, now)),
        now,
    )
}

/// Whose turn it is among those that may have one.
pub(super) fn turn<'a>(
    candidates: impl Iterator<Item = (usize, &'a Server)>,
    now: Seconds,
) -> Option<usize> {
    let mut total = 0;
    let mut best: Option<(usize, &Server, i64)> = None;
    for (index, server) in candidates {
        let state = &server.state;
        let effective = state.effective_weight.load(Relaxed);
        let gain = effective * i64::from(slow_start::part(server, now));
        let current = state.current_weight.fetch_add(gain, Relaxed) + gain;
        total += gain;
        if effective < i64::from(server.weight) {
            state.effective_weight.store(effective + 1, Relaxed);
        }
        if best.is_none_or(|(_, _, richest)| current > richest) {
            best = Some((index, server, current));
        }
    }
    let (index, server, _) = best?;
    server.state.current_weight.fetch_sub(total, Relaxed);
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::pool;
    use crate::pool::{Group, Pool};
    use proptest::prelude::*;

    fn picks(pool: &Pool, count: usize) -> String {
        (0..count)
            .filter_map(|_| pick(pool.group(Group::Primary), &Tried::default(), 0))
            .map(|index| &*pool.servers()[index].name)
            .collect()
    }

    #[test]
    fn weights_are_spread_smoothly() {
        assert_eq!(picks(&pool("a=5 b c"), 14), "aabacaaaabacaa");
        assert_eq!(picks(&pool("a b c"), 6), "abcabc");
    }

    #[test]
    fn nobody_left_is_nobody() {
        assert_eq!(picks(&pool("a! b!"), 1), "");
    }

    #[test]
    fn weight_lost_to_failures_comes_back_by_one_per_round() {
        let pool = pool("a=3 b=3");
        pool.servers()[0].state.effective_weight.store(0, Relaxed);
        assert_eq!(picks(&pool, 2), "bb");
        assert_eq!(pool.servers()[0].state.effective_weight.load(Relaxed), 2);
    }

    proptest! {
        #[test]
        fn over_one_cycle_everybody_gets_exactly_the_weight(weights in prop::collection::vec(1_u32..20, 1..8)) {
            let words: Vec<_> = weights.iter().zip('a'..).map(|(weight, name)| format!("{name}={weight}")).collect();
            let pool = pool(&words.join(" "));
            let cycle = picks(&pool, weights.iter().sum::<u32>() as usize);
            for (weight, name) in weights.iter().zip('a'..) {
                prop_assert_eq!(cycle.matches(name).count(), *weight as usize);
            }
        }
    }
}
