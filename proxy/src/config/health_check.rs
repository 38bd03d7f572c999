//! `[upstream.NAME.health_check]`: how servers are asked whether they are well.

use std::ops::RangeInclusive;

use super::keys;
use super::quantity::{describe, quote};
use super::table::{Node, Table};
use crate::settings::{HealthCheck, HealthRequest};

const STATUS_EXAMPLE: &str = "200, or \"200-399\"";

pub(super) fn read(upstream: &mut Table<'_>) -> Option<HealthCheck> {
    let mut table = upstream.table("health_check", "upstream.NAME.health_check")?;
    let path = table.get("path");
    let (host, status) = (table.get("host"), table.get("status"));
    if path.is_none() {
        for node in [&host, &status].into_iter().flatten() {
            let message = "has no effect without path, because nothing is asked for; \
                           write path = \"/health/readiness\", or leave it out";
            node.report.wrong(&node.key_place, &node.path, message);
        }
    }
    let request = path.map(|path| HealthRequest {
        path: self::path(&path).unwrap_or_default(),
        host: host.and_then(|node| self::host(&node)),
        status: status
            .and_then(|node| self::status(&node))
            .unwrap_or(keys::CHECK_STATUS),
    });
    let check = HealthCheck {
        request,
        interval: table.quantity(&keys::CHECK_INTERVAL),
        timeout: table.quantity(&keys::CHECK_TIMEOUT),
        rise: table.quantity(&keys::RISE),
        fall: table.quantity(&keys::FALL),
    };
    table.finish();
    Some(check)
}

fn path(node: &Node<'_>) -> Option<String> {
    let path = node.text("\"/health/readiness\"")?;
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        node.wrong(format!(
            "{} cannot be asked for; write a path that begins with / and holds no spaces, such as \"/health/readiness\"",
            quote(path)
        ));
    }
    Some(path.to_owned())
}

fn host(node: &Node<'_>) -> Option<String> {
    let host = node.text("\"chat.example.com\"")?;
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        node.wrong(format!(
            "{} cannot be a Host field; write a name such as \"chat.example.com\"",
            quote(host)
        ));
    }
    Some(host.to_owned())
}

/// `204` or `"200-399"`.
fn status(node: &Node<'_>) -> Option<RangeInclusive<u16>> {
    let text = match node.value.as_str() {
        Some(text) => text.to_owned(),
        None => describe(node.value),
    };
    let (first, last) = text.split_once('-').unwrap_or((&text, &text));
    let range = first
        .parse()
        .ok()
        .zip(last.parse().ok())
        .map(|(first, last)| first..=last);
    match range {
        Some(range) if !range.is_empty() && *range.start() >= 100 && *range.end() <= 599 => {
            Some(range)
        }
        _ => {
            node.wrong(format!(
                "{} is no status from 100 to 599; write {STATUS_EXAMPLE}",
                describe(node.value)
            ));
            None
        }
    }
}
