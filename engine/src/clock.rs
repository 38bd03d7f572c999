//! The one place where the clock is read.

use std::time::Instant;

#[allow(
    clippy::disallowed_methods,
    reason = "heartbeats take the time as an argument, and this is where it comes from"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
