//! What the proxy serves by at this moment, and the only place where that changes.
//!
//! Owns the snapshot that every request reads (routes, upstreams, limits) and builds the next one from settings and
//! looked-up addresses. Invariants: **a request keeps the snapshot it began with**, so a reload never touches it;
//! **a server's counters survive every rebuild that still has the server** (same upstream, name and address).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use ipnet::IpNet;
use tokio::sync::watch;

use crate::affinity::cookie;
use crate::affinity::sid;
use crate::handshakes::Rate;
use crate::health::check::Verdict;
use crate::health::slow_start;
use crate::metrics::Known;
use crate::pool::{Endpoint, Pool, Seconds, Server, State};
use crate::route::Routes;
use crate::settings::{self, Balance, Limits, ServerAddress, Settings};

mod handshakes;
mod upstream;

use handshakes::Handshakes;
pub(crate) use upstream::Upstream;
use upstream::build_upstream;

/// `host` and `port` as they stand in the settings.
pub(crate) type Name = (String, u16);

/// The last good answer for every name.
pub(crate) type Addresses = HashMap<Name, Vec<SocketAddr>>;

/// Everything that a request is decided by.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) routes: Routes,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) limits: Limits,
}

impl Snapshot {
    fn replica(&self) -> Self {
        let upstreams = self.upstreams.iter();
        Self {
            routes: self.routes.clone(),
            upstreams: upstreams
                .map(|upstream| Arc::new(upstream.replica()))
                .collect(),
            trusted_proxies: self.trusted_proxies.clone(),
            limits: self.limits.clone(),
        }
    }
}

/// The snapshot and what it was built from.
#[derive(Debug)]
pub(crate) struct Registry {
    current: ArcSwap<Snapshot>,
    /// For each worker the same, in other places of the memory: every request counts itself among the owners of its
    /// upstream and of its server, and threads that do so in one place wait for each other.
    replicas: Box<[ArcSwap<Snapshot>]>,
    basis: Mutex<Basis>,
    /// Told of every new snapshot.
    news: watch::Sender<()>,
}

#[derive(Debug)]
struct Basis {
    settings: Arc<Settings>,
    addresses: Addresses,
}

impl Registry {
    #[must_use]
    pub(crate) fn new(settings: Settings, addresses: Addresses) -> Self {
        let snapshot = build(&settings, &addresses, None);
        let replicas = (0..settings.threads).map(|_| ArcSwap::from_pointee(snapshot.replica()));
        Self {
            replicas: replicas.collect(),
            current: ArcSwap::from_pointee(snapshot),
            basis: Mutex::new(Basis {
                settings: Arc::new(settings),
                addresses,
            }),
            news: watch::Sender::new(()),
        }
    }

    #[must_use]
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A worker's own replica, for a look that ends before anything is waited for.
    #[must_use]
    pub(crate) fn peek(&self, worker: usize) -> Guard<Arc<Snapshot>> {
        self.replicas.get(worker).unwrap_or(&self.current).load()
    }

    #[must_use]
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.basis().settings)
    }

    /// Serves by new settings from now on. Names that were looked up keep their addresses.
    pub(crate) fn replace(&self, settings: Settings, looked_up: Addresses, now: Seconds) {
        let mut basis = self.basis();
        basis.settings = Arc::new(settings);
        basis.addresses.extend(looked_up);
        let names = names(&basis.settings);
        basis.addresses.retain(|name, _| names.contains(name));
        self.rebuild(&basis, now);
    }

    /// Takes in fresh answers; a name without one keeps its last. Tells whether anything changed.
    pub(crate) fn readdress(&self, looked_up: Addresses, now: Seconds) -> bool {
        let mut basis = self.basis();
        let is_news = looked_up
            .iter()
            .any(|(name, found)| basis.addresses.get(name) != Some(found));
        if is_news {
            basis.addresses.extend(looked_up);
            self.rebuild(&basis, now);
        }
        is_news
    }

    /// Names in the settings that never had an answer.
    #[must_use]
    pub(crate) fn unresolved(&self) -> Vec<Name> {
        let basis = self.basis();
        let mut names = names(&basis.settings);
        names.retain(|name| !basis.addresses.contains_key(name));
        names
    }

    fn rebuild(&self, basis: &Basis, now: Seconds) {
        let previous = self.current();
        let next = build(&basis.settings, &basis.addresses, Some((&previous, now)));
        for replica in &self.replicas {
            replica.store(Arc::new(next.replica()));
        }
        self.current.store(Arc::new(next));
        for upstream in &previous.upstreams {
            // One that left the settings is not asked any more.
            upstream.known().tell();
        }
        self.news.send_replace(());
    }

    /// Changes with every new snapshot.
    #[must_use]
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn basis(&self) -> std::sync::MutexGuard<'_, Basis> {
        // The basis is replaced field by field with finished values; a panic elsewhere leaves nothing half done.
        self.basis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All names in the settings, each once.
