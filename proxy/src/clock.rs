//! The only place where the proxy reads a clock.

use std::time::{Duration, Instant, SystemTime};

use crate::handshakes::Nanos;
use crate::pool::Seconds;

/// Added to the seconds since the start, so that "never" (0) lies far in the past, as it does in nginx.
const EPOCH: Seconds = 1_000_000_000;

/// Whole seconds for `health`, which never go back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    #[must_use]
    pub(crate) fn start() -> Self {
        Self { start: instant() }
    }

    #[must_use]
    pub(crate) fn seconds(&self) -> Seconds {
        EPOCH + instant().saturating_duration_since(self.start).as_secs()
    }

    /// For rates; enough for 584 years.
    #[must_use]
    pub(crate) fn nanos(&self) -> Nanos {
        let since = instant().saturating_duration_since(self.start);
        Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX)
    }
}

/// A point in time to measure from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(tokio::time::Instant);

impl Stopwatch {
    #[must_use]
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    #[must_use]
    pub(crate) fn at(&self) -> tokio::time::Instant {
        self.0
    }

    #[must_use]
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[allow(clippy::disallowed_methods, reason = "the clock's home")]
fn instant() -> Instant {
    Instant::now()
}

/// Calendar time, for cookies and metrics.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the clock's home")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
