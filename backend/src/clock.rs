//! Reads the clocks, so that nothing else in the instance does.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// For rates and durations.
#[must_use]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the monotonic clock"
)]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Milliseconds since the Unix epoch. A clock set before it reads as 0.
#[must_use]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
pub fn unix_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
