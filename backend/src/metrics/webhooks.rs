//! What is told to other programs.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::{Register, SECONDS_BUCKETS};
use crate::webhooks::State;

/// Seconds from an entry's admission to a receiver that has it: up to one that was away for an hour.
const DELAY_BUCKETS: [f64; 10] = [0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0, 600.0, 3_600.0];

/// Webhooks.
pub struct Webhooks {
    pub requests_total: IntCounterVec,
    pub entries_total: IntCounter,
    pub request_seconds: Histogram,
    pub delay_seconds: Histogram,
    pub states: IntGaugeVec,
    pub rooms_waiting: IntGauge,
}

impl Webhooks {
    pub(super) fn new(at: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests_total: at.counters(
                "chat_webhook_requests_total",
                "Requests to webhooks' receivers by result",
                "result",
            )?,
            entries_total: at.counter(
                "chat_webhook_entries_total",
                "Entries that receivers have taken, repeated ones included",
            )?,
            request_seconds: at.histogram(
                "chat_webhook_request_seconds",
                "One request to a receiver",
                &SECONDS_BUCKETS,
            )?,
            delay_seconds: at.histogram(
                "chat_webhook_delay_seconds",
                "From the admission of a request's newest entry to the receiver that has it",
                &DELAY_BUCKETS,
            )?,
            states: at.gauges(
                "chat_webhooks",
                "Webhooks that this server tells, by how they are",
                "state",
            )?,
            rooms_waiting: at.gauge(
                "chat_webhook_rooms_waiting",
                "Rooms that webhooks which this server tells have not been told all of",
            )?,
        })
    }

    /// A request was made, with so many entries, the newest of them so old.
    pub fn asked(&self, is_taken: bool, entries: usize, age_ms: i64) {
        let result = if is_taken { "taken" } else { "failed" };
        self.requests_total.with_label_values(&[result]).inc();
        if is_taken {
            self.entries_total
                .inc_by(u64::try_from(entries).unwrap_or(0));
            let age_ms = u32::try_from(age_ms.max(0)).unwrap_or(u32::MAX);
            self.delay_seconds.observe(f64::from(age_ms) / 1_000.0);
        }
    }

    /// Shows one webhook until it is dropped.
    #[must_use]
    pub fn gauge(&self, state: State) -> WebhookGauge {
        let gauge = WebhookGauge {
            states: self.states.clone(),
            rooms_waiting: self.rooms_waiting.clone(),
            state,
            waiting: 0,
        };
        gauge.of(state).inc();
        gauge
    }
}

/// One webhook's part of the gauges.
pub struct WebhookGauge {
    states: IntGaugeVec,
    rooms_waiting: IntGauge,
    state: State,
    waiting: i64,
}

impl WebhookGauge {
    pub fn set_state(&mut self, state: State) {
        self.of(self.state).dec();
        self.of(state).inc();
        self.state = state;
    }

    pub fn set_waiting(&mut self, rooms: usize) {
        let rooms = i64::try_from(rooms).unwrap_or(i64::MAX);
        let before = std::mem::replace(&mut self.waiting, rooms);
        self.rooms_waiting.add(rooms - before);
    }

    fn of(&self, state: State) -> IntGauge {
        self.states.with_label_values(&[state.as_str()])
    }
}

impl Drop for WebhookGauge {
    fn drop(&mut self) {
        self.of(self.state).dec();
        self.rooms_waiting.sub(self.waiting);
    }
}
