//! Lays flags and environment over the file, the file over the defaults, and judges every value.

use std::path::Path;

use super::file::{self, File, Key};
use super::judge::Judge;
use super::problem::{Problem, Problems, place};
use super::words::{
    parse_data, parse_dependencies, parse_format, parse_host, parse_instance, parse_level,
    parse_mongo_uri, parse_origins, parse_port, parse_redis_url, parse_secrets, parse_store_kind,
    parse_transports, split_list,
};
use super::{Append, Chat, Engine, Log, Redis, Server, Session, Settings, Store, StoreKind};

/// What the command line and the environment say, unjudged. A flag has already won over its variable.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub host: Option<String>,
    pub port: Option<String>,
    pub redis_url: Option<String>,
    pub mongo_uri: Option<String>,
    pub store: Option<String>,
    pub data: Option<String>,
    /// Comma-separated: the first signs, all verify.
    pub session_secret: Option<String>,
    pub admin_token: Option<String>,
    pub log_level: Option<String>,
    pub log_format: Option<String>,
    /// Comma-separated, as above.
    pub jwt_secret: Option<String>,
    /// Comma-separated bots, each a name, a colon, and the SHA-256 of its key.
    pub api_keys: Option<String>,
    pub instance: Option<String>,
    pub cors_origin: Option<String>,
    pub webhook_url: Option<String>,
    /// Comma-separated: each signs.
    pub webhook_secret: Option<String>,
}

/// Types as a person names them.
fn in_words(message: &str) -> String {
    message
        .replace("u16", "a number from 0 to 65535")
        .replace("u32", "a whole number")
}

/// Reads the file, if there is one, and assembles.
///
/// # Errors
/// Every problem found, with its place.
pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Settings, Problems> {
    let Some(path) = path else {
        return assemble("", "", overrides);
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problems(vec![Problem {
            place: name.clone(),
            message: format!("cannot be read: {error}"),
        }])
    })?;
    assemble(&name, &text, overrides)
}

/// Assembles from the text of a file called `name`.
///
/// # Errors
/// Every problem found, with its place. A file that is not TOML, or has an unknown key, stops at that.
pub fn assemble(name: &str, text: &str, overrides: &Overrides) -> Result<Settings, Problems> {
    let file: File = toml::from_str(text).map_err(|error| {
        let place = error
            .span()
            .map_or_else(|| name.to_owned(), |span| place(name, text, &span));
        Problems(vec![Problem {
            place,
            message: in_words(error.message()),
        }])
    })?;
    let mut judge = Judge {
        name,
        text,
        problems: Vec::new(),
    };
    let settings = Settings {
        server: judge.server(file.server, overrides),
        engine: judge.engine(file.engine),
        chat: judge.chat(file.chat),
        changes: judge.changes(file.changes),
        rooms: judge.rooms(file.rooms),
        append: judge.append(file.append),
        store: judge.store(file.store, overrides),
        redis: judge.redis(file.redis, overrides),
        session: judge.session(file.session, overrides),
        admin: judge.admin(file.admin, overrides),
        auth: judge.auth(file.auth, overrides),
        jwt: judge.jwt(file.jwt, overrides),
        presence: judge.presence(file.presence),
        search: judge.search(file.search),
        webhooks: judge.webhooks(file.webhooks, overrides),
        log: judge.log(file.log, overrides),
    };
    if judge.problems.is_empty() {
        Ok(settings)
    } else {
        Err(Problems(judge.problems))
    }
}

