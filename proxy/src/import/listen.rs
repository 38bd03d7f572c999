//! `listen` and `server_name`: where a server block is reached, and which hosts are its own.

use super::note::Notes;
use super::tree::Directive;

/// nginx's when it is started by root.
const ADDRESS: &str = "0.0.0.0:80";

/// One address of a server block.
#[derive(Clone, Debug)]
pub(super) struct Listen<'d> {
    /// In our words.
    pub(super) address: String,
    pub(super) is_default: bool,
    /// `ssl` stands here, or where another block has the same address.
    pub(super) is_tls: bool,
    /// Berth cannot listen there: it does not speak what is spoken there.
    pub(super) is_refused: bool,
    pub(super) directive: &'d Directive,
}

pub(super) fn addresses<'d>(server: &'d Directive) -> Vec<Listen<'d>> {
    let written = server.inner().iter().filter(|inner| inner.name == "listen");
    let mut listens: Vec<Listen<'d>> = written.map(one).collect();
    if listens.is_empty() {
        listens.push(Listen {
            address: ADDRESS.to_owned(),
            is_default: false,
            is_tls: false,
            is_refused: false,
            directive: server,
        });
    }
    listens
}

fn one(directive: &Directive) -> Listen<'_> {
    let has = |words: &[&str]| {
        directive
            .words
            .iter()
            .any(|word| words.contains(&word.as_str()))
    };
    // What `ssl on` says for the whole block is a directive of old; its own note tells.
    Listen {
        address: address(directive.words.first().map_or("", String::as_str)),
        is_default: has(&["default_server", "default"]),
        is_tls: has(&["ssl"]),
        is_refused: has(&["quic", "proxy_protocol"]),
        directive,
    }
}

/// What is said of the words behind the address.
pub(super) fn tell(listen: &Listen<'_>, notes: &mut Notes) {
    for word in listen.directive.words.iter().skip(1) {
        let name = word.split('=').next().unwrap_or(word);
        match name {
            "quic" => notes.changes(
                listen.directive,
                "not listened on: HTTP/3 is not supported in this version; clients fall back to TCP",
            ),
            "proxy_protocol" => notes.changes(
                listen.directive,
                "not listened on: the PROXY protocol is not supported in this version; have the hop in front send X-Forwarded-For",
            ),
            "default_server" | "default" | "ssl" | "http2" => {}
            "ipv6only" if word == "ipv6only=on" => {}
            _ => notes.harmless(listen.directive, format!("{name}: sockets are opened with Berth's own settings")),
        }
    }
}

fn address(word: &str) -> String {
    let is_port = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    if is_port {
        return format!("0.0.0.0:{word}");
    }
    if word.starts_with("unix:") {
        return word.to_owned();
    }
    let (host, port) = match word.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (word, "80"),
    };
    match host {
        "*" => format!("0.0.0.0:{port}"),
        "localhost" => format!("127.0.0.1:{port}"),
        host => format!("{host}:{port}"),
    }
}

/// The exact host names of a server block, in lower case. Patterns are told unless nobody asks for them.
pub(super) fn hosts(server: &Directive, notes: &mut Notes) -> Vec<String> {
    let mut hosts = Vec::new();
    for directive in server
        .inner()
        .iter()
        .filter(|inner| inner.name == "server_name")
    {
        for name in &directive.words {
            let exact = name.strip_prefix('.').unwrap_or(name);
            let is_pattern = name.contains('*') || name.starts_with(['~', '.']);
            // $hostname is not known here.
            let is_name = exact
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
            let told: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
            if is_pattern {
                notes.changes(directive, format!("{told}: patterns are not supported in this version; write one [[route]] per host"));
            } else if !is_name {
                notes.changes(directive, format!("{told}: is no plain host name; write a [[route]] with the one that clients use"));
            }
            // Names such as _ and "" are nobody's.
            if is_name && !matches!(exact, "" | "_") && !name.starts_with('~') {
                hosts.push(exact.to_ascii_lowercase());
            }
        }
    }
    hosts.dedup();
    hosts
}
