//! What an operator can decide, checked. Flags win over the environment, that over the file, that over the defaults.
//!
//! A [`Settings`] can only exist consistent: [`assemble`] reports every broken rule at once. The defaults and their units are here and,
//! with the reasons, in `config/backend.toml`; a test keeps the two together. Core modules never see this type.

mod admin;
mod api_keys;
mod assemble;
mod auth;
mod changes;
mod file;
mod judge;
mod presence;
mod print;
mod problem;
mod rooms;
mod search;
mod secret;
mod units;
mod webhooks;
mod words;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::chat::limits::Limits;

pub use admin::Admin;
pub use assemble::{Overrides, assemble, load};
pub use auth::{Auth, Jwt, JwtAlgorithm};
pub use changes::Changes;
pub use presence::Presence;
pub use problem::{Problem, Problems};
pub use rooms::Rooms;
pub use search::Search;
pub use secret::Secret;
pub use webhooks::Webhooks;

/// Everything. Sections are those of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub server: Server,
    pub engine: Engine,
    pub chat: Chat,
    pub changes: Changes,
    pub rooms: Rooms,
    pub append: Append,
    pub store: Store,
    pub redis: Redis,
    pub session: Session,
    pub admin: Admin,
    pub auth: Auth,
    pub jwt: Jwt,
    pub presence: Presence,
    pub search: Search,
    pub webhooks: Webhooks,
    pub log: Log,
}

/// `[server]`: the listener and HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub host: IpAddr,
    /// 0 lets the system choose.
    pub port: u16,
    /// Names this server to operators, clients and the metrics of the proxy. `None`: host name and port.
    pub instance: Option<String>,
    pub cors_origins: Origins,
    pub connections_max: usize,
    /// From accept to the end of the first request's head.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub keepalive_timeout: Duration,
    /// HTTP bodies outside Engine.IO.
    pub body_bytes_max: usize,
    pub drain_timeout: Duration,
    /// How long sent bytes may stay unacknowledged before the peer counts as gone (`TCP_USER_TIMEOUT`).
    pub unacknowledged_timeout: Duration,
    /// What must be up for readiness. `None`: everything that is configured.
    pub readiness_requires: Option<Vec<Dependency>>,
}

/// Which pages may talk to us from another origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Any origin, credentials included: the origin is reflected.
    Any,
    /// These, as `scheme://host[:port]`. Handshakes from other origins are refused.
    Only(Vec<String>),
}

/// What readiness can look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    Store,
    Redis,
}

impl Dependency {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Redis => "redis",
        }
    }
}

/// `[engine]`: Engine.IO and Socket.IO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    pub transports: Transports,
    /// One Engine.IO payload, WebSocket frame or message, each way.
    pub payload_bytes_max: usize,
    /// Bytes waiting for one slow client before its connection is closed.
    pub buffer_bytes_max: usize,
    pub connect_timeout: Duration,
    pub upgrade_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transports {
    Both,
    WebSocket,
    Polling,
}

/// `[chat]`: what clients may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Whether a client without a session may come in.
    pub guests: bool,
    pub content_bytes_max: usize,
    pub messages_per_second_max: u32,
    pub messages_burst_max: u32,
    /// The same over all connections of one user on this server.
    pub user_messages_per_second_max: u32,
    pub user_messages_burst_max: u32,
    pub rooms_per_socket_max: usize,
    pub join_messages_default: u32,
    pub page_messages_max: u32,
    /// Events of one socket that wait for their turn.
    pub inbox_events_max: usize,
    pub inbox_bytes_max: usize,
    /// Messages of one socket on their way to the store.
    pub in_flight_messages_max: usize,
}

/// `[append]`: the queue in front of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    pub room_messages_max: usize,
    pub queue_bytes_max: usize,
    pub batch_messages_max: usize,
    pub batch_bytes_max: usize,
    pub timeout: Duration,
}

/// `[store]`: where messages are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub kind: StoreKind,
    /// The folder of the embedded stores.
    pub data: PathBuf,
    pub mongo_uri: Option<Secret>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    MongoDb,
    Sqlite,
    Memory,
}

impl StoreKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MongoDb => "mongodb",
            Self::Sqlite => "sqlite",
            Self::Memory => "memory",
        }
    }
}

/// `[redis]`: how instances hear each other. None: this server is alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redis {
    pub url: Option<Secret>,
}

/// `[session]`: express-session's cookie and records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The first signs, all verify. Empty: see `server::secrets`.
    pub secrets: Vec<Secret>,
    pub ttl: Duration,
    /// Whether the cookie is only sent over TLS.
    pub cookie_secure: bool,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub level: Level,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 3000,
            instance: None,
            cors_origins: Origins::Any,
            connections_max: 20_000,
            head_timeout: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(75),
            body_bytes_max: 64 * 1024,
            drain_timeout: Duration::from_secs(10),
            unacknowledged_timeout: Duration::from_secs(40),
            readiness_requires: None,
        }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(60),
            transports: Transports::Both,
            payload_bytes_max: 1_000_000,
            buffer_bytes_max: 4 * 1024 * 1024,
            connect_timeout: Duration::from_secs(45),
            upgrade_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            guests: true,
            content_bytes_max: 16 * 1024,
            messages_per_second_max: 1_000,
            messages_burst_max: 10_000,
            user_messages_per_second_max: 2_000,
            user_messages_burst_max: 20_000,
            rooms_per_socket_max: 200,
            join_messages_default: 50,
            page_messages_max: 200,
            inbox_events_max: 10_000,
            inbox_bytes_max: 4 * 1024 * 1024,
            in_flight_messages_max: 256,
        }
    }
}

impl Chat {
    /// What the core needs of this section and the next.
    #[must_use]
    pub fn limits(&self, changes: &Changes) -> Limits {
        Limits {
            content_bytes_max: self.content_bytes_max,
            messages_per_second_max: self.messages_per_second_max,
            messages_burst_max: self.messages_burst_max,
            user_messages_per_second_max: self.user_messages_per_second_max,
            user_messages_burst_max: self.user_messages_burst_max,
            rooms_per_socket_max: self.rooms_per_socket_max,
            page_messages_max: self.page_messages_max,
            join_messages_default: self.join_messages_default,
            edit_window: changes.edit_window,
            reactions_per_message_max: changes.reactions_per_message_max,
            emojis_per_message_max: changes.emojis_per_message_max,
        }
    }
}

impl Default for Append {
    fn default() -> Self {
        Self {
            room_messages_max: 4_096,
            queue_bytes_max: 64 * 1024 * 1024,
            batch_messages_max: 256,
            batch_bytes_max: 256 * 1024,
            timeout: Duration::from_secs(20),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kind: StoreKind::Sqlite,
            data: PathBuf::from("data"),
            mongo_uri: None,
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            ttl: Duration::from_secs(24 * 60 * 60),
            cookie_secure: false,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: Format::Text,
        }
    }
}

#[cfg(test)]
mod tests;
