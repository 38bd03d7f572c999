//! Who a client is across requests: express-session's cookie and connect-redis' records.
//!
//! The port behind which session records are kept: Redis (shared with Node) or embedded. It does not know sockets.

use async_trait::async_trait;
use serde_json::{Map, Value};

/// A session record exactly as express-session keeps it, unknown fields included and in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Session(pub Map<String, Value>);

/// Where session records live. A record has a time to live; touching it starts that anew.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// # Errors
    /// [`SessionError`] when the keeper cannot be asked. A missing or expired record is `Ok(None)`.
    async fn load(&self, sid: &str) -> Result<Option<Session>, SessionError>;

    /// # Errors
    /// [`SessionError`] when the record was not kept.
    async fn save(&self, sid: &str, session: &Session) -> Result<(), SessionError>;

    /// # Errors
    /// [`SessionError`] when the keeper cannot be asked. Touching a missing record does nothing.
    async fn touch(&self, sid: &str, session: &Session) -> Result<(), SessionError>;

    /// # Errors
    /// [`SessionError`] when the keeper cannot be asked. Destroying a missing record does nothing.
    async fn destroy(&self, sid: &str) -> Result<(), SessionError>;
}

/// Why a session keeper did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("session store unavailable: {0}")]
    Unavailable(String),
    #[error("session record is not express-session's: {0}")]
    Malformed(String),
}