#[must_use]
pub(crate) fn names(settings: &Settings) -> Vec<Name> {
    let mut names: Vec<Name> = settings
        .upstreams
        .iter()
        .flat_map(|upstream| &upstream.servers)
        .filter_map(|server| match &server.address {
            ServerAddress::Name { host, port } => Some((host.clone(), *port)),
            ServerAddress::Ip(_) | ServerAddress::Unix(_) => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn build(
    settings: &Settings,
    addresses: &Addresses,
    previous: Option<(&Snapshot, Seconds)>,
) -> Snapshot {
    let upstreams = settings.upstreams.iter().map(|upstream| {
        let before = previous.and_then(|(snapshot, now)| {
            let mut upstreams = snapshot.upstreams.iter();
            let same = upstreams.find(|before| *before.name == *upstream.name)?;
            Some(Before {
                pool: &same.pool,
                handshakes: same.handshakes.as_ref(),
                known: same.known(),
                now,
            })
        });
        Arc::new(build_upstream(upstream, addresses, before))
    });
    Snapshot {
        upstreams: upstreams.collect(),
        routes: Routes::new(&settings.routes),
        trusted_proxies: settings.trusted_proxies.clone(),
        limits: settings.limits.clone(),
    }
}

/// An upstream as it is until `now`, when it is built anew.
#[derive(Clone, Copy)]
struct Before<'a> {
    pool: &'a Pool,
    handshakes: Option<&'a Handshakes>,
    known: &'a Arc<Known>,
    now: Seconds,
}

impl<'a> Before<'a> {
    /// The server that `server` goes on being, if it is not new.
    fn same(self, text: &str, endpoint: &Endpoint) -> Option<&'a Arc<Server>> {
        let mut servers = self.pool.servers().iter();
        servers.find(|known| known.endpoint == *endpoint && known.name.starts_with(text))
    }

    /// Lets the weight of a server rise that was not in service until now, while others were.
    fn slow_start(self, known: Option<&Arc<Server>>, server: &Server) {
        match known {
            Some(known) if known.down && !server.down => slow_start::begin(server, self.now),
            None if !self.pool.servers().is_empty() => slow_start::begin(server, self.now),
            Some(_) | None => {}
        }
    }
}

/// What a server's address is called, and where to dial.
fn endpoints(address: &ServerAddress, addresses: &Addresses) -> (String, Vec<Endpoint>) {
    match address {
        ServerAddress::Ip(address) => (address.to_string(), vec![Endpoint::Ip(*address)]),
        ServerAddress::Unix(path) => (
            format!("unix:{}", path.display()),
            vec![Endpoint::Unix(path.clone())],
        ),
        ServerAddress::Name { host, port } => {
            let found = addresses
                .get(&(host.clone(), *port))
                .map_or(&[][..], Vec::as_slice);
            (
                format!("{host}:{port}"),
                found.iter().copied().map(Endpoint::Ip).collect(),
            )
        }
    }
}

/// The servers behind one line of the settings: none while a name has no address yet.
fn build_servers(
    server: &settings::Server,
    upstream: &settings::Upstream,
    addresses: &Addresses,
    before: Option<Before<'_>>,
) -> Vec<Server> {
    let (text, endpoints) = endpoints(&server.address, addresses);
    let is_only = endpoints.len() == 1;
    let configured: Arc<str> = text.as_str().into();
    let build = |endpoint: Endpoint| {
        let address = match &endpoint {
            Endpoint::Ip(address) => address.to_string(),
            Endpoint::Unix(_) => text.clone(),
        };
        let name = if is_only {
            text.clone()
        } else {
            format!("{text} ({address})")
        };
        let known = before.and_then(|before| before.same(&text, &endpoint));
        if let (Some(before), Some(known)) = (before, known) {
            slow_start::forget_if_over(known, before.now);
        }
        let state = known.map_or_else(
            || Arc::new(State::new(server.weight)),
            |known| Arc::clone(&known.state),
        );
        state.reweigh(server.weight);
        let has_check = upstream.health_check.is_some();
        if !has_check {
            // It serves, and goes on so if checks are added later.
            state.standing.set(Verdict::Well);
        }
        let (mark, tag) = names_of(server.route.as_deref(), &address, is_only);
        let server = Server {
            name: name.into(),
            configured: Arc::clone(&configured),
            endpoint,
            weight: server.weight,
            max_fails: server.max_fails,
            fail_timeout: server.fail_timeout.as_secs(),
            failure_window: server.failure_window.map(|window| window.as_secs()),
            slow_start: server.slow_start.as_secs(),
            max_conns: server.max_conns,
            handshakes: upstream.handshakes.per_server.map(Rate::new),
            counts_apart: server.max_conns == 0 && !counts_connections(upstream.balance),
            backup: server.backup,
            down: server.down,
            has_check,
            mark,
            tag,
            state,
        };
        if server.counts_apart {
            server.state.prepare_to_count_apart();
        }
        if let Some(before) = before {
            before.slow_start(known, &server);
        }
        server
    };
    endpoints.into_iter().map(build).collect()
}

/// Whether it chooses by how many connections servers have.
fn counts_connections(balance: Balance) -> bool {
    match balance {
        Balance::LeastConn | Balance::RandomTwo => true,
        Balance::RoundRobin | Balance::IpHash | Balance::Hash | Balance::HashConsistent => false,
    }
}

/// What names a server in a cookie and in a session id. Sessions live on one server, so the addresses of one name, which
/// share a cookie's value if a route is configured, need a tag each.
fn names_of(route: Option<&str>, address: &str, is_only: bool) -> (Arc<str>, Arc<str>) {
    let mark = route.map_or_else(|| cookie::mark_of(address), str::to_owned);
    let tag = sid::tag_of(route.filter(|_| is_only), address);
    (mark.into(), tag.into())
}

#[cfg(test)]
pub(crate) mod tests;
