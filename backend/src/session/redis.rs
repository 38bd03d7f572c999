//! Session records in Redis, byte for byte connect-redis': key `app:sess:<sid>`, JSON, `SET … EX`, touched by `EXPIRE`.
//!
//! Node and Berth log the same person in. While Redis is away every call fails at once; the connection comes back by itself.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use fred::clients::{Client, WithOptions};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::{
    Config, ConnectionConfig, Options, PerformanceConfig, ReconnectPolicy, TcpConfig,
    UnresponsiveConfig,
};
use fred::types::{Builder, Expiration};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::record::Lifetime;
use super::{Session, SessionError, SessionTtl, Sessions, now_ms};

#[cfg(test)]
mod tests;

/// The prefix of every key, the one in the guide's connect-redis setup.
pub const KEY_PREFIX: &str = "app:sess:";

/// The longest a caller waits for Redis: a login that takes longer is better refused.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// While this young, a caller waits for the first connection: the first request after a start should not be refused for milliseconds.
const FIRST_CONNECTION_TIME_MAX: Duration = Duration::from_secs(1);

/// Commands that may wait for the connection; beyond, Redis is too slow to be worth more memory.
const COMMANDS_QUEUED_MAX: usize = 4096;

/// Pauses between attempts to connect, doubling from one to the other, for ever: a login comes back seconds after Redis does.
const RECONNECT_DELAY_MIN_MS: u32 = 100;
const RECONNECT_DELAY_MAX_MS: u32 = 3_000;

/// Session records in a Redis that Node may share.
pub struct RedisSessions {
    client: Client,
    commands: WithOptions<Client>,
    started: Instant,
    connection: AbortHandle,
    prefix: String,
    ttl: SessionTtl,
}

impl RedisSessions {
    /// Starts connecting in the background, for ever, and returns at once. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`] when the URL (`redis://`, `rediss://`, `redis-cluster://`, `redis-sentinel://`) cannot be read.
    pub fn connect(url: &str, ttl: SessionTtl) -> Result<Self, SessionError> {
        Self::with_prefix(url, ttl, KEY_PREFIX)
    }

    fn with_prefix(url: &str, ttl: SessionTtl, prefix: &str) -> Result<Self, SessionError> {
        let client = client(url)
            // Only the library's words, not the URL: it may hold a password.
            .map_err(|why| SessionError::Unavailable(format!("bad Redis URL: {}", why.details())))?;
        let commands = client.with_options(&Options {
            fail_fast: true,
            ..Options::default()
        });
        let connection = client.connect().abort_handle();
        Ok(Self {
            client,
            commands,
            started: Instant::now(),
            connection,
            prefix: prefix.to_owned(),
            ttl,
        })
    }

    /// Whether commands can be sent now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Waits for the connection, at most for `patience`. Useful at start, when the first request should not be refused.
    pub async fn wait_connected(&self, patience: Duration) -> bool {
        let connected = tokio::time::timeout(patience, self.client.wait_for_connect()).await;
        matches!(connected, Ok(Ok(()))) || self.is_connected()
    }

    /// The client for one command. Soon after the start it may still be on its way.
    async fn commands(&self) -> &WithOptions<Client> {
        let left = FIRST_CONNECTION_TIME_MAX.saturating_sub(self.started.elapsed());
        if !left.is_zero() && !self.is_connected() {
            // Without a connection the command itself says so.
            let _connected: bool = self.wait_connected(left).await;
        }
        &self.commands
    }

    fn key(&self, sid: &str) -> String {
        format!("{}{sid}", self.prefix)
    }
}

impl Drop for RedisSessions {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl fmt::Debug for RedisSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessions")
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

pub(crate) fn client(url: &str) -> Result<Client, Error> {
    // The library would take a web address for a Redis.
    if !url.starts_with("redis") {
        return Err(Error::new(
            ErrorKind::Url,
            "it does not start with redis:// or rediss://",
        ));
    }
    let mut config = Config::from_url(url)?;
    // The first attempt is an attempt like any other.
    config.fail_fast = false;
    Builder::from_config(config)
        .set_policy(ReconnectPolicy::new_exponential(
            0,
            RECONNECT_DELAY_MIN_MS,
            RECONNECT_DELAY_MAX_MS,
            2,
        ))
        .set_performance_config(PerformanceConfig {
            default_command_timeout: COMMAND_TIMEOUT,
            ..PerformanceConfig::default()
        })
        .set_connection_config(ConnectionConfig {
            connection_timeout: COMMAND_TIMEOUT,
            internal_command_timeout: COMMAND_TIMEOUT,
            max_command_buffer_len: COMMANDS_QUEUED_MAX,
            reconnect_on_auth_error: true,
            unresponsive: UnresponsiveConfig {
                max_timeout: Some(2 * COMMAND_TIMEOUT),
                interval: COMMAND_TIMEOUT / 2,
            },
            tcp: TcpConfig {
                nodelay: Some(true),
                ..TcpConfig::default()
            },
            ..ConnectionConfig::default()
        })
        .build()
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        match error.kind() {
            // WRONGTYPE: somebody keeps something else under this key.
            ErrorKind::InvalidArgument | ErrorKind::Parse => Self::Malformed(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

#[async_trait]
impl Sessions for RedisSessions {
    async fn load(&self, sid: &str) -> Result<Option<Session>, SessionError> {
        let record: Option<String> = self.commands().await.get(self.key(sid)).await?;
        record.map(|text| Session::parse(&text)).transpose()
    }

    async fn save(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        let now_ms = now_ms();
        let session = session.checked()?.renewed(now_ms);
        match session.lifetime(now_ms, self.ttl) {
            Lifetime::Over => self.destroy(sid).await,
            Lifetime::Seconds(seconds) => {
                let ends = Some(Expiration::EX(i64::from(seconds)));
                Ok(self
                    .commands()
                    .await
                    .set(self.key(sid), session.to_json(), ends, None, false)
                    .await?)
            }
        }
    }

    async fn touch(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        let now_ms = now_ms();
        match session.renewed(now_ms).lifetime(now_ms, self.ttl) {
            Lifetime::Over => self.destroy(sid).await,
            Lifetime::Seconds(seconds) => Ok(self
                .commands()
                .await
                .expire(self.key(sid), i64::from(seconds), None)
                .await?),
        }
    }

    async fn destroy(&self, sid: &str) -> Result<(), SessionError> {
        Ok(self.commands().await.del(self.key(sid)).await?)
    }
}
