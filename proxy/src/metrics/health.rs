//! The numbers of active checks and of failing open.

use prometheus::IntCounterVec;

use super::{Families, Metrics};
use crate::health::check::CheckResult;

#[derive(Debug)]
pub(super) struct Health {
    checks: IntCounterVec,
    fail_opens: IntCounterVec,
}

impl Families<'_> {
    pub(super) fn health(&self) -> prometheus::Result<Health> {
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
