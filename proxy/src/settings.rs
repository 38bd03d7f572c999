//! What the proxy is told to do, already judged: values that can only exist well-formed.
//!
//! Built by `config` from a file, or in code by a program that embeds the proxy. Defaults live in `config` alone.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::certificate::Certificate;
use crate::hash_key::HashKey;

/// Everything the proxy needs to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub listen: Vec<Listen>,
    /// For the listeners with TLS. The first is for clients that name no other.
    pub certificates: Vec<Certificate>,
    /// Where `/metrics` and `/health/*` are served. Never public.
    pub admin: Option<SocketAddr>,
    /// Written by `run`, read by `reload`.
    pub pid_file: Option<PathBuf>,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a stop waits for open requests and tunnels.
    pub drain_timeout: Duration,
    pub limits: Limits,
    /// Threads that serve clients, each with a runtime of its own.
    pub threads: usize,
    pub upstreams: Vec<Upstream>,
    /// Judged by the best match, not by order: see `route`.
    pub routes: Vec<Route>,
}

/// Where clients are served, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub address: ListenAddress,
    /// nginx's `ssl`.
    pub tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Listen {
    /// Without TLS.
    #[must_use]
    pub fn plain(address: ListenAddress) -> Self {
        Self {
            address,
            tls: false,
        }
    }
}

/// Every bound the edge enforces on clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub head_bytes_max: usize,
    pub head_fields_max: usize,
    pub head_timeout: Duration,
    pub client_keepalive_timeout: Duration,
    /// Requests that one connection may carry.
    pub client_keepalive_requests: u32,
    pub body_bytes_max: u64,
    /// How long a client may pause inside a body that it sends.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub send_timeout: Duration,
    /// Bytes per second that a client has to send of a body; 0 is no limit.
    pub body_rate_min: u64,
    /// Bytes per second that a client has to take of an answer; 0 is no limit.
    pub send_rate_min: u64,
    /// How much waiting for a client is measured at a time.
    pub rate_window: Duration,
    pub connections_max: usize,
    /// Of one address; 0 is no limit.
    pub connections_per_client_max: usize,
    pub tls_handshake_timeout: Duration,
    /// Clients may speak HTTP/2.
    pub http2: bool,
    /// Requests at once on one connection of it.
    pub http2_streams_max: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    pub name: String,
    pub balance: Balance,
    /// What the `Hash` methods hash; the others do not look at it.
    pub hash_key: Option<HashKey>,
    /// Tried in order; then `balance`.
    pub sticky: Vec<Sticky>,
    /// In the file's order: `ip_hash` depends on it.
    pub servers: Vec<Server>,
    /// Idle upstream connections kept per upstream; 0 keeps none.
    pub keepalive: usize,
    pub keepalive_requests: u32,
    pub keepalive_timeout: Duration,
    pub connect_timeout: Duration,
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    /// How many servers one request may try, the first included (nginx `proxy_next_upstream_tries`); 0 is no limit.
    pub tries_max: u32,
    /// How long after it came a request may be given to another server (nginx `proxy_next_upstream_timeout`); zero is
    /// no limit.
    pub tries_timeout: Duration,
    /// How often names are looked up again; `None`: at start and reload only.
    pub resolve: Option<Duration>,
    /// A tunnel on which neither side sent anything for this long is closed.
    pub websocket_idle_timeout: IdleTimeout,
    /// A tunnel this old is closed, up to a tenth sooner or later; `None`: it may last for ever.
    pub websocket_max_age: Option<Duration>,
    /// A handshake that a server answers with 5xx, or a tunnel that it drops without goodbye this soon after the 101,
    /// counts as a failure; `None`: neither does.
    pub websocket_early_close: Option<Duration>,
    /// `None`: servers are known by their answers to clients alone.
    pub health_check: Option<HealthCheck>,
    /// When no server may serve, the least bad one is asked all the same, instead of a 502.
    pub fail_open: bool,
    pub handshakes: Handshakes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleTimeout {
    /// What the Engine.IO server says of its heartbeat: see `heartbeat`.
    Auto,
    After(Duration),
}

/// How many Engine.IO sessions may begin; `None`: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// In the whole upstream.
    pub overall: Option<Rate>,
    /// On each of its servers.
    pub per_server: Option<Rate>,
}

/// nginx's `rate` and `burst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_minute: u64,
    /// How many may come at once after a quiet time; at least 1.
    pub burst: u32,
}

/// How servers are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for; `None`: that the server accepts a connection is enough.
    pub request: Option<HealthRequest>,
    /// From the end of a check to the next one; each pause is up to a tenth shorter or longer.
    pub interval: Duration,
    /// What a whole check may take.
    pub timeout: Duration,
    /// Passes in a row that bring a server back.
    pub rise: u32,
    /// Failures in a row that take a server out.
    pub fall: u32,
}

/// A `GET`, and the statuses by which it passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRequest {
    pub path: String,
    /// `None`: what the settings call the server.
    pub host: Option<String>,
    pub status: RangeInclusive<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    LeastConn,
    IpHash,
    Hash,
    HashConsistent,
    RandomTwo,
}

impl Balance {
    /// As an operator says it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastConn => "least_conn",
            Self::IpHash => "ip_hash",
            Self::Hash => "hash",
            Self::HashConsistent => "hash consistent",
            Self::RandomTwo => "random_two",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticky {
    Sid(Sid),
    Cookie(Cookie),
}

/// How clients are kept by their Engine.IO session id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sid {
    /// The first signs, all verify; none: nothing is signed.
    pub keys: Vec<Key>,
    /// A request whose server is gone is told so; otherwise it moves like any other.
    pub answer_gone: bool,
}

/// A signing key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(***)")
    }
}

/// nginx's words: `sticky cookie NAME [expires=] [domain=] [path=] [secure] [httponly] [samesite=]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub name: String,
    /// The first signs, all verify; none: nothing is signed, and the value is nginx's.
    pub keys: Vec<Key>,
    /// `None`: a session cookie.
    pub expires: Option<Duration>,
    pub domain: Option<String>,
    pub path: Option<String>,
    pub secure: bool,
    pub httponly: bool,
    pub samesite: Option<SameSite>,
    pub partitioned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    Lax,
    None,
}

/// One line of `servers`, nginx's words and defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub address: ServerAddress,
    pub weight: u32,
    /// Failures within the window that take the server out; 0 never does.
    pub max_fails: u32,
    pub fail_timeout: Duration,
    /// Only failures this recent count; `None`: as nginx counts, where each keeps those before it alive.
    pub failure_window: Option<Duration>,
    /// How long its weight rises when it comes back; zero: it has it at once.
    pub slow_start: Duration,
    /// Requests and tunnels that it takes at once; 0 is no limit.
    pub max_conns: u32,
    pub backup: bool,
    pub down: bool,
    /// What names it in the sticky cookie and in session ids; `None`: made from the address.
    pub route: Option<String>,
}

/// What stands in the file: it names the server in logs, metrics and across reloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// `host:port`, to be looked up.
    Name {
        host: String,
        port: u16,
    },
    Ip(SocketAddr),
    Unix(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Lower case, without a port. `None` matches any host.
    pub host: Option<String>,
    /// A path prefix beginning with `/`.
    pub path: String,
    /// Index into `Settings::upstreams`.
    pub upstream: usize,
}
