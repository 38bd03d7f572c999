//! The only place where the bench reads a clock.

use std::time::Instant;

#[must_use]
#[allow(clippy::disallowed_methods, reason = "the clock's home")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
