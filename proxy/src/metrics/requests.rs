//! The numbers of requests: answered, refused, cut, tried again, and how sticky ones found their server.

use std::time::Duration;

use prometheus::{HistogramOpts, IntCounter, IntCounterVec};

use super::durations::Durations;
use super::known::{Known, method_label};
use super::{Families, Metrics, REQUEST_BUCKETS};
use crate::affinity::Method;
use crate::choose::Affinity;
use crate::exchange::cut::Cut;
use crate::refusal::Refusal;

#[derive(Debug)]
pub(super) struct Requests {
    pub(super) total: IntCounterVec,
    duration: Durations,
    refusals: IntCounterVec,
    cut: IntCounterVec,
    bodies_cut: IntCounterVec,
    retries: IntCounterVec,
    redispatches: IntCounterVec,
    sticky: IntCounterVec,
}

impl Metrics {
    /// A request was tried again, on another server or not.
    pub(crate) fn retried(&self, upstream: &str, is_elsewhere: bool) {
        let requests = &self.requests;
        requests.retries.with_label_values(&[upstream]).inc();
        if is_elsewhere {
            requests.redispatches.with_label_values(&[upstream]).inc();
        }
    }

    /// How a sticky method found a request's server.
    pub(crate) fn stuck(
        &self,
        (upstream, known): (&str, &Known),
        method: Method,
        affinity: Affinity,
    ) {
        let find = || self.sticky(upstream, method, affinity.label());
        match known.stuck(method, affinity, find) {
            Some(counter) => counter.inc(),
            None => find().inc(),
        }
    }

    /// The server that a sticky method named cannot serve, and the session is nowhere else.
    pub(crate) fn session_gone(&self, upstream: &str) {
        self.sticky(upstream, Method::Sid, "gone").inc();
    }

    fn sticky(&self, upstream: &str, method: Method, result: &'static str) -> IntCounter {
        let labels = [upstream, method.label(), result];
        self.requests.sticky.with_label_values(&labels)
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.requests
            .refusals
            .with_label_values(&[refusal.label()])
            .inc();
    }

    /// An answer began and did not end.
    pub(crate) fn cut(&self, cut: Cut) {
        self.requests.cut.with_label_values(&[cut.label()]).inc();
    }

    /// A request's body broke a rule when its answer had begun, too late for the refusal.
    pub(crate) fn body_cut(&self, refusal: Refusal) {
        let cut = &self.requests.bodies_cut;
        cut.with_label_values(&[refusal.label()]).inc();
    }

    /// One request to an upstream was answered by a server or by a refusal. WebSockets are requests that were switched.
    pub(crate) fn answered(
        &self,
        (upstream, known): (&str, &Known),
        status: u16,
        method: &[u8],
        transport: &'static str,
    ) {
        let find = || {
            let status = status.to_string();
            let labels = [upstream, status.as_str(), method_label(method), transport];
            self.requests.total.with_label_values(&labels)
        };
        let counter = match transport {
            "http" => known.answered(status, method, find),
            _ => None,
        };
        match counter {
            Some(counter) => counter.inc(),
            None => find().inc(),
        }
    }

    pub(crate) fn took(&self, (upstream, known): (&str, &Known), duration: Duration) {
        known
            .duration(|| self.requests.duration.mine(upstream))
            .observe(duration.as_secs_f64());
    }
}

impl Families<'_> {
    fn durations(&self, name: &str, help: &str) -> prometheus::Result<Durations> {
        let options = HistogramOpts::new(format!("berth_{name}"), help);
        self.register(Durations::new(&options.buckets(REQUEST_BUCKETS.to_vec()))?)
    }

    pub(super) fn requests(&self) -> prometheus::Result<Requests> {
        let took = "From the head to the end of the answer, without WebSockets.";
        Ok(Requests {
            total: self.counters(
                "requests_total",
                "Requests answered.",
                &["upstream", "code", "method", "transport"],
            )?,
            duration: self.durations("request_duration_seconds", took)?,
            refusals: self.counters(
                "refusals_total",
                "Requests the proxy answered itself.",
                &["reason"],
            )?,
            cut: self.counters(
                "answers_cut_total",
                "Answers that began and did not end.",
                &["reason"],
            )?,
            bodies_cut: self.counters(
                "request_bodies_cut_total",
                "Request bodies that broke a rule after their answer had begun.",
                &["reason"],
            )?,
            retries: self.counters(
                "upstream_retries_total",
                "Tries of requests after their first.",
                &["upstream"],
            )?,
            redispatches: self.counters(
                "upstream_redispatches_total",
                "Such tries on another server than the one before.",
                &["upstream"],
            )?,
            sticky: self.counters(
                "sticky_requests_total",
                "Requests to sticky upstreams.",
                &["upstream", "method", "result"],
            )?,
        })
    }
}
