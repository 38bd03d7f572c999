//! An `upstream` block: servers, how one is chosen, and the connections kept to them.

use super::draft::{Entry, Server, Upstream, Value, quoted};
use super::note::{Notes, Origin};
use super::quantity::{time, write_time};
use super::tree::Directive;

/// What browsers keep a cookie for at most; nginx's `expires=max` means the year 2037.
const COOKIE_EXPIRES_MAX: &str = "\"400d\"";
/// How often names are looked up that nginx looks up when their answer expires.
pub(super) const RESOLVE: &str = "10s";
/// nginx's port for a server that is written without one.
const PORT: u16 = 80;

pub(super) fn translate(name: String, block: &Directive, notes: &mut Notes) -> Upstream {
    let mut upstream = Upstream::new(name, block.into());
    for directive in block.inner() {
        if directive.block.is_some() {
            let is_lua = directive.name == "balancer_by_lua_block";
            let message = if is_lua {
                "Lua code chooses the server here; write the servers, and balance for how one is chosen"
            } else {
                "is unknown here; find out whether your clients need it"
            };
            notes.changes(directive, message);
            continue;
        }
        match directive.name.as_str() {
            "server" => server(&mut upstream, directive, notes),
            "ip_hash" | "least_conn" | "random" | "hash" => {
                balance(&mut upstream, directive, block, notes);
            }
            "sticky" => sticky(&mut upstream, directive, notes),
            "keepalive" | "keepalive_requests" | "keepalive_timeout" => {
                keepalive(&mut upstream, directive, notes);
            }
            "keepalive_time" => notes.harmless(
                directive,
                "Berth replaces a connection after keepalive_requests, whatever its age",
            ),
            "zone" => notes.harmless(directive, "all threads share what is known about a server"),
            "resolver" | "resolver_timeout" => notes.harmless(
                directive,
                "names are looked up as the system does; `resolve` says how often",
            ),
            _ => notes.changes(
                directive,
                "Berth has no such way to choose or watch servers; see balance and sticky in the reference",
            ),
        }
    }
    upstream
}

/// An address with nginx's default port, in lower case as names are compared.
pub(super) fn with_port(address: &str) -> String {
    if address.starts_with("unix:") {
        return address.to_owned();
    }
    let behind_bracket = address.rsplit(']').next().unwrap_or(address);
    let address = address.to_ascii_lowercase();
    if behind_bracket.contains(':') {
        address
    } else {
        format!("{address}:{PORT}")
    }
}

fn server(upstream: &mut Upstream, directive: &Directive, notes: &mut Notes) {
    let Some((address, words)) = directive.words.split_first() else {
        notes.changes(directive, "names no address; write one");
        return;
    };
    let mut entries = Vec::new();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let entry = match key {
            "weight" => Entry::new("weight", number(value), directive),
            "max_fails" => Entry::new("max_fails", number(value), directive),
            "max_conns" if number(value) == "0" => continue,
            "max_conns" => Entry::new("max_conns", number(value), directive),
            "fail_timeout" => Entry::new("fail_timeout", duration(value), directive),
            "slow_start" => Entry::new("slow_start", duration(value), directive),
            "backup" => Entry::new("backup", "true", directive),
            "down" => Entry::new("down", "true", directive),
            "drain" => Entry::new("drain", "true", directive),
            "route" => Entry::new("route", quoted(value), directive),
            "resolve" => {
                if !upstream.speaking.iter().any(|entry| entry.key == "resolve") {
                    upstream
                        .speaking
                        .push(Entry::new("resolve", quoted(RESOLVE), directive));
                }
                continue;
            }
            _ => {
                notes.changes(
                    directive,
                    format!("{key} has no counterpart; the server is taken without it"),
                );
                continue;
            }
        };
        if entries.iter().all(|other: &Entry| other.key != entry.key) {
            entries.push(entry);
        }
    }
    upstream.servers.push(Server {
        address: with_port(address),
        entries,
        origin: directive.into(),
    });
}

fn is_without_port(directive: &Directive) -> bool {
    let address = directive.words.first();
    directive.name == "server"
        && address.is_some_and(|address| with_port(address) != address.to_ascii_lowercase())
}

