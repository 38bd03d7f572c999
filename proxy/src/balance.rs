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
use crate::pool::{Pool, Seconds, Server, Tried};

/// Misses after which a method that aims at one server gives up (nginx).
const MISSES_MAX: u32 = 20;

/// Whether a method may consider the server at all.
fn is_candidate(index: usize, server: &Server, tried: &Tried, now: Seconds) -> bool {
    !tried.contains(index) && is_good_enough(server, tried, now) && server.has_room()
}

/// The points that one request aims at the primaries' weights; kept while the request is retried.
///
/// Static weights only: a server that is down or out keeps its part, so that nobody else's clients move.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aim<P> {
    points: P,
    misses: u32,
}

impl<P> Aim<P> {
    /// Whether it aimed in vain, so that servers take turns instead.
    pub(crate) fn has_given_up(&self) -> bool {
        self.misses > MISSES_MAX
    }

    /// Aims until a point is a candidate's; `None` when the misses are used up, or there is nothing to choose.
    fn hit<'p>(
        &mut self,
        pool: &'p Pool,
        tried: &Tried,
        now: Seconds,
        mut next_point: impl FnMut(&mut P) -> u64,
    ) -> Option<(usize, &'p Server)> {
        let total = pool.weight();
        if pool.primaries() < 2 || total == 0 {
            return None;
        }
        while self.misses <= MISSES_MAX {
            let hit = pool.at_weight(next_point(&mut self.points) % total);
            if let Some((index, server)) = hit
                && is_candidate(index, server, tried, now)
            {
                return hit;
            }
            self.misses += 1;
        }
        None
    }
}

/// Whether the server may serve, or is what the request has to take.
pub(crate) fn is_good_enough(server: &Server, tried: &Tried, now: Seconds) -> bool {
    health::may_serve(server, now)
        || tried
            .takes
            .is_some_and(|worst| health::badness(server, now).is_some_and(|bad| bad <= worst))
}
