//! What the cluster has done so far, in numbers that only go up.
//! Owns the counters; exporting them as metrics is the program's business.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the [`Cluster`](crate::Cluster) was made. Messages are broadcasts, requests and answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages handed to the bus: Redis has confirmed them, or the hub has queued them.
    pub published: u64,
    /// Messages that other servers will not see: the link was down too long, a queue was full,
    /// or the payload could not be encoded. Local clients got them all the same.
    pub dropped: u64,
    /// Messages of other servers that were taken from the bus.
    pub received: u64,
    /// Messages from the bus that did not make sense and were ignored.
    pub malformed: u64,
    /// Messages from the bus that were lost because this process could not keep up.
    pub lagged: u64,
    /// How often a Redis connection was made again after having been lost.
    pub reconnects: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) published: Counter,
    pub(crate) dropped: Counter,
    pub(crate) received: Counter,
    pub(crate) malformed: Counter,
    pub(crate) lagged: Counter,
    pub(crate) reconnects: Counter,
}

impl Counters {
    pub(crate) fn totals(&self) -> Counts {
        Counts {
            published: self.published.get(),
            dropped: self.dropped.get(),
            received: self.received.get(),
            malformed: self.malformed.get(),
            lagged: self.lagged.get(),
            reconnects: self.reconnects.get(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts one, and says whether it is worth a line in the log: the first, the second, the
    /// fourth, the eighth, and so on. A flood must not become a flood of lines.
    pub(crate) fn add_noticeable(&self) -> bool {
        (self.0.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two()
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
