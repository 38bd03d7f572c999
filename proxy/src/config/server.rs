//! One item of `servers`: nginx's `server` line.

use std::time::Duration;

use super::address;
use super::balance::aiming;
use super::cookie::is_cookie_value;
use super::keys;
use super::quantity::{describe, quote};
use super::table::{Node, Table};
use crate::settings::{Balance, Server, ServerAddress};

/// `None` if its address could not be read; whatever else is wrong is reported all the same.
pub(super) fn read(node: &Node<'_>, balance: Balance) -> Option<Server> {
    if node.value.is_str() {
        return address::server(node).map(with_defaults);
    }
    if !node.value.is_table() {
        let example = "\"app1:3000\" or { address = \"app1:3000\", weight = 2 }";
        node.wrong(format!(
            "{} is not a server; write {example}",
            describe(node.value)
        ));
        return None;
    }
    let mut table = node.table("upstream.NAME.servers")?;
    let written = table.get("address");
    if written.is_none() {
        table.missing("address", "is missing; write address = \"app1:3000\"");
    }
    let address = written.and_then(|node| address::server(&node));
    let (weight, max_fails) = (
        table.quantity(&keys::WEIGHT),
        table.quantity(&keys::MAX_FAILS),
    );
    let (fail_timeout, backup) = (fail_timeout(&mut table), backup(&mut table, balance));
    let slow_start = slow_start(&mut table, balance);
    let failure_window = failure_window(&mut table, max_fails);
    let max_conns = table.quantity(&keys::MAX_CONNS);
    let (down, route) = (table.flag("down"), route(&mut table));
    table.finish();
    Some(Server {
        address: address?,
        weight,
        max_fails,
        fail_timeout,
        failure_window,
        slow_start,
        max_conns,
        backup,
        down,
        route,
    })
}

fn with_defaults(address: ServerAddress) -> Server {
    Server {
        address,
        weight: keys::WEIGHT.default,
        max_fails: keys::MAX_FAILS.default,
        fail_timeout: keys::FAIL_TIMEOUT.default,
        failure_window: None,
        slow_start: keys::SLOW_START.default,
        max_conns: keys::MAX_CONNS.default,
        backup: false,
        down: false,
        route: None,
    }
}

fn fail_timeout(table: &mut Table<'_>) -> Duration {
    let Some(node) = table.get(keys::FAIL_TIMEOUT.name) else {
        return keys::FAIL_TIMEOUT.default;
    };
    let fail_timeout = node
        .quantity(&keys::FAIL_TIMEOUT.bounds)
        .unwrap_or(keys::FAIL_TIMEOUT.default);
    whole_seconds(&node, fail_timeout);
    fail_timeout
}

fn failure_window(table: &mut Table<'_>, max_fails: u32) -> Option<Duration> {
    let node = table.get(keys::FAILURE_WINDOW.name)?;
    let window = node.quantity(&keys::FAILURE_WINDOW.bounds)?;
    whole_seconds(&node, window);
    if max_fails == 0 {
        node.wrong(
            "has no effect with max_fails = 0, by which nothing counts; leave one of the two out",
        );
    }
    Some(window)
}

fn slow_start(table: &mut Table<'_>, balance: Balance) -> Duration {
    let default = keys::SLOW_START.default;
    let Some(node) = table.get(keys::SLOW_START.name) else {
        return default;
    };
    let slow_start = node.quantity(&keys::SLOW_START.bounds).unwrap_or(default);
    whole_seconds(&node, slow_start);
    if !slow_start.is_zero() {
        refuse_if_aiming(&node, balance);
    }
    slow_start
}

fn whole_seconds(node: &Node<'_>, time: Duration) {
    if time.subsec_nanos() != 0 {
        let up = time.as_secs() + 1;
        node.wrong(format!(
            "is not a number of whole seconds, which is how servers are timed; write \"{up}s\""
        ));
    }
}

fn refuse_if_aiming(node: &Node<'_>, balance: Balance) {
    if let Some(method) = aiming(balance) {
        node.wrong(format!(
            "cannot be combined with balance = \"{method}\"; \
             leave it out, or write balance = \"round_robin\" or \"least_conn\"",
        ));
    }
}

fn backup(table: &mut Table<'_>, balance: Balance) -> bool {
    let Some(node) = table.get("backup") else {
        return false;
    };
    let backup = node.flag().unwrap_or(false);
    if backup {
        refuse_if_aiming(&node, balance);
    }
    backup
}

fn route(table: &mut Table<'_>) -> Option<String> {
    let node = table.get("route")?;
    let route = node.text("a short text such as \"a\"")?;
    let most = keys::ROUTE_BYTES_MAX;
    if route.is_empty() || route.len() > most || !is_cookie_value(route) {
        node.wrong(format!(
            "{} cannot be a cookie's value; write 1 to {most} letters, digits, - or _",
            quote(route)
        ));
    }
    Some(route.to_owned())
}
