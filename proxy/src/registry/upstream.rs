//! One upstream as requests see it, built from its settings.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::handshakes::Handshakes;
use super::{Addresses, Before, build_servers};
use crate::affinity::Method;
use crate::affinity::cookie::StickyCookie;
use crate::affinity::sid::Envelope;
use crate::choose::Policy;
use crate::hash_key::HashKey;
use crate::metrics::Known;
use crate::pool::Pool;
use crate::settings::{self, Balance, HealthCheck, IdleTimeout, Sticky};

/// One upstream, ready to be used.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: Arc<str>,
    pub(crate) pool: Pool,
    pub(crate) policy: Policy,
    pub(crate) hash_key: Option<HashKey>,
    /// Tried in this order, each at most once.
    pub(crate) sticky: [Option<Method>; 2],
    pub(crate) sid: Option<Envelope>,
    pub(crate) cookie: Option<StickyCookie>,
    /// Idle connections to servers that each worker keeps.
    pub(crate) keepalive: usize,
    pub(crate) keepalive_timeout: Duration,
    /// Requests one connection to a server carries.
    pub(crate) keepalive_requests: u32,
    /// How long a request may be given to another server; zero is no limit.
    pub(crate) tries_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) websocket_idle_timeout: IdleTimeout,
    pub(crate) websocket_max_age: Option<Duration>,
    pub(crate) websocket_early_close: Option<Duration>,
    pub(crate) health_check: Option<Arc<HealthCheck>>,
    /// `None`: any number of Engine.IO sessions may begin.
    pub(crate) handshakes: Option<Handshakes>,
    known: Arc<Known>,
}

impl Upstream {
    /// What its requests are counted by.
    #[must_use]
    pub(crate) fn counted(&self) -> (&str, &Known) {
        (&self.name, &self.known)
    }

    pub(super) fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// As `Pool::replica`.
    pub(super) fn replica(&self) -> Self {
        Self {
            pool: self.pool.replica(),
            name: Arc::clone(&self.name),
            hash_key: self.hash_key.clone(),
            sid: self.sid.clone(),
            cookie: self.cookie.clone(),
            health_check: self.health_check.clone(),
            handshakes: self.handshakes.clone(),
            known: Arc::clone(&self.known),
            ..*self
        }
    }
}

pub(super) fn build_upstream(
    upstream: &settings::Upstream,
    addresses: &Addresses,
    before: Option<Before<'_>>,
) -> Upstream {
    let servers = upstream
        .servers
        .iter()
        .flat_map(|server| build_servers(server, upstream, addresses, before));
    let (mut sticky, mut sid, mut cookie) = ([None; 2], None, None);
    for (place, method) in sticky.iter_mut().zip(&upstream.sticky) {
        *place = Some(match method {
            Sticky::Sid(settings) => {
                sid = Some(Envelope::new(settings));
                Method::Sid
            }
            Sticky::Cookie(settings) => {
                cookie = Some(StickyCookie::new(settings, &upstream.name));
                Method::Cookie
            }
        });
    }
    let pool = if upstream.balance == Balance::HashConsistent {
        Pool::with_ring(servers)
    } else {
        Pool::new(servers)
    };
    let was_failing_open = before.is_some_and(|before| before.pool.is_failing_open.load(Relaxed));
    pool.is_failing_open.store(was_failing_open, Relaxed);
    Upstream {
        name: upstream.name.as_str().into(),
        pool,
        policy: Policy {
            balance: upstream.balance,
            tries_max: upstream.tries_max,
            fail_open: upstream.fail_open,
        },
        hash_key: upstream.hash_key.clone(),
        sticky,
        sid,
        cookie,
        keepalive: upstream.keepalive,
        keepalive_timeout: upstream.keepalive_timeout,
        // Servers are told to close at once what would not be kept.
        keepalive_requests: if upstream.keepalive == 0 {
            1
        } else {
            upstream.keepalive_requests
        },
        tries_timeout: upstream.tries_timeout,
        connect_timeout: upstream.connect_timeout,
        read_timeout: upstream.read_timeout,
        write_timeout: upstream.write_timeout,
        websocket_idle_timeout: upstream.websocket_idle_timeout,
        websocket_max_age: upstream.websocket_max_age,
        websocket_early_close: upstream.websocket_early_close,
        health_check: upstream.health_check.clone().map(Arc::new),
        handshakes: Handshakes::new(
            upstream.handshakes,
            before.and_then(|before| before.handshakes),
        ),
        known: before.map_or_else(Arc::default, |before| Arc::clone(before.known)),
    }
}
