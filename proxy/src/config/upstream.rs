//! `[upstream.NAME]`: a pool of servers, how one is chosen and how it is spoken to.

use std::collections::HashMap;
use std::time::Duration;

use super::balance;
use super::handshakes;
use super::health_check;
use super::keys;
use super::quantity::quote;
use super::server;
use super::sticky;
use super::table::{Node, Table};
use crate::settings::{Balance, IdleTimeout, Server, Upstream};

/// Every upstream, in the file's order, each with where it stands.
pub(super) fn all<'t>(file: &mut Table<'t>) -> Vec<Upstream> {
    let example = "[upstream.app_backend] with servers = [\"app1:3000\", \"app2:3000\"]";
    let Some(node) = file.get("upstream") else {
        file.missing(
            "upstream",
            format!("is missing, so there is nobody to pass requests to; write {example}"),
        );
        return Vec::new();
    };
    let named = node.table("upstream").map(Table::named).unwrap_or_default();
    if let Some((_, first_too_many)) = named.get(keys::UPSTREAMS_MAX) {
        first_too_many.wrong(format!(
            "is one upstream too many; write at most {}",
            keys::UPSTREAMS_MAX
        ));
    }
    if named.is_empty() && node.value.is_table() {
        node.wrong(format!("holds no upstream; write {example}"));
    }
    named
        .iter()
        .filter_map(|(name, node)| one(name, node))
        .collect()
}

fn one(name: &str, node: &Node<'_>) -> Option<Upstream> {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > keys::UPSTREAM_NAME_BYTES_MAX || !name.bytes().all(is_good) {
        node.report.wrong(
            &node.key_place,
            "upstream",
            format!(
                "{} cannot name an upstream; write 1 to {} letters, digits, _, - or .",
                quote(name),
                keys::UPSTREAM_NAME_BYTES_MAX
            ),
        );
    }
    let mut table = node.table("upstream.NAME")?;
    let (balance, hash_key) = balance::read(&mut table);
    let health_check = health_check::read(&mut table);
    let fail_open = table.get("fail_open").and_then(|node| node.flag());
    let servers = servers(&mut table, balance);
    let websocket = websocket(&mut table, &servers);
    let upstream = Upstream {
        name: name.to_owned(),
        balance,
        hash_key,
        sticky: sticky::read(&mut table),
        servers,
        keepalive: table.quantity(&keys::KEEPALIVE),
        keepalive_requests: table.quantity(&keys::KEEPALIVE_REQUESTS),
        keepalive_timeout: table.quantity(&keys::KEEPALIVE_TIMEOUT),
        connect_timeout: table.quantity(&keys::CONNECT_TIMEOUT),
        read_timeout: table.quantity(&keys::READ_TIMEOUT),
        write_timeout: table.quantity(&keys::WRITE_TIMEOUT),
        tries_max: table.quantity(&keys::TRIES),
        tries_timeout: table.quantity(&keys::TRIES_TIMEOUT),
        resolve: table.optional(&keys::RESOLVE),
        websocket_idle_timeout: websocket.idle_timeout,
        websocket_max_age: websocket.max_age,
        websocket_early_close: websocket.early_close,
        // Without checks as nginx; but what fails a check may well serve, and all may fail for one common reason.
        fail_open: fail_open.unwrap_or(health_check.is_some()),
        health_check,
        handshakes: handshakes::read(&mut table),
    };
    table.finish();
    Some(upstream)
}

