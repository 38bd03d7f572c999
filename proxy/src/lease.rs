//! The use of one server by one try of a request or by one tunnel.
//!
//! Owns that what a choice counted is uncounted whatever happens, and that the try's outcome reaches `health`, the
//! metrics and the log exactly once. A lease that is dropped unsettled (the client left, the task was cancelled)
//! says nothing about the server.

use std::sync::Arc;

use crate::health::{self, Transition};
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::pool::{Pool, Seconds, Server};
use crate::registry::Upstream;

#[derive(Debug)]
pub(crate) struct Lease {
    upstream: Arc<Upstream>,
    index: usize,
    server: Arc<Server>,
    is_settled: bool,
    is_released: bool,
}

impl Lease {
    /// Takes over a choice of `upstream`'s pool. `None`: the pool has no such server, which no choice names.
    #[must_use]
    pub(crate) fn new(upstream: &Arc<Upstream>, index: usize) -> Option<Self> {
        let server = Arc::clone(upstream.pool.get(index)?);
        Some(Self {
            upstream: Arc::clone(upstream),
            index,
            server,
            is_settled: false,
            is_released: false,
        })
    }

    /// Ends the use; what is left tells whose it was.
    pub(crate) fn release(&mut self) {
        if !std::mem::replace(&mut self.is_released, true) {
            self.server.leave();
        }
    }

    #[must_use]
    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    #[must_use]
    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    #[must_use]
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// A WebSocket that began well died early. The one report that may follow another.
    pub(crate) fn died_early(&mut self, now: Seconds, metrics: &Metrics) {
        self.is_settled = false;
        self.settle(Outcome::EarlyClose, now, metrics);
    }

    /// Reports how the try ended; later reports of the same lease are not heard.
    pub(crate) fn settle(&mut self, outcome: Outcome, now: Seconds, metrics: &Metrics) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let (upstream, server) = (&*self.upstream.name, &*self.server.name);
        let pool: &Pool = &self.upstream.pool;
        if outcome == Outcome::Answered {
            if health::succeeded(pool, &self.server, now) == Transition::Back {
                tracing::info!(upstream, server, "server is back");
            }
            return;
        }
        if outcome != Outcome::ClientGone {
            metrics.failed(upstream, server, outcome);
        }
        if outcome.is_servers_fault() && health::failed(pool, &self.server, now) == Transition::Out
        {
            metrics.ejected(upstream, server);
            let fail_timeout_seconds = self.server.fail_timeout;
            tracing::warn!(
                upstream,
                server,
                why = outcome.label(),
                fail_timeout_seconds,
                "server is out"
            );
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release();
    }
}
