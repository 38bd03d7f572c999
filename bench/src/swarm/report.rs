//! What a run found, as it is printed.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::drive::Plan;
use super::meter::Reading;
use super::tally::Tally;

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub mode: &'static str,
    pub connections: usize,
    /// `None`: as fast as it went.
    pub rate_per_second: Option<f64>,
    pub seconds: f64,
    pub done: u64,
    pub done_per_second: f64,
    /// By their kind; empty when all is well.
    pub failures: BTreeMap<&'static str, u64>,
    pub latency: Latency,
    /// Of the watched processes.
    pub cpu: Option<Cpu>,
    /// The share of a processor that the clients took themselves. Near 1 the rate is theirs, not the proxy's.
    pub clients_busy: f64,
}

impl Report {
    pub(crate) fn new(mode: &'static str, plan: &Plan, tally: &Tally, reading: &Reading) -> Self {
        Self {
            mode,
            connections: plan.connections,
            rate_per_second: plan.rate,
            seconds: reading.took.as_secs_f64(),
            done: tally.done(),
            done_per_second: reading.per_second(tally.done()),
            failures: tally.failures(),
            latency: Latency::new(&tally.latency()),
            cpu: reading.cpu(tally.done()),
            clients_busy: reading.clients_busy(),
        }
    }

    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

/// In microseconds. With a rate, counted from the time at which each exchange was meant to begin.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    pub samples: u64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p99_9_us: f64,
    pub max_us: f64,
}

impl Latency {
    pub(crate) fn new(histogram: &Histogram<u64>) -> Self {
        let us = |ns: u64| ns as f64 / 1000.0;
        let at = |quantile| us(histogram.value_at_quantile(quantile));
        Self {
            samples: histogram.len(),
            mean_us: histogram.mean() / 1000.0,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            max_us: us(histogram.max()),
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cpu {
    pub total_ms: f64,
    pub us_per_exchange: f64,
}

impl Cpu {
    pub(crate) fn new(cpu_ns: u64, exchanges: u64) -> Self {
        Self {
            total_ms: cpu_ns as f64 / 1e6,
            us_per_exchange: cpu_ns as f64 / 1000.0 / exchanges.max(1) as f64,
        }
    }
}

/// What connections cost that do nothing.
#[derive(Clone, Debug, Serialize)]
pub struct IdleReport {
    pub mode: &'static str,
    pub connections: usize,
    pub opened: usize,
    pub opened_per_second: f64,
    pub failures: BTreeMap<&'static str, u64>,
    pub memory: Option<Memory>,
    /// Per connection that was opened.
    pub cpu_opening: Option<Cpu>,
}

/// What happened in rooms.
#[derive(Clone, Debug, Serialize)]
pub struct RoomReport {
    pub mode: &'static str,
    pub rooms: usize,
    pub members: usize,
    /// Messages over all rooms.
    pub rate_per_second: Option<f64>,
    pub seconds: f64,
    /// In the measured time.
    pub deliveries: u64,
    pub deliveries_per_second: f64,
    /// From the first message to the last, each to each who should have it; refused messages to nobody.
    pub expected_in_all: u64,
    pub missing: u64,
    pub twice: u64,
    /// After a later message of the same room.
    pub disordered: u64,
    /// The server said no, or hung up.
    pub refused: u64,
    /// The same by the server's code.
    pub refusals: BTreeMap<String, u64>,
    /// Messages that the server acknowledged in the measured time.
    pub acked: u64,
    /// Messages that it neither acknowledged nor refused, if it should.
    pub unacked: u64,
    pub failures: BTreeMap<&'static str, u64>,
    /// Of deliveries.
    pub latency: Latency,
    /// Of acknowledgements.
    pub ack_latency: Latency,
    /// Of the watched processes, per delivery.
    pub cpu: Option<Cpu>,
    /// The share of a processor that the clients took themselves.
    pub clients_busy: f64,
}

impl RoomReport {
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.missing + self.twice + self.disordered + self.refused + self.unacked == 0
            && self.failures.is_empty()
    }
}

/// Of the watched processes, each time when it had come to rest.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    pub before_bytes: u64,
    pub open_bytes: u64,
    /// After large messages on every WebSocket, if there were any.
    pub after_messages_bytes: Option<u64>,
    pub closed_bytes: u64,
    pub per_connection_kib: f64,
    pub per_connection_after_messages_kib: Option<f64>,
    /// What did not come back.
    pub kept_mib: f64,
}

impl Memory {
    pub(crate) fn complete(self, connections: usize) -> Self {
        let above = |bytes: u64| bytes as f64 - self.before_bytes as f64;
        let each = |bytes: u64| above(bytes) / 1024.0 / connections.max(1) as f64;
        Self {
            per_connection_kib: each(self.open_bytes),
            per_connection_after_messages_kib: self.after_messages_bytes.map(each),
            kept_mib: above(self.closed_bytes) / 1024.0 / 1024.0,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_was_added_by_connection() {
        let memory = Memory {
            before_bytes: 1024 * 1024,
            open_bytes: 3 * 1024 * 1024,
            after_messages_bytes: None,
            closed_bytes: 2 * 1024 * 1024,
            ..Memory::default()
        };
        let memory = memory.complete(1024);
        assert!((memory.per_connection_kib - 2.0).abs() < 1e-9);
        assert!((memory.kept_mib - 1.0).abs() < 1e-9);
        assert_eq!(memory.per_connection_after_messages_kib, None);
    }
}
