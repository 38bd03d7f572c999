//! Waiting for a condition with a deadline, the only kind of waiting there is in these tests.

use std::time::Duration;

use crate::environment::now;

/// Small enough to be quick, large enough not to be load.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[must_use]
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asks until the condition answers something.
///
/// # Panics
/// When it has not within the deadline; `what` says which hope was in vain.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = now() + deadline;
    loop {
        if let Some(answer) = condition().await {
            return answer;
        }
        assert!(now() < end, "not within {deadline:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Waits for a future, but not for ever.
///
/// # Panics
/// When it is not done within the deadline.
pub async fn within<T>(what: &str, deadline: Duration, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(deadline, future).await {
        Ok(answer) => answer,
        Err(_elapsed) => panic!("not within {deadline:?}: {what}"),
    }
}
