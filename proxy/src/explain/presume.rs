//! What is taken for granted about servers that nobody asks: names have an address each, and everybody is well, except
//! those that the question supposes to fail.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::NoAnswer;
use crate::health::check::Verdict;
use crate::pool::Server;
use crate::registry::{Addresses, Registry, Snapshot, Upstream, names};
use crate::settings::{HealthCheck, ServerAddress, Settings};

/// The address of every name: one that is nobody's (RFC 6666), so that no cookie and no tag is made from it.
const NOWHERE: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0);

/// What requests are decided by, with every server checked: those in `out` as unwell, the others as well.
pub(super) fn snapshot(settings: &Settings, out: &[String]) -> Result<Arc<Snapshot>, NoAnswer> {
    let snapshot = Registry::new(all_checked(settings), addresses(settings)).current();
    let servers = || {
        let upstreams = snapshot.upstreams.iter();
        upstreams.flat_map(|upstream| upstream.pool.servers())
    };
    for server in servers() {
        let verdict = if out.iter().any(|name| is_called(server, name)) {
            Verdict::Unwell
        } else {
            Verdict::Well
        };
        server.state.standing.set(verdict);
    }
    let is_unknown = |name: &&String| !servers().any(|server| is_called(server, name));
    if let Some(name) = out.iter().find(is_unknown) {
        let known: Vec<&str> = servers().map(|server| &*server.name).collect();
        let known = known.join(", ");
        return Err(NoAnswer(format!(
            "there is no server {name:?}; there are {known}"
        )));
    }
    Ok(snapshot)
}

fn is_called(server: &Server, name: &str) -> bool {
    *server.name == *name
}

/// With active checks everywhere, whose verdicts count whatever `max_fails` is. Who checks does not matter: nobody does.
fn all_checked(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    for upstream in &mut settings.upstreams {
        upstream.health_check = Some(HealthCheck {
            request: None,
            interval: Duration::MAX,
            timeout: Duration::MAX,
            rise: 1,
            fall: 1,
        });
    }
    settings
}

fn addresses(settings: &Settings) -> Addresses {
    let names = names(settings).into_iter();
    names
        .map(|(host, port)| {
            let address = SocketAddr::from((NOWHERE, port));
            ((host, port), vec![address])
        })
        .collect()
}

/// Servers whose marks come from an address that only DNS knows.
pub(super) fn unknown_marks(settings: &Settings, upstream: &Upstream) -> Vec<String> {
    let mut upstreams = settings.upstreams.iter();
    let found = upstreams.find(|found| found.name == *upstream.name);
    let servers = found.map(|upstream| &upstream.servers);
    let unknown = servers
        .into_iter()
        .flatten()
        .filter(|server| server.route.is_none());
    unknown
        .filter_map(|server| match &server.address {
            ServerAddress::Name { host, port } => Some(format!("{host}:{port}")),
            ServerAddress::Ip(_) | ServerAddress::Unix(_) => None,
        })
        .collect()
}
