//! What a cluster promises, checked with real Socket.IO servers and clients: the same tests over
//! the in-process hub and over a real Redis, and then Redis failing in every way that it can.
//!
//! Tests named `needs_redis_*` want a Redis in `REDIS_URL`, or, where Redis itself has to fail or be
//! looked into, start their own with the program `redis-server`.

#[cfg(test)]
mod client;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod redis_server;
#[cfg(test)]
mod server;
#[cfg(test)]
mod wire;

use std::future::Future;
use std::time::Duration;

/// Long enough for a busy machine; a test that waits so long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The outcome of something that has to happen soon.
#[allow(clippy::panic, reason = "this is how a test fails")]
pub(crate) async fn soon<T>(what: &str, happening: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, happening).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}