fn balance(upstream: &mut Upstream, directive: &Directive, block: &Directive, notes: &mut Notes) {
    let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
    let mut extra = Vec::new();
    let method = match (directive.name.as_str(), words.as_slice()) {
        ("random", ["two"] | ["two", "least_conn"]) => "random_two",
        ("random", []) => {
            notes.changes(
                directive,
                "one random server is not offered; servers take turns instead",
            );
            return;
        }
        ("random", _) => {
            notes.changes(
                directive,
                "only `random two least_conn` has a counterpart; servers take turns instead",
            );
            return;
        }
        ("hash", [key, consistency @ ..]) => {
            extra.push(Entry::new("hash_key", quoted(key), directive));
            if !matches!(consistency, [] | ["consistent"]) {
                notes.changes(
                    directive,
                    "has a word behind the key that is not `consistent`; it is left out",
                );
            }
            if consistency == ["consistent"] {
                extra.push(Entry::new("consistent", "true", directive));
                // nginx's ring is made of the addresses as they are written.
                for server in block
                    .inner()
                    .iter()
                    .filter(|server| is_without_port(server))
                {
                    notes.changes(
                        server,
                        "has no port, so its place on nginx's ring is another; write one",
                    );
                }
            }
            "hash"
        }
        (method, _) => method,
    };
    upstream.choosing.retain(|entry| entry.key == "sticky");
    let balance = Entry::new("balance", quoted(method), directive);
    upstream.choosing.insert(0, balance);
    upstream.choosing.splice(1..1, extra);
}

fn sticky(upstream: &mut Upstream, directive: &Directive, notes: &mut Notes) {
    let (Some("cookie"), Some(name)) = (
        directive.words.first().map(String::as_str),
        directive.words.get(1),
    ) else {
        notes.changes(
            directive,
            "only `sticky cookie NAME` has a counterpart; write sticky = [\"cookie\"] to bind clients by a cookie of Berth's",
        );
        return;
    };
    let origin = Origin::from(directive);
    upstream.choosing.retain(|entry| entry.key != "sticky");
    upstream.choosing.push(Entry {
        key: "sticky",
        value: Value::List(vec![(quoted("cookie"), origin)]),
        origin: directive.into(),
    });
    upstream.cookie = vec![Entry::new("name", quoted(name), directive)];
    for word in directive.words.iter().skip(2) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let (key, value) = match key {
            "expires" if value == "max" => {
                notes.harmless(
                    directive,
                    "expires=max is longer than browsers keep a cookie; 400d is written",
                );
                ("expires", COOKIE_EXPIRES_MAX.to_owned())
            }
            "expires" => ("expires", duration(value)),
            "domain" => ("domain", quoted(value)),
            "path" => ("path", quoted(value)),
            "samesite" => ("samesite", quoted(&value.to_ascii_lowercase())),
            "secure" => ("secure", "true".to_owned()),
            "httponly" => ("httponly", "true".to_owned()),
            _ => {
                notes.changes(
                    directive,
                    format!("{key} has no counterpart; the cookie is set without it"),
                );
                continue;
            }
        };
        if upstream.cookie.iter().all(|entry| entry.key != key) {
            upstream.cookie.push(Entry::new(key, value, directive));
        }
    }
    if upstream.cookie.iter().all(|entry| entry.key != "path") {
        notes.harmless(
            directive,
            "without path= nginx leaves it to the browser; Berth's cookie is for /",
        );
    }
}

fn keepalive(upstream: &mut Upstream, directive: &Directive, notes: &mut Notes) {
    let (key, value) = match (directive.name.as_str(), directive.words.first()) {
        ("keepalive", Some(count)) => ("keepalive", number(count)),
        ("keepalive_requests", Some(count)) => ("keepalive_requests", number(count)),
        ("keepalive_timeout", Some(text)) => ("keepalive_timeout", duration(text)),
        _ => {
            notes.changes(directive, "has no value; write one");
            return;
        }
    };
    if directive.words.len() > 1 {
        notes.harmless(directive, "only its first word is taken over");
    }
    if upstream.speaking.iter().all(|entry| entry.key != key) {
        upstream.speaking.push(Entry::new(key, value, directive));
    }
}

/// What is no number is written as a text, for `config` to refuse it with the right words.
pub(super) fn number(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(number) => number.to_string(),
        Err(_) => quoted(text),
    }
}

pub(super) fn duration(text: &str) -> String {
    time(text).map_or_else(|| quoted(text), write_time)
}
