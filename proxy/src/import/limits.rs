//! What nginx sets per location and Berth once: for the whole proxy, or for an upstream. The widest one holds.

use std::time::Duration;

use super::draft::{Draft, Entry, Upstream, Value, quoted};
use super::note::{Notes, Origin};
use super::quantity::{size, time, write_size, write_time};
use super::scope::Scope;
use super::tree::Directive;

/// nginx's default for `client_max_body_size`, and Berth's.
const BODY_BYTES: u64 = 1024 * 1024;
/// `client_max_body_size 0` is no limit; this is Berth's largest.
const BODY_BYTES_MAX: u64 = 1 << 40;
/// Berth's longest time.
const TIME_MAX: Duration = Duration::from_secs(86_400);
/// How to read and write a value, and what holds where nothing is written.
struct Kind {
    read: fn(&Directive) -> Option<u64>,
    write: fn(u64) -> String,
    default: u64,
}

/// Where nothing is written, this many seconds.
const fn time_of(seconds: u64) -> Kind {
    Kind {
        read: |directive| millis(directive.words.first()?),
        write: |millis| write_time(Duration::from_millis(millis)),
        default: seconds * 1000,
    }
}

const BODY: Kind = Kind {
    read: |directive| match size(directive.only()?)? {
        0 => Some(BODY_BYTES_MAX),
        bytes => Some(bytes),
    },
    write: write_size,
    default: BODY_BYTES,
};

/// `large_client_header_buffers 4 8k`, which is nginx's default: so much in all.
const HEAD: Kind = Kind {
    read: |directive| match directive.words.as_slice() {
        [count, bytes] => count.parse::<u64>().ok()?.checked_mul(size(bytes)?),
        _ => None,
    },
    write: write_size,
    default: 4 * 8 * 1024,
};

const STREAMS: Kind = Kind {
    read: |directive| directive.only()?.parse().ok(),
    write: |count| count.to_string(),
    default: 128,
};

/// Requests on one connection of a client. Without any Berth would answer nobody.
const REQUESTS: Kind = Kind {
    read: |directive| {
        let count: u64 = directive.only()?.parse().ok()?;
        Some(count.clamp(1, u64::from(u32::MAX)))
    },
    write: |count| count.to_string(),
    default: 1000,
};

fn millis(text: &str) -> Option<u64> {
    u64::try_from(time(text)?.min(TIME_MAX).as_millis()).ok()
}

