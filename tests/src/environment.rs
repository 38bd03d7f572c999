//! What the harness asks its surroundings: the clock, the environment, and where the repository lies.

use std::path::{Path, PathBuf};
use std::time::Instant;

/// The time, for deadlines.
#[allow(
    clippy::disallowed_methods,
    reason = "the harness' one reading of the clock"
)]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// An environment variable, if it is set and not empty.
#[allow(
    clippy::disallowed_methods,
    reason = "the harness' one reading of the environment"
)]
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_owned()
}
