//! The numbers that every request touches, looked up once per upstream and counted by each thread for itself: to find a
//! counter by its labels, or to take it from another processor, costs more than to count.
//!
//! Kept with the upstream and gone with it; the counters themselves are the registry's and stay.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use prometheus::{Histogram, IntCounter};

use crate::affinity::Method;
use crate::by_thread::ByThread;
use crate::choose::Affinity;

/// What a label can be; a client can invent methods, a label cannot.
const METHODS: [&str; 9] = [
    "GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "other",
];
/// Statuses that are worth a place.
const STATUSES: [u16; 16] = [
    200, 204, 206, 301, 302, 304, 400, 401, 403, 404, 429, 499, 500, 502, 503, 504,
];
const STICKY_METHODS: [Method; 2] = [Method::Cookie, Method::Sid];
const AFFINITIES: [Affinity; 4] = [
    Affinity::New,
    Affinity::Hit,
    Affinity::Rebound,
    Affinity::Invalid,
];

/// A counter that threads count up apart, and what they counted since it was last told.
#[derive(Debug)]
pub(super) struct Tally {
    apart: ByThread<AtomicU64>,
    total: IntCounter,
}

impl Tally {
    fn new(total: IntCounter) -> Box<Self> {
        Box::new(Self {
            apart: ByThread::default(),
            total,
        })
    }

    pub(super) fn inc(&self) {
        self.apart.mine().fetch_add(1, Relaxed);
    }

    fn tell(&self) {
        for count in self.apart.all() {
            self.total.inc_by(count.swap(0, Relaxed));
        }
    }
}

type Tallies<const COLUMNS: usize, const ROWS: usize> = [[OnceLock<Box<Tally>>; COLUMNS]; ROWS];

/// Of one upstream; filled as its requests come.
#[derive(Debug, Default)]
pub(crate) struct Known {
    duration: ByThread<OnceLock<Histogram>>,
    answered: Tallies<{ STATUSES.len() }, { METHODS.len() }>,
    stuck: Tallies<{ AFFINITIES.len() }, { STICKY_METHODS.len() }>,
}

impl Known {
    /// Brings the counters up to date, for who reads them now.
    pub(crate) fn tell(&self) {
        let (answered, stuck) = (self.answered.iter().flatten(), self.stuck.iter().flatten());
        for tally in answered.chain(stuck).filter_map(OnceLock::get) {
            tally.tell();
        }
    }

    /// This thread's part.
    pub(super) fn duration(&self, find: impl FnOnce() -> Histogram) -> &Histogram {
        self.duration.mine().get_or_init(find)
    }

    /// `None`: a status without a place.
    pub(super) fn answered(
        &self,
        status: u16,
        method: &[u8],
        find: impl FnOnce() -> IntCounter,
    ) -> Option<&Tally> {
        let status = STATUSES.iter().position(|known| *known == status)?;
        let counters = self.answered.get(index_of(method))?;
        let counter = counters.get(status)?;
        Some(counter.get_or_init(|| Tally::new(find())))
    }

    pub(super) fn stuck(
        &self,
        method: Method,
        affinity: Affinity,
        find: impl FnOnce() -> IntCounter,
    ) -> Option<&Tally> {
        let method = STICKY_METHODS.iter().position(|known| *known == method)?;
        let affinity = AFFINITIES.iter().position(|known| *known == affinity)?;
        let counter = self.stuck.get(method)?.get(affinity)?;
        Some(counter.get_or_init(|| Tally::new(find())))
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.tell();
    }
}

fn index_of(method: &[u8]) -> usize {
    let known = METHODS.iter().position(|known| known.as_bytes() == method);
    known.unwrap_or(METHODS.len() - 1)
}

/// The label of a request's method.
pub(super) fn method_label(method: &[u8]) -> &'static str {
    METHODS.get(index_of(method)).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn every_pair_of_labels_has_a_counter_of_its_own() {
        let (metrics, known) = (Metrics::new().unwrap(), Known::default());
        for (times, (status, method)) in [(200, "GET"), (404, "GET"), (200, "PUT"), (299, "BREW")]
            .into_iter()
            .enumerate()
        {
            for _ in 0..=times {
                metrics.answered(("app", &known), status, method.as_bytes(), "http");
            }
        }
        known.tell();
        let counted = |code: &str, method| {
            let labels = ["app", code, method, "http"];
            metrics.requests.total.with_label_values(&labels).get()
        };
        assert_eq!(counted("200", "GET"), 1);
        assert_eq!(counted("404", "GET"), 2);
        assert_eq!(counted("200", "PUT"), 3);
        assert_eq!(counted("299", "other"), 4);
    }
}