fn servers(table: &mut Table<'_>, balance: Balance) -> Vec<Server> {
    let example = "[\"app1:3000\", \"app2:3000\"]";
    let Some(node) = table.get("servers") else {
        table.missing("servers", format!("is missing; write servers = {example}"));
        return Vec::new();
    };
    let Some(items) = node.list(example) else {
        return Vec::new();
    };
    if items.is_empty() {
        node.wrong(format!("is empty; write {example}"));
    }
    if let Some(first_too_many) = items.get(keys::SERVERS_MAX) {
        first_too_many.wrong(format!(
            "is one server too many; write at most {}",
            keys::SERVERS_MAX
        ));
    }
    let read: Vec<(Node<'_>, Option<Server>)> = items
        .into_iter()
        .map(|item| (item.clone(), server::read(&item, balance)))
        .collect();
    report_doubles(&read);
    // What a broken item would have been is unknown, so nothing is said about the list as a whole.
    let complete = read.iter().all(|(_, server)| server.is_some());
    let servers: Vec<Server> = read.into_iter().filter_map(|(_, server)| server).collect();
    if complete && !servers.is_empty() {
        if servers.iter().all(|server| server.down) {
            node.wrong(
                "has no server in service: every one is down; take down = true off one of them",
            );
        } else if servers.iter().all(|server| server.backup) {
            node.wrong("has backup servers only; take backup = true off one of them");
        }
        if balance == Balance::HashConsistent {
            check_ring(&node, &servers);
        }
    }
    servers
}

fn check_ring(node: &Node<'_>, servers: &[Server]) {
    let weight: u64 = servers.iter().map(|server| u64::from(server.weight)).sum();
    if weight > keys::RING_WEIGHT_MAX {
        node.wrong(format!(
            "has weights that add up to {weight}, too large for consistent = true; write weights in \
             the same proportion that add up to at most {}",
            keys::RING_WEIGHT_MAX
        ));
    }
}

fn report_doubles(servers: &[(Node<'_>, Option<Server>)]) {
    let mut addresses = HashMap::new();
    let mut routes = HashMap::new();
    for (index, (node, server)) in servers.iter().enumerate() {
        let Some(server) = server else { continue };
        if let Some(earlier) = addresses.insert(&server.address, index) {
            node.wrong(format!(
                "is the same address as servers[{earlier}]; leave one out, or use weight"
            ));
        } else if let Some(earlier) = server
            .route
            .as_ref()
            .and_then(|route| routes.insert(route, index))
        {
            node.wrong(format!(
                "has the same route as servers[{earlier}], so a cookie would mean two servers; write another"
            ));
        }
    }
}

/// `[upstream.NAME.websocket]`.
struct Websocket {
    idle_timeout: IdleTimeout,
    max_age: Option<Duration>,
    early_close: Option<Duration>,
}

fn websocket(table: &mut Table<'_>, servers: &[Server]) -> Websocket {
    let mut read = Websocket {
        idle_timeout: IdleTimeout::Auto,
        max_age: None,
        early_close: None,
    };
    let Some(mut websocket) = table.table("websocket", "upstream.NAME.websocket") else {
        return read;
    };
    if let Some(node) = websocket.get(keys::WEBSOCKET_IDLE_TIMEOUT.name)
        && node.value.as_str() != Some("auto")
        && let Some(timeout) = node.quantity(&keys::WEBSOCKET_IDLE_TIMEOUT.bounds)
    {
        read.idle_timeout = IdleTimeout::After(timeout);
    }
    let max_age = websocket.quantity(&keys::WEBSOCKET_MAX_AGE);
    read.max_age = (!max_age.is_zero()).then_some(max_age);
    let early_close = websocket.get(keys::WEBSOCKET_EARLY_CLOSE.name);
    // Says nothing while items of the list are broken: what they would have been is unknown.
    let is_for_nothing = !servers.is_empty()
        && servers.len() == count_of_servers(table)
        && servers.iter().all(|server| server.max_fails == 0);
    if let Some(node) = early_close.as_ref().filter(|_| is_for_nothing) {
        node.wrong(
            "has no effect, because no server counts failures: every max_fails is 0; \
             write max_fails = 1 or more on a server, or leave early_close out",
        );
    }
    read.early_close =
        early_close.and_then(|node| node.quantity(&keys::WEBSOCKET_EARLY_CLOSE.bounds));
    websocket.finish();
    read
}

fn count_of_servers(table: &mut Table<'_>) -> usize {
    let list = table.get("servers");
    let items = list.and_then(|node| node.value.as_array());
    items.map_or(0, |items| items.len())
}
