//! The directives that only make nginx do what Berth does anyway, and those that look like them but are not.
//!
//! Owns which headers Berth sets by itself, seen from nginx's side.

use super::note::{Notes, Origin};
use super::tree::Directive;

/// What Berth does with a header is what these values ask for. Names in lower case.
const HEADERS: [(&str, &[&str]); 6] = [
    ("host", &["$host", "$http_host", "$host:$server_port"]),
    ("x-real-ip", &["$remote_addr"]),
    ("x-forwarded-for", &["$proxy_add_x_forwarded_for"]),
    ("x-forwarded-proto", &["$scheme", "$http_x_forwarded_proto"]),
    ("upgrade", &["$http_upgrade"]),
    (
        "connection",
        &["upgrade", "$http_connection", "", "keep-alive", "close"],
    ),
];

/// `proxy_set_header NAME VALUE`; `upgrades` are the variables that an upgrade map fills.
pub(super) fn header(directive: &Directive, upgrades: &[&str], notes: &mut Notes) {
    let [name, value] = directive.words.as_slice() else {
        notes.changes(directive, "has not exactly a name and a value");
        return;
    };
    // Which header it is belongs to what the reader is told.
    let origin = Origin {
        directive: format!("{} {}", Origin::from(directive).directive, shortened(name)),
        ..Origin::from(directive)
    };
    let known = HEADERS
        .iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known));
    match known {
        Some((_, values)) if values.iter().any(|known| value.eq_ignore_ascii_case(known)) => {}
        Some(("connection", _)) if upgrades.contains(&value.as_str()) => {}
        Some((known, values)) => notes.changes(
            origin,
            format!(
                "Berth sends {known} as nginx does with {}, and nothing else",
                values.first().unwrap_or(&"")
            ),
        ),
        None if value.is_empty() => notes.changes(
            origin,
            "the header is not taken away; have the application not look at it",
        ),
        None => notes.changes(
            origin,
            "Berth sets X-Real-IP, X-Forwarded-For and X-Forwarded-Proto only; find out whether the application reads this one",
        ),
    }
}

fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// The variables that a `map $http_upgrade` in there fills.
pub(super) fn upgrade_variables(tree: &[Directive]) -> Vec<&str> {
    let blocks = tree.iter().filter(|directive| directive.name == "http");
    let maps = blocks
        .flat_map(Directive::inner)
        .filter(|inner| is_upgrade_map(inner));
    maps.filter_map(|map| map.words.get(1).map(String::as_str))
        .collect()
}

/// `map $http_upgrade $connection_upgrade`: how the documentation of nginx passes WebSockets on.
pub(super) fn is_upgrade_map(directive: &Directive) -> bool {
    directive.name == "map"
        && directive
            .words
            .first()
            .is_some_and(|word| word == "$http_upgrade")
}

/// Directives of which one value is what Berth does.
pub(super) fn switch(directive: &Directive, notes: &mut Notes) {
    let value = directive.words.first().map_or("", String::as_str);
    match (directive.name.as_str(), value) {
        ("proxy_http_version", "1.1")
        | ("proxy_buffering" | "proxy_request_buffering", "off")
        | ("tcp_nodelay", "on")
        | ("proxy_redirect", "off") => {}
        ("proxy_http_version", _) => notes.harmless(directive, "Berth speaks HTTP/1.1 to servers"),
        ("proxy_redirect", _) => notes.changes(
            directive,
            "Berth changes no Location header; have the application write the right one",
        ),
        _ => notes.harmless(directive, "Berth passes everything on as it comes"),
    }
}

/// `proxy_next_upstream`: whether it is what Berth does.
pub(super) fn next_upstream(directive: &Directive, notes: &mut Notes) {
    let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
    let is_known = |word: &&str| matches!(*word, "error" | "timeout" | "off");
    let more: Vec<&str> = words
        .iter()
        .copied()
        .filter(|word| !is_known(word))
        .collect();
    if !more.is_empty() {
        notes.changes(
            directive,
            format!(
                "{}: Berth tries another server after an error or a timeout only, and passes every answer on",
                more.join(" ")
            ),
        );
    }
    for cause in ["error", "timeout"] {
        if !words.contains(&cause) && !words.contains(&"off") {
            notes.changes(
                directive,
                format!("{cause} is not in it, but Berth tries another server after that too; tries = 1 ends that"),
            );
        }
    }
}
