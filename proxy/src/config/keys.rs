//! The words of the file: every quantity's name, default and bounds, and what to say about a word that is not one.
//!
//! `config/proxy.toml` documents the same keys and defaults; a test compares the two.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::quantity::{Bytes, BytesPerSecond, PerMinute, quote};
use crate::head::FIELDS_MAX;

/// A quantity that always has a value.
pub(super) struct Key<T> {
    pub(super) name: &'static str,
    /// What holds when the key is absent.
    pub(super) default: T,
    pub(super) bounds: RangeInclusive<T>,
}

/// A quantity that is off when its key is absent.
pub(super) struct OptionalKey<T> {
    pub(super) name: &'static str,
    pub(super) bounds: RangeInclusive<T>,
}

const fn key<T>(name: &'static str, default: T, least: T, most: T) -> Key<T> {
    Key {
        name,
        default,
        bounds: RangeInclusive::new(least, most),
    }
}

const fn optional<T>(name: &'static str, least: T, most: T) -> OptionalKey<T> {
    OptionalKey {
        name,
        bounds: RangeInclusive::new(least, most),
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

// `[server]`. The client-side timeouts are nginx's defaults.

pub(super) const SERVER_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
pub(super) const DRAIN_TIMEOUT: Key<Duration> = key(
    "drain_timeout",
    Duration::from_secs(30),
    Duration::ZERO,
    DAY,
);
/// One per processor unless written.
pub(super) const THREADS: OptionalKey<usize> = optional("threads", 1, 256);
/// The least holds a request line with a session id and a cookie; the most is what 4096 slow clients may pin in 4 GiB.
pub(super) const HEAD_BYTES_MAX: Key<Bytes> =
    key("head_bytes_max", Bytes(32 * KIB), Bytes(KIB), Bytes(MIB));
pub(super) const HEAD_TIMEOUT: Key<Duration> = key(
    "head_timeout",
    Duration::from_secs(60),
    Duration::from_millis(100),
    HOUR,
);
pub(super) const CLIENT_KEEPALIVE_TIMEOUT: Key<Duration> =
    key("keepalive_timeout", Duration::from_secs(75), SECOND, DAY);
/// Browsers send about 20. The most is what a head's place on the stack holds.
pub(super) const HEAD_FIELDS_MAX: Key<usize> = key("head_fields_max", 100, 16, FIELDS_MAX);
pub(super) const CLIENT_KEEPALIVE_REQUESTS: Key<u32> = key("keepalive_requests", 1000, 1, u32::MAX);
pub(super) const BODY_TIMEOUT: Key<Duration> =
    key("body_timeout", Duration::from_secs(60), SECOND, DAY);
pub(super) const SEND_TIMEOUT: Key<Duration> =
    key("send_timeout", Duration::from_secs(60), SECOND, DAY);
/// A twentieth of the slowest mobile network; a client of these must send 14 KiB a minute.
pub(super) const BODY_RATE_MIN: Key<BytesPerSecond> = key(
    "body_rate_min",
    BytesPerSecond(240),
    BytesPerSecond(0),
    BytesPerSecond(MIB),
);
pub(super) const SEND_RATE_MIN: Key<BytesPerSecond> = key(
    "send_rate_min",
    BytesPerSecond(240),
    BytesPerSecond(0),
    BytesPerSecond(MIB),
);
/// As long as the pauses that the timeouts allow, so that a client is not cut for one of those.
pub(super) const RATE_WINDOW: Key<Duration> =
    key("rate_window", Duration::from_secs(60), SECOND, HOUR);
/// Off: behind one address there may be a whole company.
pub(super) const CONNECTIONS_PER_CLIENT_MAX: Key<usize> =
    key("connections_per_client_max", 0, 0, 4_194_304);
/// A polling POST carries one Engine.IO payload, and Socket.IO's own limit for it is 1 MB.
pub(super) const BODY_BYTES_MAX: Key<Bytes> =
    key("body_bytes_max", Bytes(MIB), Bytes(KIB), Bytes(MIB * MIB));
/// Each takes two file descriptors: one to the client and one to the server.
pub(super) const CONNECTIONS_MAX: Key<usize> = key("connections_max", 65_536, 1, 4_194_304);
/// A handshake is two round trips; a Socket.IO client gives up on the whole connection after 20 s.
pub(super) const TLS_HANDSHAKE_TIMEOUT: Key<Duration> = key(
    "tls_handshake_timeout",
    Duration::from_secs(10),
    Duration::from_millis(100),
    HOUR,
);
/// nginx's; a page with a hundred images loads them at once. Each stream takes a task and, while it is slow, 64 KiB.
pub(super) const HTTP2_STREAMS_MAX: Key<u32> = key("http2_streams_max", 128, 1, 65_536);

// `[[server.tls]]`.

/// Every handshake searches them.
pub(super) const CERTIFICATES_MAX: usize = 1024;
/// A chain with its key has a few KiB; keeps a mistaken path from being read into memory.
pub(super) const PEM_BYTES_MAX: u64 = 1024 * 1024;

// `[admin]`, present or absent as a whole.

pub(super) const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

// `[upstream.NAME]`. nginx's defaults, except where a line says why not.

pub(super) const KEEPALIVE: Key<usize> = key("keepalive", 32, 0, 65_536);
pub(super) const KEEPALIVE_REQUESTS: Key<u32> = key("keepalive_requests", 1000, 1, u32::MAX);
pub(super) const KEEPALIVE_TIMEOUT: Key<Duration> =
    key("keepalive_timeout", Duration::from_secs(60), SECOND, DAY);
/// nginx waits 60 s. A Socket.IO client gives up after 20 s, so a machine that lost power must cost less than that.
pub(super) const CONNECT_TIMEOUT: Key<Duration> =
    key("connect_timeout", Duration::from_secs(5), MILLISECOND, HOUR);
/// A long poll is silent for one `pingInterval`, 25 s.
pub(super) const READ_TIMEOUT: Key<Duration> =
    key("read_timeout", Duration::from_secs(60), MILLISECOND, DAY);
pub(super) const WRITE_TIMEOUT: Key<Duration> =
    key("write_timeout", Duration::from_secs(60), MILLISECOND, DAY);
pub(super) const TRIES: Key<u32> = key("tries", 0, 0, 1000);
pub(super) const TRIES_TIMEOUT: Key<Duration> =
    key("tries_timeout", Duration::ZERO, Duration::ZERO, HOUR);
pub(super) const RESOLVE: OptionalKey<Duration> = optional("resolve", SECOND, DAY);
/// By the server's own heartbeat unless written.
pub(super) const WEBSOCKET_IDLE_TIMEOUT: OptionalKey<Duration> =
    optional("idle_timeout", SECOND, DAY);
/// 0 is off.
pub(super) const WEBSOCKET_MAX_AGE: Key<Duration> = key(
    "max_age",
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_secs(30 * 86_400),
);
pub(super) const WEBSOCKET_EARLY_CLOSE: OptionalKey<Duration> =
    optional("early_close", Duration::from_millis(100), HOUR);
/// Balancing walks the list.
pub(super) const SERVERS_MAX: usize = 1024;
/// Each is a set of metric labels.
pub(super) const UPSTREAMS_MAX: usize = 256;
/// 160 points of 16 bytes for each, so at most 25 MB per upstream, and a second for a reload.
pub(super) const RING_WEIGHT_MAX: u64 = 10_000;
/// Longer names are unreadable as metric labels.
pub(super) const UPSTREAM_NAME_BYTES_MAX: usize = 64;

// One item of `servers`, nginx's defaults.

pub(super) const WEIGHT: Key<u32> = key("weight", 1, 1, 65_535);
pub(super) const MAX_FAILS: Key<u32> = key("max_fails", 1, 0, 1_000_000);
pub(super) const FAIL_TIMEOUT: Key<Duration> =
    key("fail_timeout", Duration::from_secs(10), SECOND, DAY);
pub(super) const FAILURE_WINDOW: OptionalKey<Duration> = optional("failure_window", SECOND, DAY);
pub(super) const SLOW_START: Key<Duration> = key("slow_start", Duration::ZERO, Duration::ZERO, DAY);
pub(super) const MAX_CONNS: Key<u32> = key("max_conns", 0, 0, 1_000_000);
/// nginx's limit for a sticky session's id.
pub(super) const ROUTE_BYTES_MAX: usize = 32;

// `keys` of `[upstream.NAME.sid]` and `[upstream.NAME.cookie]`.

/// Every request with a forged mark is checked against each.
pub(super) const SIGNING_KEYS_MAX: usize = 8;
/// The least is 128 bits in hex digits; HMAC-SHA256 gains nothing from more than its block.
pub(super) const SIGNING_KEY_BYTES: RangeInclusive<usize> = 32..=256;

// `[upstream.NAME.handshakes]`. Off unless a rate is written.

/// From one a minute to more than one machine serves.
const RATES: RangeInclusive<PerMinute> =
    RangeInclusive::new(PerMinute(1), PerMinute(60 * 1_000_000));
pub(super) const HANDSHAKE_RATE: OptionalKey<PerMinute> = OptionalKey {
    name: "rate",
    bounds: RATES,
};
pub(super) const HANDSHAKE_RATE_PER_SERVER: OptionalKey<PerMinute> = OptionalKey {
    name: "rate_per_server",
    bounds: RATES,
};
pub(super) const HANDSHAKE_BURST: OptionalKey<u32> = optional("burst", 1, 1_000_000);
pub(super) const HANDSHAKE_BURST_PER_SERVER: OptionalKey<u32> =
    optional("burst_per_server", 1, 1_000_000);

// `[upstream.NAME.cookie]`.

pub(super) const COOKIE_NAME: &str = "srv_id";
/// Without it a browser would keep the cookie for the directory of the first request alone.
pub(super) const COOKIE_PATH: &str = "/";
/// A session cookie unless written. Browsers keep no cookie longer than 400 days.
pub(super) const COOKIE_EXPIRES: OptionalKey<Duration> =
    optional("expires", SECOND, Duration::from_secs(400 * 86_400));

// `[upstream.NAME.health_check]`, present or absent as a whole. HAProxy's `rise` and `fall`.

pub(super) const CHECK_STATUS: RangeInclusive<u16> = 200..=399;
pub(super) const CHECK_INTERVAL: Key<Duration> = key(
    "interval",
    Duration::from_secs(5),
    Duration::from_millis(100),
    DAY,
);
pub(super) const CHECK_TIMEOUT: Key<Duration> =
    key("timeout", Duration::from_secs(2), MILLISECOND, HOUR);
pub(super) const RISE: Key<u32> = key("rise", 2, 1, 1000);
pub(super) const FALL: Key<u32> = key("fall", 3, 1, 1000);

// `[[route]]`.

pub(super) const ROUTE_PATH: &str = "/";
/// Routes are searched for every request.
pub(super) const ROUTES_MAX: usize = 1024;

/// Words of a later version, by table: a file that uses one was written for it.
const LATER: [(&str, &[&str]); 7] = [
    ("", &["log", "logging", "metrics"]),
    ("server", &["proxy_protocol", "access_log"]),
    ("server.listen", &["proxy_protocol", "http2"]),
    ("admin", &["token", "tls"]),
    ("upstream.NAME", &["tls", "zone"]),
    ("upstream.NAME.servers", &["drain", "resolve"]),
    ("upstream.NAME.websocket", &["drain_spread"]),
];

/// nginx's and others' words, and ours.
const SYNONYMS: [(&str, &str); 32] = [
    ("cert", "certificate"),
    ("client_body_timeout", "body_timeout"),
    ("client_header_timeout", "head_timeout"),
    ("client_max_body_size", "body_bytes_max"),
    ("http2_max_concurrent_streams", "http2_streams_max"),
    ("http_only", "httponly"),
    ("large_client_header_buffers", "head_bytes_max"),
    ("max_age", "expires"),
    ("max_connection_age", "max_age"),
    ("path_prefix", "path"),
    ("pid", "pid_file"),
    ("proxy_connect_timeout", "connect_timeout"),
    ("proxy_next_upstream_timeout", "tries_timeout"),
    ("proxy_next_upstream_tries", "tries"),
    ("proxy_pass", "upstream"),
    ("proxy_read_timeout", "read_timeout"),
    ("proxy_send_timeout", "write_timeout"),
    ("same_site", "samesite"),
    ("secrets", "keys"),
    ("private_key", "key"),
    ("server", "servers"),
    ("server_name", "host"),
    ("server_name", "names"),
    ("set_real_ip_from", "trusted_proxies"),
    ("ssl", "tls"),
    ("ssl_certificate", "certificate"),
    ("ssl_certificate", "tls"),
    ("ssl_certificate_key", "key"),
    ("ssl_certificate_key", "tls"),
    ("ssl_handshake_timeout", "tls_handshake_timeout"),
    ("worker_connections", "connections_max"),
    ("worker_processes", "threads"),
];

/// What to say about a key that no reader of its table asked for.
pub(super) fn unknown(table: &str, name: &str, known: &[&'static str]) -> String {
    if LATER
        .iter()
        .any(|(place, names)| *place == table && names.contains(&name))
    {
        return "is not supported in this version; leave it out".to_owned();
    }
    let synonym = SYNONYMS
        .iter()
        .find(|(theirs, ours)| *theirs == name && known.contains(ours));
    let meant = synonym
        .map(|(_, ours)| *ours)
        .or_else(|| nearest(name, known.iter().copied()));
    match meant {
        Some(meant) => format!("is an unknown key; did you mean {meant}?"),
        None => format!("is an unknown key; the keys here are {}", known.join(", ")),
    }
}

/// What to say about a word that is none of `known`.
pub(super) fn unknown_word(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("{} is unknown; did you mean \"{meant}\"?", quote(word)),
        None => {
            let known: Vec<String> = known.iter().map(|word| format!("\"{word}\"")).collect();
            format!("{} is unknown; write {}", quote(word), known.join(" or "))
        }
    }
}

/// The word that was probably meant, if one is near enough to be a slip of the finger.
pub(super) fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let spelling = word.to_ascii_lowercase().replace('-', "_");
    words
        .map(|known| (strsim::damerau_levenshtein(&spelling, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
