//! Which server of a group gets a request that belongs to none yet. One module per method, each exactly as nginx's.
//!
//! The methods only look and count; that a server was picked is noted by `choose`.

pub mod hash;
pub mod hash_consistent;
pub mod ip_hash;
pub mod least_conn;
pub mod random_two;
pub mod round_robin;

use crate::health;
use crate::pool::{Group, Pool, Seconds, Server, Tried};

/// Misses after which a method that aims at one server gives up (nginx).
const MISSES_MAX: u32 = 20;

/// Whether a method may consider the server at all.
fn is_candidate(index: usize, server: &Server, tried: &Tried, now: Seconds) -> bool {
    !tried.contains(index) && is_good_enough(server, tried, now) && server.has_room()
}

/// The weights of all primaries. Those that are down or out keep their part: nobody else's clients move.
fn total_weight(pool: &Pool) -> u64 {
    pool.group(Group::Primary)
        .map(|(_, server)| u64::from(server.weight))
        .sum()
}

/// The primary whose stretch of the weights holds `point`.
fn at_weight(pool: &Pool, mut point: u64) -> Option<(usize, &Server)> {
    for (index, server) in pool.group(Group::Primary) {
        match point.checked_sub(u64::from(server.weight)) {
            Some(beyond) => point = beyond,
            None => return Some((index, server)),
        }
    }
    None
}

/// Whether the server may serve, or is what the request has to take.
pub(crate) fn is_good_enough(server: &Server, tried: &Tried, now: Seconds) -> bool {
    health::may_serve(server, now)
        || tried
            .takes
            .is_some_and(|worst| health::badness(server, now).is_some_and(|bad| bad <= worst))
}
