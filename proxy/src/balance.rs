//! Which server of a group gets a request that belongs to none yet. One module per method, each exactly as nginx's.
//!
//! The methods only look and count; that a server was picked is noted by `choose`.

pub mod ip_hash;
pub mod least_conn;
pub mod round_robin;

use crate::health;
use crate::pool::{Seconds, Server, Tried};

/// Whether a method may consider the server at all.
fn is_candidate(index: usize, server: &Server, tried: &Tried, now: Seconds) -> bool {
    !tried.contains(index) && health::may_serve(server, now)
}
