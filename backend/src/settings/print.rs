//! `--print-config`: the effective settings as a file that would give them, secrets masked.

use std::fmt;

use super::units::{show_duration, show_size};
use super::{Format, Origins, Secret, Settings, Transports};

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print_server(f)?;
        self.print_engine(f)?;
        self.print_chat(f)?;
        self.changes.print(f)?;
        self.rooms.print(f)?;
        self.print_append(f)?;
        self.admin.print(f)?;
        self.print_rest(f)
    }
}

impl Settings {
    fn print_server(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        let origins = match &server.cors_origins {
            Origins::Any => list(&["*"]),
            Origins::Only(origins) => list(origins),
        };
        writeln!(f, "[server]")?;
        writeln!(f, "host = {}", quote(&server.host.to_string()))?;
        writeln!(f, "port = {}", server.port)?;
        optional(f, "instance", server.instance.as_deref())?;
        writeln!(f, "cors_origins = {origins}")?;
        writeln!(f, "connections_max = {}", server.connections_max)?;
        writeln!(
            f,
            "head_timeout = \"{}\"",
            show_duration(server.head_timeout)
        )?;
        writeln!(
            f,
            "keepalive_timeout = \"{}\"",
            show_duration(server.keepalive_timeout)
        )?;
        writeln!(
            f,
            "body_bytes_max = \"{}\"",
            show_size(server.body_bytes_max)
        )?;
        writeln!(
            f,
            "drain_timeout = \"{}\"",
            show_duration(server.drain_timeout)
        )?;
        writeln!(
            f,
            "unacknowledged_timeout = \"{}\"",
            show_duration(server.unacknowledged_timeout)
        )?;
        if let Some(required) = &server.readiness_requires {
            let names: Vec<_> = required
                .iter()
                .map(|dependency| dependency.as_str())
                .collect();
            writeln!(f, "readiness_requires = {}", list(&names))?;
        }
        Ok(())
    }

    fn print_engine(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = &self.engine;
        let transports = match engine.transports {
            Transports::Both => list(&["websocket", "polling"]),
            Transports::WebSocket => list(&["websocket"]),
            Transports::Polling => list(&["polling"]),
        };
        writeln!(f, "\n[engine]")?;
        writeln!(
            f,
            "ping_interval = \"{}\"",
            show_duration(engine.ping_interval)
        )?;
        writeln!(
            f,
            "ping_timeout = \"{}\"",
            show_duration(engine.ping_timeout)
        )?;
        writeln!(f, "transports = {transports}")?;
        writeln!(
            f,
            "payload_bytes_max = \"{}\"",
            show_size(engine.payload_bytes_max)
        )?;
        writeln!(
            f,
            "buffer_bytes_max = \"{}\"",
            show_size(engine.buffer_bytes_max)
        )?;
        writeln!(
            f,
            "connect_timeout = \"{}\"",
            show_duration(engine.connect_timeout)
        )?;
        writeln!(
            f,
            "upgrade_timeout = \"{}\"",
            show_duration(engine.upgrade_timeout)
        )
    }

    fn print_chat(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chat = &self.chat;
        writeln!(f, "\n[chat]")?;
        writeln!(f, "guests = {}", chat.guests)?;
        writeln!(
            f,
            "content_bytes_max = \"{}\"",
            show_size(chat.content_bytes_max)
        )?;
        writeln!(
            f,
            "messages_per_second_max = {}",
            chat.messages_per_second_max
        )?;
        writeln!(f, "messages_burst_max = {}", chat.messages_burst_max)?;
        writeln!(
            f,
            "user_messages_per_second_max = {}",
            chat.user_messages_per_second_max
        )?;
        writeln!(
            f,
            "user_messages_burst_max = {}",
            chat.user_messages_burst_max
        )?;
        writeln!(f, "rooms_per_socket_max = {}", chat.rooms_per_socket_max)?;
        writeln!(f, "join_messages_default = {}", chat.join_messages_default)?;
        writeln!(f, "page_messages_max = {}", chat.page_messages_max)?;
        writeln!(f, "inbox_events_max = {}", chat.inbox_events_max)?;
        writeln!(
            f,
            "inbox_bytes_max = \"{}\"",
            show_size(chat.inbox_bytes_max)
        )?;
        writeln!(
            f,
            "in_flight_messages_max = {}",
            chat.in_flight_messages_max
        )
    }

    fn print_append(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let append = &self.append;
        writeln!(f, "\n[append]")?;
        writeln!(f, "room_messages_max = {}", append.room_messages_max)?;
        writeln!(
            f,
            "queue_bytes_max = \"{}\"",
            show_size(append.queue_bytes_max)
        )?;
        writeln!(f, "batch_messages_max = {}", append.batch_messages_max)?;
        writeln!(
            f,
            "batch_bytes_max = \"{}\"",
            show_size(append.batch_bytes_max)
        )?;
        writeln!(f, "timeout = \"{}\"", show_duration(append.timeout))
    }

    fn print_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.log.format {
            Format::Text => "text",
            Format::Json => "json",
        };
        writeln!(f, "\n[store]")?;
        writeln!(f, "kind = \"{}\"", self.store.kind.as_str())?;
        writeln!(
            f,
            "data = {}",
            quote(&self.store.data.display().to_string())
        )?;
        optional(f, "mongo_uri", self.store.mongo_uri.as_ref().map(|_| "***"))?;
        writeln!(f, "\n[redis]")?;
        optional(f, "url", self.redis.url.as_ref().map(|_| "***"))?;
        writeln!(f, "\n[session]")?;
        if !self.session.secrets.is_empty() {
            let masked: Vec<_> = self.session.secrets.iter().map(Secret::to_string).collect();
            writeln!(f, "secrets = {}", list(&masked))?;
        }
        writeln!(f, "ttl = \"{}\"", show_duration(self.session.ttl))?;
        writeln!(f, "cookie_secure = {}", self.session.cookie_secure)?;
        self.print_auth(f)?;
        self.print_jwt(f)?;
        self.print_presence(f)?;
        self.search.print(f)?;
        self.webhooks.print(f)?;
        writeln!(f, "\n[log]")?;
        writeln!(f, "level = \"{}\"", self.log.level.as_str())?;
        writeln!(f, "format = \"{format}\"")
    }
}

pub(super) fn optional(f: &mut fmt::Formatter<'_>, key: &str, value: Option<&str>) -> fmt::Result {
    match value {
        Some(value) => writeln!(f, "{key} = {}", quote(value)),
        None => writeln!(f, "# {key} is not set"),
    }
}

/// A TOML basic string.
pub(super) fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

pub(super) fn list(items: &[impl AsRef<str>]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| quote(item.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}
