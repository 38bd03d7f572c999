//! `[[route]]`: which upstream a request goes to, by host and path.

use std::net::Ipv6Addr;

use super::address::is_host_name;
use super::keys;
use super::quantity::quote;
use super::table::{Node, Table};
use crate::settings::{Route, Upstream};

/// Every route, in the file's order. Without any, everything goes to the only upstream.
pub(super) fn all(file: &mut Table<'_>, upstreams: &[Upstream]) -> Vec<Route> {
    let Some(node) = file.get("route") else {
        if upstreams.len() > 1 {
            let names: Vec<&str> = upstreams
                .iter()
                .map(|upstream| upstream.name.as_str())
                .collect();
            file.missing(
                "route",
                format!(
                    "is missing, so it is unclear which of the upstreams {} serves what; \
                     write a [[route]] for each, with host or path and upstream",
                    names.join(", ")
                ),
            );
        }
        return vec![Route {
            host: None,
            path: keys::ROUTE_PATH.to_owned(),
            upstream: 0,
        }];
    };
    let items = node
        .list("[[route]] with its keys below")
        .unwrap_or_default();
    if items.is_empty() && node.value.is_array() {
        node.wrong("is empty; write a [[route]], or leave it out if there is one upstream");
    }
    if let Some(first_too_many) = items.get(keys::ROUTES_MAX) {
        first_too_many.wrong(format!(
            "is one route too many; write at most {}",
            keys::ROUTES_MAX
        ));
    }
    let mut routes: Vec<Route> = Vec::new();
    for item in items {
        let Some(route) = one(&item, upstreams) else {
            continue;
        };
        match routes
            .iter()
            .position(|other| (&other.host, &other.path) == (&route.host, &route.path))
        {
            Some(first) => item.wrong(format!(
                "has the same host and path as an earlier route (to {}); leave one of the two out",
                upstreams[routes[first].upstream].name
            )),
            None => routes.push(route),
        }
    }
    routes
}

fn one(node: &Node<'_>, upstreams: &[Upstream]) -> Option<Route> {
    let mut table = node.table("route")?;
    let (host, path) = (host(&mut table), path(&mut table));
    let upstream = upstream(&mut table, upstreams);
    table.finish();
    Some(Route {
        host: host?,
        path: path?,
        upstream: upstream?,
    })
}

/// The outer `None`: it is wrong.
fn host(table: &mut Table<'_>) -> Option<Option<String>> {
    let Some(node) = table.get("host") else {
        return Some(None);
    };
    let host = node.text("\"chat.example.com\"")?;
    let is_ipv6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if is_ipv6.is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok())
        || is_host_name(host) && !host.ends_with('.')
    {
        return Some(Some(host.to_ascii_lowercase()));
    }
    let shown = quote(host);
    let without_scheme = host.split_once("://").map_or(host, |(_, rest)| rest);
    let name = without_scheme
        .split(['/', ':'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    node.wrong(if host.contains('*') {
        format!("{shown} is a pattern, which this version does not know; write one [[route]] per host, or no host")
    } else if is_host_name(name) {
        format!("{shown} is more than a host name; write \"{name}\", which matches any scheme and port")
    } else {
        format!("{shown} is not a host name; write \"chat.example.com\", or leave it out for every host")
    });
    None
}

fn path(table: &mut Table<'_>) -> Option<String> {
    let Some(node) = table.get("path") else {
        return Some(keys::ROUTE_PATH.to_owned());
    };
    let path = node.text("\"/socket.io/\"")?;
    if !path.starts_with('/') {
        let fixed = path.trim_start_matches(['^', '~', '*', '/', ' ']);
        node.wrong(format!(
            "{} does not begin with /; write {}",
            quote(path),
            quote(&format!("/{fixed}"))
        ));
        return None;
    }
    if path.contains(['?', '#', '*']) || path.bytes().any(|b| b <= b' ' || b == 0x7f) {
        node.wrong(format!(
            "{} is not a plain path; write the beginning that all its requests share, such as \"/socket.io/\"",
            quote(path)
        ));
        return None;
    }
    Some(path.to_owned())
}

fn upstream(table: &mut Table<'_>, upstreams: &[Upstream]) -> Option<usize> {
    let Some(node) = table.get("upstream") else {
        table.missing(
            "upstream",
            "is missing; write the name of the upstream, as in [upstream.NAME]",
        );
        return None;
    };
    let name = node.text("the name of the upstream, as in [upstream.NAME]")?;
    let found = upstreams.iter().position(|upstream| upstream.name == name);
    if found.is_none() && !upstreams.is_empty() {
        let names: Vec<&str> = upstreams
            .iter()
            .map(|upstream| upstream.name.as_str())
            .collect();
        node.wrong(keys::unknown_word(name, &names));
    }
    found
}
