//! What a run counts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Instant;

use hdrhistogram::Histogram;

/// An exchange that is slower than this has failed long before.
const LATENCY_NS_MAX: u64 = 120_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Why an exchange did not come to its end.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Failure {
    /// No connection came to be.
    Connect,
    /// The answer had another status than the one that belongs to the request.
    Status,
    /// The connection ended in the middle.
    Closed,
    /// What came was not what was asked for.
    Wrong,
    TimedOut,
}

impl Failure {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Status => "status",
            Self::Closed => "closed",
            Self::Wrong => "wrong",
            Self::TimedOut => "timed_out",
        }
    }
}

/// An error on a connection that was there.
impl From<std::io::Error> for Failure {
    fn from(_: std::io::Error) -> Self {
        Self::Closed
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    WarmUp,
    Measured { since: Instant },
    Over { since: Instant, until: Instant },
}

pub(crate) struct Tally {
    phase: Cell<Phase>,
    done: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
    /// Of which exchanges latency is recorded, by their intended times; `None`: of those in the measured time.
    recorded: Option<(Instant, Instant)>,
    failures: RefCell<BTreeMap<&'static str, u64>>,
}

impl Tally {
    /// # Errors
    /// Never with these bounds.
    pub(crate) fn new(recorded: Option<(Instant, Instant)>) -> anyhow::Result<Self> {
        Ok(Self {
            recorded,
            phase: Cell::new(Phase::WarmUp),
            done: Cell::new(0),
            latency: RefCell::new(histogram()?),
            failures: RefCell::default(),
        })
    }

    /// For something else that is counted at the same time.
    ///
    /// # Errors
    /// Never with these bounds.
    pub(crate) fn sibling(&self) -> anyhow::Result<Self> {
        Self::new(self.recorded)
    }

    pub(crate) fn begin(&self, now: Instant) {
        self.phase.set(Phase::Measured { since: now });
    }

    pub(crate) fn finish(&self, now: Instant) {
        if let Phase::Measured { since } = self.phase.get() {
            self.phase.set(Phase::Over { since, until: now });
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase.get(), Phase::Over { .. })
    }

    pub(crate) fn done(&self) -> u64 {
        self.done.get()
    }

    /// An exchange that was meant to begin at `intended` ended now. It is counted if it ended within the measured time, as the CPU
    /// time was spent there; its latency is recorded if it was meant to begin there, however late it ended.
    pub(crate) fn succeed(&self, intended: Instant, now: Instant) {
        if matches!(self.phase.get(), Phase::Measured { .. }) {
            self.done.set(self.done.get() + 1);
        }
        let is_recorded = match (self.recorded, self.phase.get()) {
            (Some((since, until)), _) => since <= intended && intended < until,
            (None, Phase::WarmUp) => false,
            (None, Phase::Measured { since }) => since <= intended,
            (None, Phase::Over { since, until }) => since <= intended && intended <= until,
        };
        if is_recorded {
            let latency = now.saturating_duration_since(intended).as_nanos();
            let latency = u64::try_from(latency).unwrap_or(LATENCY_NS_MAX);
            self.latency.borrow_mut().saturating_record(latency);
        }
    }

    /// Failures count whenever they happen: a run with any is no measurement.
    pub(crate) fn fail(&self, failure: Failure) {
        *self
            .failures
            .borrow_mut()
            .entry(failure.word())
            .or_default() += 1;
    }

    pub(crate) fn failures(&self) -> BTreeMap<&'static str, u64> {
        self.failures.borrow().clone()
    }

    pub(crate) fn latency(&self) -> Histogram<u64> {
        self.latency.borrow().clone()
    }
}

pub(crate) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(
        1,
        LATENCY_NS_MAX,
        SIGNIFICANT_DIGITS,
    )?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn only_what_happens_in_the_measured_time_counts() {
        let tally = Tally::new(None).unwrap();
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        tally.succeed(at(0), at(1));
        tally.begin(at(10));
        tally.succeed(at(9), at(11));
        assert_eq!((tally.done(), tally.latency().len()), (1, 0));
        tally.succeed(at(12), at(14));
        tally.finish(at(20));
        tally.succeed(at(21), at(22));
        assert_eq!((tally.done(), tally.latency().len()), (2, 1));
    }

    #[test]
    fn an_exchange_that_ends_late_is_in_the_latency_but_not_in_the_count() {
        let tally = Tally::new(None).unwrap();
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        tally.begin(at(0));
        tally.finish(at(20));
        tally.succeed(at(19), at(1019));
        assert_eq!(tally.done(), 0);
        let longest = tally.latency().max();
        assert!((999_000_000..1_002_000_000).contains(&longest), "{longest}");
    }
}
