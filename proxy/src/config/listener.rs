//! `[server]` and `[admin]`: what the proxy offers to clients and to its operator, and the bounds on both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::address;
use super::keys;
use super::quantity::quote;
use super::table::{Node, Table};
use super::tls;
use crate::certificate::Certificate;
use crate::settings::{Limits, Listen, ListenAddress};

pub(super) struct Server {
    pub(super) listen: Vec<Listen>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) drain_timeout: Duration,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) threads: usize,
    pub(super) limits: Limits,
}

/// `folder` is where certificates are looked for; `None`: they are not.
pub(super) fn server(file: &mut Table<'_>, folder: Option<&Path>) -> Server {
    let mut table = file.table_or_empty("server", "server");
    let listen = listen(&mut table);
    let has_tls = listen.iter().any(|listen| listen.tls);
    let server = Server {
        certificates: tls::certificates(&mut table, has_tls, folder),
        listen,
        trusted_proxies: trusted_proxies(&mut table),
        drain_timeout: table.quantity(&keys::DRAIN_TIMEOUT),
        pid_file: pid_file(&mut table),
        threads: threads(&mut table),
        limits: Limits {
            head_bytes_max: table.quantity(&keys::HEAD_BYTES_MAX).in_memory(),
            head_fields_max: table.quantity(&keys::HEAD_FIELDS_MAX),
            head_timeout: table.quantity(&keys::HEAD_TIMEOUT),
            client_keepalive_timeout: table.quantity(&keys::CLIENT_KEEPALIVE_TIMEOUT),
            client_keepalive_requests: table.quantity(&keys::CLIENT_KEEPALIVE_REQUESTS),
            body_bytes_max: table.quantity(&keys::BODY_BYTES_MAX).0,
            body_timeout: table.quantity(&keys::BODY_TIMEOUT),
            send_timeout: table.quantity(&keys::SEND_TIMEOUT),
            body_rate_min: table.quantity(&keys::BODY_RATE_MIN).0,
            send_rate_min: table.quantity(&keys::SEND_RATE_MIN).0,
            rate_window: table.quantity(&keys::RATE_WINDOW),
            connections_max: table.quantity(&keys::CONNECTIONS_MAX),
            connections_per_client_max: table.quantity(&keys::CONNECTIONS_PER_CLIENT_MAX),
            tls_handshake_timeout: table.quantity(&keys::TLS_HANDSHAKE_TIMEOUT),
            http2: table
                .get("http2")
                .and_then(|node| node.flag())
                .unwrap_or(true),
            http2_streams_max: table.quantity(&keys::HTTP2_STREAMS_MAX),
        },
    };
    table.finish();
    server
}

/// `None` if there is no `[admin]`: then nothing listens.
pub(super) fn admin(file: &mut Table<'_>, listen: &[Listen]) -> Option<SocketAddr> {
    let mut table = file.table("admin", "admin")?;
    let address = match table.get("listen") {
        Some(node) => {
            let address = address::admin(&node);
            let shared = address.is_some_and(|address| {
                listen
                    .iter()
                    .any(|listen| address::collide(&listen.address, &ListenAddress::Tcp(address)))
            });
            if shared {
                node.wrong(
                    "is also where clients are served (server.listen); \
                     write another port, and never a public address",
                );
            }
            address
        }
        None => Some(keys::ADMIN_LISTEN),
    };
    table.finish();
    address
}

fn listen(table: &mut Table<'_>) -> Vec<Listen> {
    let example = "[\"0.0.0.0:8080\"]";
    let Some(node) = table.get("listen") else {
        return vec![Listen::plain(ListenAddress::Tcp(keys::SERVER_LISTEN))];
    };
    let mut taken: Vec<Listen> = Vec::new();
    let items = node.list(example).unwrap_or_default();
    if items.is_empty() && node.value.is_array() {
        node.wrong(format!(
            "is empty, so nobody could connect; write {example}"
        ));
    }
    for item in items {
        let Some(listen) = one(&item) else {
            continue;
        };
        let mut others = taken.iter();
        if others.any(|other| address::collide(&listen.address, &other.address)) {
            item.wrong("is already listened on by an earlier item; leave one of the two out");
            continue;
        }
        if listen.tls && !table.has("tls") {
            item.missing(
                "has TLS, but there is no certificate; write [[server.tls]] with certificate and key",
            );
        }
        taken.push(listen);
    }
    taken
}

/// An address, or a table with one and how it is served.
fn one(item: &Node<'_>) -> Option<Listen> {
    if !item.value.is_table() {
        return address::listen(item).map(Listen::plain);
    }
    let mut table = item.table("server.listen")?;
    // What is no switch was meant to be one, so nothing more is said of it.
    let tls = table.get("tls").map(|node| node.flag().unwrap_or(true));
    let address = table.get("address");
    if address.is_none() {
        table.missing("address", "is missing; write address = \"0.0.0.0:8443\"");
    }
    table.finish();
    Some(Listen {
        address: address::listen(&address?)?,
        tls: tls.unwrap_or_default(),
    })
}

fn trusted_proxies(table: &mut Table<'_>) -> Vec<IpNet> {
    let items = table
        .get("trusted_proxies")
        .and_then(|node| node.list("[\"10.0.0.0/8\"]"));
    items
        .unwrap_or_default()
        .iter()
        .filter_map(address::network)
        .collect()
}

fn pid_file(table: &mut Table<'_>) -> Option<PathBuf> {
    let node = table.get("pid_file")?;
    let path = node.text("\"/run/berth/proxy.pid\"")?;
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        node.wrong(format!(
            "{} is not the path of a file; write \"/run/berth/proxy.pid\"",
            quote(path)
        ));
    }
    Some(PathBuf::from(path))
}

/// A number, or `"auto"`: one per processor.
fn threads(table: &mut Table<'_>) -> usize {
    let automatic = || std::thread::available_parallelism().map_or(1, usize::from);
    let is_automatic = |node: &Node<'_>| node.value.as_str() == Some("auto");
    match table.get(keys::THREADS.name) {
        None => automatic(),
        Some(node) if is_automatic(&node) => automatic(),
        Some(node) => node
            .quantity(&keys::THREADS.bounds)
            .unwrap_or_else(automatic),
    }
}
