//! The shape of `backend.toml`: what serde may fill. Nothing is judged here; see `assemble`.
//!
//! Values keep their place in the file, so that a problem can point at it. Unknown keys are errors.

use serde::Deserialize;
use toml::Spanned;

pub(super) type Key<T> = Option<Spanned<T>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) server: Server,
    pub(super) engine: Engine,
    pub(super) chat: Chat,
    pub(super) changes: super::changes::File,
    pub(super) rooms: super::rooms::File,
    pub(super) append: Append,
    pub(super) store: Store,
    pub(super) redis: Redis,
    pub(super) session: Session,
    pub(super) admin: super::admin::File,
    pub(super) auth: super::auth::AuthFile,
    pub(super) jwt: super::auth::JwtFile,
    pub(super) presence: super::presence::PresenceFile,
    pub(super) search: super::search::File,
    pub(super) webhooks: super::webhooks::File,
    pub(super) log: Log,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    pub(super) host: Key<String>,
    pub(super) port: Key<u16>,
    pub(super) instance: Key<String>,
    pub(super) cors_origins: Key<Vec<String>>,
    pub(super) connections_max: Key<u32>,
    pub(super) head_timeout: Key<String>,
    pub(super) keepalive_timeout: Key<String>,
    pub(super) body_bytes_max: Key<String>,
    pub(super) drain_timeout: Key<String>,
    pub(super) unacknowledged_timeout: Key<String>,
    pub(super) readiness_requires: Key<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Engine {
    pub(super) ping_interval: Key<String>,
    pub(super) ping_timeout: Key<String>,
    pub(super) transports: Key<Vec<String>>,
    pub(super) payload_bytes_max: Key<String>,
    pub(super) buffer_bytes_max: Key<String>,
    pub(super) connect_timeout: Key<String>,
    pub(super) upgrade_timeout: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Chat {
    pub(super) guests: Key<bool>,
    pub(super) content_bytes_max: Key<String>,
    pub(super) messages_per_second_max: Key<u32>,
    pub(super) messages_burst_max: Key<u32>,
    pub(super) user_messages_per_second_max: Key<u32>,
    pub(super) user_messages_burst_max: Key<u32>,
    pub(super) rooms_per_socket_max: Key<u32>,
    pub(super) join_messages_default: Key<u32>,
    pub(super) page_messages_max: Key<u32>,
    pub(super) inbox_events_max: Key<u32>,
    pub(super) inbox_bytes_max: Key<String>,
    pub(super) in_flight_messages_max: Key<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Append {
    pub(super) room_messages_max: Key<u32>,
    pub(super) queue_bytes_max: Key<String>,
    pub(super) batch_messages_max: Key<u32>,
    pub(super) batch_bytes_max: Key<String>,
    pub(super) timeout: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) kind: Key<String>,
    pub(super) data: Key<String>,
    pub(super) mongo_uri: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Redis {
    pub(super) url: Key<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Session {
    pub(super) secrets: Key<Vec<String>>,
    pub(super) ttl: Key<String>,
    pub(super) cookie_secure: Key<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) level: Key<String>,
    pub(super) format: Key<String>,
}
