//! Fewest connections for its weight, as nginx's `least_conn`; ties go round by smooth weighted round robin.
//!
//! The weight is what `slow_start` leaves of it, or a server that lost its connections would be given all new ones.

use std::cmp::Ordering;

use super::{is_candidate, round_robin};
use crate::health::slow_start;
use crate::pool::{Seconds, Server, Tried};

pub fn pick<'a>(
    group: impl Iterator<Item = (usize, &'a Server)> + Clone,
    tried: &Tried,
    now: Seconds,
) -> Option<usize> {
    let candidates = group.filter(|(index, server)| is_candidate(*index, server, tried, now));
    let (mut best, mut is_tied) = (None, false);
    for (index, server) in candidates.clone() {
        let load = Load::of(server, now);
        match best.map_or(Ordering::Less, |(_, least)| load.compare(least)) {
            Ordering::Less => (best, is_tied) = (Some((index, load)), false),
            Ordering::Equal => is_tied = true,
            Ordering::Greater => {}
        }
    }
    let (first, least) = best?;
    if !is_tied {
        return Some(first);
    }
    // Connections of others may change meanwhile; the servers are compared with what was just seen, not with each other again.
    let ties = candidates.filter(|(_, server)| Load::of(server, now).compare(least).is_eq());
    // Nobody's turn: everybody's load changed between the two looks.
    round_robin::turn(ties, now).or(Some(first))
}

/// Connections for the weight.
#[derive(Clone, Copy)]
pub(super) struct Load {
    connections: u64,
    weight: u64,
}

impl Load {
    pub(super) fn of(server: &Server, now: Seconds) -> Self {
        Self {
            connections: u64::from(server.state.connections()),
            weight: u64::from(server.weight) * u64::from(slow_start::part(server, now)),
        }
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        (self.connections * other.weight).cmp(&(other.connections * self.weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    use crate::pool::Group;
    use crate::pool::tests::pool;
    use proptest::prelude::*;

    /// Gives `count` connections that never end.
    #[track_caller]
    fn check(servers: &str, count: usize, picked: &str) {
        let pool = pool(servers);
        let names: String = (0..count)
            .filter_map(|_| pick(pool.group(Group::Primary), &Tried::default(), 0))
            .map(|index| {
                let server = &pool.servers()[index];
                server.state.connections.fetch_add(1, Relaxed);
                &*server.name
            })
            .collect();
        assert_eq!(names, picked);
    }

    #[test]
    fn equals_take_turns() {
        check("a b c", 6, "abccba");
    }

    #[test]
    fn weight_divides_the_load() {
        check("a=2 b", 6, "ababaa");
    }

    #[test]
    fn a_server_that_is_down_gets_nothing() {
        check("a! b", 2, "bb");
        check("a!", 1, "");
    }

    proptest! {
        #[test]
        fn nobody_less_loaded_is_passed_over(loads in prop::collection::vec((0_u32..50, 1_u32..5), 1..8)) {
            let words: Vec<_> = loads.iter().zip('a'..).map(|((_, weight), name)| format!("{name}={weight}")).collect();
            let pool = pool(&words.join(" "));
            for (server, (connections, _)) in pool.servers().iter().zip(&loads) {
                server.state.connections.store(*connections, Relaxed);
            }
            let picked = pick(pool.group(Group::Primary), &Tried::default(), 0).unwrap();
            for server in pool.servers() {
                prop_assert!(!Load::of(server, 0).compare(Load::of(&pool.servers()[picked], 0)).is_lt());
            }
        }
    }
}
