//! Time, and processor time, from the beginning of what counts to its end.

use std::io;
use std::time::{Duration, Instant};

use super::report::Cpu;
use crate::clock;
use crate::watch::{Watch, this_thread_cpu_ns};

pub(crate) struct Meter<'a> {
    watch: &'a Watch,
    pub(crate) since: Instant,
    watched_ns: u64,
    clients_ns: u64,
}

/// What passed until it was read.
pub(crate) struct Reading {
    pub(crate) until: Instant,
    pub(crate) took: Duration,
    watched_ns: Option<u64>,
    clients_ns: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn start(watch: &'a Watch) -> io::Result<Self> {
        Ok(Self {
            watch,
            since: clock::now(),
            watched_ns: watch.cpu_ns()?,
            clients_ns: this_thread_cpu_ns()?,
        })
    }

    pub(crate) fn read(&self) -> io::Result<Reading> {
        let until = clock::now();
        let watched_ns = self.watch.cpu_ns()?.saturating_sub(self.watched_ns);
        Ok(Reading {
            until,
            took: until - self.since,
            watched_ns: (!self.watch.is_empty()).then_some(watched_ns),
            clients_ns: this_thread_cpu_ns()?.saturating_sub(self.clients_ns),
        })
    }
}

impl Reading {
    /// `None` if nothing is watched.
    pub(crate) fn cpu(&self, exchanges: u64) -> Option<Cpu> {
        Some(Cpu::new(self.watched_ns?, exchanges))
    }

    /// The share of a processor that the clients took.
    pub(crate) fn clients_busy(&self) -> f64 {
        self.clients_ns as f64 / self.took.as_nanos().max(1) as f64
    }

    pub(crate) fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64()
    }
}