impl Judge<'_> {
    fn server(&mut self, file: file::Server, overrides: &Overrides) -> Server {
        let default = Server::default();
        let origins = self.file("server.cors_origins", file.cors_origins, parse_origins);
        let origins = self.over("--cors-origin", &overrides.cors_origin, origins, |text| {
            parse_origins(split_list(text))
        });
        let host = self.file("server.host", file.host, |text| parse_host(&text));
        let port = self.file("server.port", file.port, Ok);
        let instance = self.file("server.instance", file.instance, parse_instance);
        Server {
            host: self
                .over("--host", &overrides.host, host, parse_host)
                .unwrap_or(default.host),
            port: self
                .over("--port", &overrides.port, port, parse_port)
                .unwrap_or(default.port),
            instance: self.over("--instance", &overrides.instance, instance, |text| {
                parse_instance(text.to_owned())
            }),
            cors_origins: origins.unwrap_or(default.cors_origins),
            connections_max: self.count(
                "server.connections_max",
                file.connections_max,
                default.connections_max,
            ),
            head_timeout: self.time(
                "server.head_timeout",
                file.head_timeout,
                default.head_timeout,
            ),
            keepalive_timeout: self.time(
                "server.keepalive_timeout",
                file.keepalive_timeout,
                default.keepalive_timeout,
            ),
            body_bytes_max: self.size(
                "server.body_bytes_max",
                file.body_bytes_max,
                default.body_bytes_max,
            ),
            drain_timeout: self.time(
                "server.drain_timeout",
                file.drain_timeout,
                default.drain_timeout,
            ),
            unacknowledged_timeout: self.time(
                "server.unacknowledged_timeout",
                file.unacknowledged_timeout,
                default.unacknowledged_timeout,
            ),
            readiness_requires: self.file(
                "server.readiness_requires",
                file.readiness_requires,
                parse_dependencies,
            ),
        }
    }

    fn engine(&mut self, file: file::Engine) -> Engine {
        let default = Engine::default();
        Engine {
            ping_interval: self.time(
                "engine.ping_interval",
                file.ping_interval,
                default.ping_interval,
            ),
            ping_timeout: self.time(
                "engine.ping_timeout",
                file.ping_timeout,
                default.ping_timeout,
            ),
            transports: self
                .file("engine.transports", file.transports, |names| {
                    parse_transports(&names)
                })
                .unwrap_or(default.transports),
            payload_bytes_max: self.size(
                "engine.payload_bytes_max",
                file.payload_bytes_max,
                default.payload_bytes_max,
            ),
            buffer_bytes_max: self.size(
                "engine.buffer_bytes_max",
                file.buffer_bytes_max,
                default.buffer_bytes_max,
            ),
            connect_timeout: self.time(
                "engine.connect_timeout",
                file.connect_timeout,
                default.connect_timeout,
            ),
            upgrade_timeout: self.time(
                "engine.upgrade_timeout",
                file.upgrade_timeout,
                default.upgrade_timeout,
            ),
        }
    }

    /// What one user may send over all connections: on average per second, and at once.
    fn of_user(&mut self, (rate, burst): (Key<u32>, Key<u32>), default: &Chat) -> (u32, u32) {
        let rate_key = "chat.user_messages_per_second_max";
        let rate = self.count32(rate_key, rate, default.user_messages_per_second_max);
        let burst_key = "chat.user_messages_burst_max";
        let burst = self.count32(burst_key, burst, default.user_messages_burst_max);
        (rate, burst)
    }

    fn chat(&mut self, file: file::Chat) -> Chat {
        let default = Chat::default();
        let user = (
            file.user_messages_per_second_max,
            file.user_messages_burst_max,
        );
        let (user_messages_per_second_max, user_messages_burst_max) = self.of_user(user, &default);
        Chat {
            guests: self
                .file("chat.guests", file.guests, Ok)
                .unwrap_or(default.guests),
            content_bytes_max: self.size(
                "chat.content_bytes_max",
                file.content_bytes_max,
                default.content_bytes_max,
            ),
            messages_per_second_max: self.count32(
                "chat.messages_per_second_max",
                file.messages_per_second_max,
                default.messages_per_second_max,
            ),
            messages_burst_max: self.count32(
                "chat.messages_burst_max",
                file.messages_burst_max,
                default.messages_burst_max,
            ),
            user_messages_per_second_max,
            user_messages_burst_max,
            rooms_per_socket_max: self.count(
                "chat.rooms_per_socket_max",
                file.rooms_per_socket_max,
                default.rooms_per_socket_max,
            ),
            join_messages_default: self.count32(
                "chat.join_messages_default",
                file.join_messages_default,
                default.join_messages_default,
            ),
            page_messages_max: self.count32(
                "chat.page_messages_max",
                file.page_messages_max,
                default.page_messages_max,
            ),
            inbox_events_max: self.count(
                "chat.inbox_events_max",
                file.inbox_events_max,
                default.inbox_events_max,
            ),
            inbox_bytes_max: self.size(
                "chat.inbox_bytes_max",
                file.inbox_bytes_max,
                default.inbox_bytes_max,
            ),
            in_flight_messages_max: self.count(
                "chat.in_flight_messages_max",
                file.in_flight_messages_max,
                default.in_flight_messages_max,
            ),
        }
    }

    fn append(&mut self, file: file::Append) -> Append {
        let default = Append::default();
        Append {
            room_messages_max: self.count(
                "append.room_messages_max",
                file.room_messages_max,
                default.room_messages_max,
            ),
            queue_bytes_max: self.size(
                "append.queue_bytes_max",
                file.queue_bytes_max,
                default.queue_bytes_max,
            ),
            batch_messages_max: self.count(
                "append.batch_messages_max",
                file.batch_messages_max,
                default.batch_messages_max,
            ),
            batch_bytes_max: self.size(
                "append.batch_bytes_max",
                file.batch_bytes_max,
                default.batch_bytes_max,
            ),
            timeout: self.time("append.timeout", file.timeout, default.timeout),
        }
    }

    fn store(&mut self, file: file::Store, overrides: &Overrides) -> Store {
        let default = Store::default();
        let uri = self.file("store.mongo_uri", file.mongo_uri, |text| {
            parse_mongo_uri(&text)
        });
        let mongo_uri = self.over(
            "--mongo-uri (MONGO_URI)",
            &overrides.mongo_uri,
            uri,
            parse_mongo_uri,
        );
        let kind = self.file("store.kind", file.kind, |text| parse_store_kind(&text));
        let kind = self.over(
            "--store (BERTH_STORE)",
            &overrides.store,
            kind,
            parse_store_kind,
        );
        if kind == Some(StoreKind::MongoDb) && mongo_uri.is_none() {
            self.problem(self.whole(), "store.kind is \"mongodb\" but there is no URI; give store.mongo_uri, --mongo-uri or MONGO_URI");
        }
        let fallback = if mongo_uri.is_some() {
            StoreKind::MongoDb
        } else {
            default.kind
        };
        let data = self.file("store.data", file.data, |text| parse_data(&text));
        Store {
            kind: kind.unwrap_or(fallback),
            data: self
                .over("--data (BERTH_DATA)", &overrides.data, data, parse_data)
                .unwrap_or(default.data),
            mongo_uri,
        }
    }

    fn redis(&mut self, file: file::Redis, overrides: &Overrides) -> Redis {
        let url = self.file("redis.url", file.url, |text| parse_redis_url(&text));
        Redis {
            url: self.over(
                "--redis-url (REDIS_URL)",
                &overrides.redis_url,
                url,
                parse_redis_url,
            ),
        }
    }

    fn session(&mut self, file: file::Session, overrides: &Overrides) -> Session {
        let default = Session::default();
        let secrets = self.file("session.secrets", file.secrets, parse_secrets);
        let secrets = self.over(
            "--session-secret (SESSION_SECRET)",
            &overrides.session_secret,
            secrets,
            |text| parse_secrets(split_list(text)),
        );
        Session {
            secrets: secrets.unwrap_or(default.secrets),
            ttl: self.time("session.ttl", file.ttl, default.ttl),
            cookie_secure: self
                .file("session.cookie_secure", file.cookie_secure, Ok)
                .unwrap_or(default.cookie_secure),
        }
    }

    fn log(&mut self, file: file::Log, overrides: &Overrides) -> Log {
        let default = Log::default();
        let level = self.file("log.level", file.level, |text| parse_level(&text));
        let format = self.file("log.format", file.format, |text| parse_format(&text));
        Log {
            level: self
                .over(
                    "--log-level (LOG_LEVEL)",
                    &overrides.log_level,
                    level,
                    parse_level,
                )
                .unwrap_or(default.level),
            format: self
                .over("LOG_FORMAT", &overrides.log_format, format, parse_format)
                .unwrap_or(default.format),
        }
    }
}
