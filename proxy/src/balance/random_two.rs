//! Two servers drawn by weight, the less loaded of them taken: nginx's `random two least_conn`.
//!
//! For several proxies before the same servers: each sees only its own connections, so "the least loaded" would be the
//! same server to all of them. After 20 misses smooth weighted round robin decides.

use super::least_conn::Load;
use super::{Aim, round_robin};
use crate::pool::{Group, Pool, Seconds, Tried};

pub type Draws = Aim<Count>;

/// How many numbers one request has drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count(u32);

impl Count {
    /// The next of the even draws that follow from one random number (SplitMix64).
    fn next(&mut self, dice: u64) -> u64 {
        self.0 += 1;
        let mut mixed = dice.wrapping_add(u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// `dice` is any random number.
pub fn pick(
    pool: &Pool,
    dice: u64,
    draws: &mut Draws,
    tried: &Tried,
    now: Seconds,
) -> Option<usize> {
    let next = |count: &mut Count| count.next(dice);
    if let Some((earlier, rival)) = draws.hit(pool, tried, now, next) {
        while let Some((index, server)) = draws.hit(pool, tried, now, next) {
            if index != earlier {
                let is_busier = Load::of(server, now).compare(Load::of(rival, now)).is_gt();
                return Some(if is_busier { earlier } else { index });
            }
            draws.misses += 1;
        }
    }
    round_robin::pick(pool.group(Group::Primary), tried, now)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;
    use crate::pool::tests::pool;
    use proptest::prelude::*;

    fn picked(pool: &Pool, dice: u64) -> Option<usize> {
        pick(pool, dice, &mut Draws::default(), &Tried::default(), 0)
    }

    #[test]
    fn draws_are_spread_by_weight() {
        let (pool, mut counts) = (pool("a b c=2 d"), [0_u32; 4]);
        // Each gets as many connections as fit its weight, so both rules together end at the weights.
        for dice in 0..5000 {
            let index = picked(&pool, dice).unwrap();
            pool.servers()[index]
                .state
                .connections
                .fetch_add(1, Relaxed);
            counts[index] += 1;
        }
        for (count, expected) in counts.iter().zip([1000_u32, 1000, 2000, 1000]) {
            assert!(count.abs_diff(expected) < 10, "{counts:?}");
        }
    }

    #[test]
    fn the_only_live_server_is_found() {
        let pool = pool("a! b c!");
        assert!((0..100).all(|dice| picked(&pool, dice) == Some(1)));
    }

    #[test]
    fn nobody_live_is_nobody() {
        assert_eq!(picked(&pool("a! b!"), 7), None);
        assert_eq!(picked(&pool(""), 7), None);
    }

    proptest! {
        #[test]
        fn the_busiest_is_never_taken_while_two_others_may(dice in any::<u64>(), busiest in 0_usize..3) {
            let pool = pool("a b c");
            pool.servers()[busiest].state.connections.store(9, Relaxed);
            prop_assert_ne!(picked(&pool, dice), Some(busiest));
        }
    }
}