/// What holds for everybody who is served: `scopes` are those of all locations that pass something on.
pub(super) fn of_server(scopes: &[Scope<'_>], draft: &mut Draft, notes: &mut Notes) {
    let rows = [
        ("head_bytes_max", "large_client_header_buffers", HEAD),
        ("head_timeout", "client_header_timeout", time_of(60)),
        ("body_timeout", "client_body_timeout", time_of(60)),
        ("send_timeout", "send_timeout", time_of(60)),
        ("keepalive_timeout", "keepalive_timeout", time_of(75)),
        ("keepalive_requests", "keepalive_requests", REQUESTS),
        ("body_bytes_max", "client_max_body_size", BODY),
        ("http2_streams_max", "http2_max_concurrent_streams", STREAMS),
    ];
    draft.server.extend(trusted(scopes, notes));
    draft.server.extend(http2(scopes, notes));
    for (key, name, kind) in rows {
        draft.server.extend(widest(key, name, scopes, &kind, notes));
    }
}

/// What holds for the servers of one upstream.
pub(super) fn of_upstream(upstream: &mut Upstream, scopes: &[Scope<'_>], notes: &mut Notes) {
    let rows = [
        ("connect_timeout", "proxy_connect_timeout"),
        ("read_timeout", "proxy_read_timeout"),
        ("write_timeout", "proxy_send_timeout"),
    ];
    for (key, name) in rows {
        upstream
            .speaking
            .extend(widest(key, name, scopes, &time_of(60), notes));
    }
    // nginx has one timeout for an answer and for the silence of a WebSocket.
    let idle = widest(
        "idle_timeout",
        "proxy_read_timeout",
        scopes,
        &time_of(60),
        notes,
    );
    upstream.websocket.extend(idle);
    let tries = most("tries", scopes, notes, |scope| {
        let next = scope.nearest("proxy_next_upstream");
        let off = next.filter(|next| next.words.iter().any(|word| word == "off"));
        let count = |tries: &Directive| tries.only()?.parse().ok();
        match off {
            Some(off) => Some((off, Some(1))),
            None => scope
                .nearest("proxy_next_upstream_tries")
                .map(|tries| (tries, count(tries))),
        }
    });
    upstream
        .speaking
        .extend(tries.map(|(tries, origin)| Entry::new("tries", tries.to_string(), origin)));
    let timeout = most("tries_timeout", scopes, notes, |scope| {
        let timeout = scope.nearest("proxy_next_upstream_timeout")?;
        Some((timeout, timeout.words.first().and_then(|word| millis(word))))
    });
    upstream.speaking.extend(timeout.map(|(timeout, origin)| {
        Entry::new(
            "tries_timeout",
            write_time(Duration::from_millis(timeout)),
            origin,
        )
    }));
}

/// The largest bound among the scopes, of which 0, and none, is no bound at all.
fn most<'d>(
    key: &str,
    scopes: &[Scope<'d>],
    notes: &mut Notes,
    read: impl Fn(&Scope<'d>) -> Option<(&'d Directive, Option<u64>)>,
) -> Option<(u64, &'d Directive)> {
    let mut found = Vec::new();
    for scope in scopes {
        match read(scope) {
            Some((directive, Some(bound))) => {
                let bound = if bound == 0 { u64::MAX } else { bound };
                found.push((bound, Some(directive)));
            }
            Some((directive, None)) => notes.changes(
                directive,
                "cannot be read as a value; write one such as 2 or 10s",
            ),
            None => found.push((u64::MAX, None)),
        }
    }
    let (most, written) = found.iter().copied().max_by_key(|(bound, _)| *bound)?;
    for (bound, directive) in &found {
        if let Some(directive) = directive.filter(|_| *bound < most) {
            notes.changes(
                directive,
                format!("{key} is one value for all locations of an upstream, and another one has a larger or none; write {key} there if this one is right"),
            );
        }
    }
    written
        .filter(|_| most < u64::MAX)
        .map(|written| (most, written))
}

/// The largest value among the scopes. Those without one have the default.
fn widest(
    key: &'static str,
    name: &str,
    scopes: &[Scope<'_>],
    kind: &Kind,
    notes: &mut Notes,
) -> Option<Entry> {
    let mut found: Vec<(u64, &Directive)> = Vec::new();
    let mut floor = 0;
    for scope in scopes {
        match scope.nearest(name) {
            Some(directive) => match (kind.read)(directive) {
                Some(value) => found.push((value, directive)),
                None => notes.changes(
                    directive,
                    "cannot be read as a value; write one such as 60s or 8k",
                ),
            },
            None => floor = kind.default,
        }
    }
    let (most, directive) = found.iter().copied().max_by_key(|(value, _)| *value)?;
    for (value, other) in &found {
        if *value < most.max(floor) {
            notes.harmless(
                *other,
                format!("{key} is one value for all locations; the largest of them is written"),
            );
        }
    }
    let is_time = |name: &str| name.ends_with("_timeout");
    let is_cut = is_time(key)
        && directive
            .words
            .first()
            .and_then(|word| time(word))
            .is_some_and(|time| time > TIME_MAX);
    if is_cut {
        notes.harmless(directive, "longer than Berth counts; 1d is written");
    }
    (most > floor).then(|| Entry::new(key, (kind.write)(most), directive))
}

/// Berth speaks HTTP/2 unless told not to, to everybody or to nobody.
fn http2(scopes: &[Scope<'_>], notes: &mut Notes) -> Option<Entry> {
    let said: Vec<&Directive> = scopes
        .iter()
        .filter_map(|scope| scope.nearest("http2"))
        .collect();
    let is_off = |directive: &&Directive| directive.only() == Some("off");
    said.iter().for_each(|directive| notes.same(*directive));
    let off = *said.iter().find(|directive| is_off(directive))?;
    if said.iter().all(is_off) && said.len() == scopes.len() {
        return Some(Entry::new("http2", "false", off));
    }
    for directive in said.into_iter().filter(is_off) {
        notes.harmless(
            directive,
            "http2 is one switch for all listeners, and others speak it; clients choose",
        );
    }
    None
}

/// `set_real_ip_from` with its two companions.
fn trusted(scopes: &[Scope<'_>], notes: &mut Notes) -> Option<Entry> {
    let mut items: Vec<(String, Origin)> = Vec::new();
    for scope in scopes {
        for directive in scope.all("set_real_ip_from") {
            let network = directive.words.first().map_or("", String::as_str);
            if network == "unix:" {
                notes.harmless(directive, "who comes over a Unix socket is always trusted");
                continue;
            }
            match scope.nearest("real_ip_header") {
                Some(header) if header.only().is_some_and(|name| name.eq_ignore_ascii_case("X-Forwarded-For")) => notes.same(header),
                Some(header) => notes.changes(header, "Berth reads the client's address from X-Forwarded-For only; have the hop in front send that"),
                None => notes.changes(directive, "nginx reads X-Real-IP here, Berth X-Forwarded-For; have the hop in front send that"),
            }
            match scope.nearest("real_ip_recursive") {
                Some(on) if on.only() == Some("on") => notes.same(on),
                off => notes.changes(
                    off.unwrap_or(directive),
                    "Berth reads X-Forwarded-For as with real_ip_recursive on: past every trusted hop, and nginx here the last entry only; it is the same while no client has a trusted address",
                ),
            }
            let item = quoted(network);
            if items.iter().all(|(known, _)| *known != item) {
                items.push((item, directive.into()));
            }
        }
    }
    let origin = items.first()?.1.clone();
    Some(Entry {
        key: "trusted_proxies",
        value: Value::List(items),
        origin,
    })
}
