//! The numbers of active checks, of failing open and of slow starts.

use prometheus::{GaugeVec, IntCounterVec, Opts};

use super::{Families, Metrics};
use crate::health::check::CheckResult;
use crate::health::slow_start;
use crate::pool::Seconds;
use crate::registry::Snapshot;

#[derive(Debug)]
pub(super) struct Health {
    checks: IntCounterVec,
    fail_opens: IntCounterVec,
    weights: GaugeVec,
}

impl Health {
    /// How much of its weight every server has.
    pub(super) fn read_weights(&self, snapshot: &Snapshot, now: Seconds) {
        self.weights.reset();
        for upstream in &snapshot.upstreams {
            for server in upstream.pool.servers() {
                let part = slow_start::part(server, now);
                self.weights
                    .with_label_values(&[&*upstream.name, &*server.name])
                    .set(f64::from(part) / f64::from(slow_start::WHOLE));
            }
        }
    }
}

impl Families<'_> {
    pub(super) fn health(&self) -> prometheus::Result<Health> {
        let weight = Opts::new(
            "berth_upstream_server_weight_ratio",
            "Part of its weight that a server has; less than 1 during slow_start.",
        );
        Ok(Health {
            checks: self.counters(
                "health_checks_total",
                "Active checks of servers.",
                &["upstream", "server", "result"],
            )?,
            fail_opens: self.counters(
                "upstream_fail_open_total",
                "Requests given to the least bad server because none may serve.",
                &["upstream"],
            )?,
            weights: self.register(GaugeVec::new(weight, &["upstream", "server"])?)?,
        })
    }
}

impl Metrics {
    /// A server was asked how it is.
    pub(crate) fn health_checked(&self, upstream: &str, server: &str, result: CheckResult) {
        self.health
            .checks
            .with_label_values(&[upstream, server, result.label()])
            .inc();
    }

    /// Nobody may serve, and a server got a request all the same.
    pub(crate) fn failed_open(&self, upstream: &str) {
        self.health.fail_opens.with_label_values(&[upstream]).inc();
    }
}
