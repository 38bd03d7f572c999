//! Who a client is across requests: express-session's cookie and connect-redis' records.
//!
//! The port behind which session records are kept: Redis (shared with Node) or embedded. It does not know sockets.

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::token::SessionDigest;

pub use record::{SessionUser, USER_PATHS};

#[cfg(test)]
mod contract;
pub mod cookie;
pub mod memory;
pub mod recent;
mod record;
pub mod redis;
pub mod sqlite;

/// A session record exactly as express-session keeps it, unknown fields included and in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Session(pub Map<String, Value>);

/// How long a record lives whose cookie names no end (a browser-session cookie).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTtl {
    pub default_seconds: u32,
}

impl Default for SessionTtl {
    /// connect-redis' default, a day.
    fn default() -> Self {
        Self {
            default_seconds: 86_400,
        }
    }
}

/// Where session records live.
///
/// A record lives until its `cookie.expires`, else for [`SessionTtl`]. Saving and touching start that anew when the cookie has an
/// `originalMaxAge`, as express-session does at the end of each request. The keeper's own clock decides when a record is over:
/// the `expires` inside an old record may lie in the past although touching has kept it alive.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// # Errors
    /// [`SessionError`] when the keeper cannot be asked. A missing or expired record is `Ok(None)`.
    async fn load(&self, sid: &str) -> Result<Option<Session>, SessionError>;

    /// # Errors
    /// [`SessionError`] when the record was not kept, or has no `cookie` object. A record that is already over is removed instead.
    async fn save(&self, sid: &str, session: &Session) -> Result<(), SessionError>;

    /// # Errors
    /// [`SessionError`] when the keeper cannot be asked. Touching a missing record does nothing.
    /// The stored record itself is not rewritten.
    async fn touch(&self, sid: &str, session: &Session) -> Result<(), SessionError>;

    /// # Errors
    /// [`SessionError`] when the keeper cannot be asked. Destroying a missing record does nothing.
    async fn destroy(&self, sid: &str) -> Result<(), SessionError>;

    /// Another instance has ended this session: what is remembered of it beside the keeper must go.
    fn forget(&self, _session: SessionDigest) {}
}

/// Why a session keeper did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("session store unavailable: {0}")]
    Unavailable(String),
    #[error("session record is not express-session's: {0}")]
    Malformed(String),
}

/// Milliseconds since the Unix epoch. The keepers are shells: they read the clock here and pass it on.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where the session keepers read the clock"
)]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
