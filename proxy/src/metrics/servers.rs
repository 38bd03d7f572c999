//! The numbers of each server. What is kept elsewhere anyway is read when somebody asks.

use std::sync::Arc;

use prometheus::{IntCounterVec, IntGaugeVec};

use super::{Families, Metrics};
use crate::health::condition::Condition;
use crate::health::may_serve;
use crate::outcome::Outcome;
use crate::pool::Seconds;
use crate::registry::Upstream;

#[derive(Debug)]
pub(super) struct Servers {
    fails: IntCounterVec,
    ejections: IntCounterVec,
    up: IntGaugeVec,
    state: IntGaugeVec,
    connections: IntGaugeVec,
}

impl Servers {
    /// Servers that left the settings must not stay on the page.
    pub(super) fn forget(&self) {
        self.up.reset();
        self.state.reset();
        self.connections.reset();
    }
}

impl Families<'_> {
    pub(super) fn servers(&self) -> prometheus::Result<Servers> {
        let server = ["upstream", "server"];
        Ok(Servers {
            fails: self.counters(
                "upstream_server_fails_total",
                "Tries that failed.",
                &["upstream", "server", "reason"],
            )?,
            ejections: self.counters(
                "upstream_server_ejections_total",
                "Times max_fails was reached.",
                &server,
            )?,
            up: self.gauges("upstream_server_up", "1: the server may serve.", &server)?,
            state: self.gauges(
                "upstream_server_state",
                "1: this is how the server is.",
                &["upstream", "server", "state"],
            )?,
            connections: self.gauges(
                "upstream_connections",
                "Requests and WebSockets on a server.",
                &server,
            )?,
        })
    }
}

impl Metrics {
    /// A try at a server failed.
    pub(crate) fn failed(&self, upstream: &str, server: &str, outcome: Outcome) {
        self.servers
            .fails
            .with_label_values(&[upstream, server, outcome.label()])
            .inc();
    }

    pub(crate) fn ejected(&self, upstream: &str, server: &str) {
        self.servers
            .ejections
            .with_label_values(&[upstream, server])
            .inc();
    }

    pub(super) fn read_servers(&self, upstream: &Arc<Upstream>, now: Seconds) {
        for server in upstream.pool.servers() {
            let labels = [&*upstream.name, &*server.name];
            self.servers
                .up
                .with_label_values(&labels)
                .set(i64::from(may_serve(server, now)));
            let condition = Condition::of(server, now);
            for other in Condition::ALL {
                self.servers
                    .state
                    .with_label_values(&[labels[0], labels[1], other.label()])
                    .set(i64::from(condition == other));
            }
            let connections = server.state.connections();
            self.servers
                .connections
                .with_label_values(&labels)
                .set(i64::from(connections));
        }
    }
}
