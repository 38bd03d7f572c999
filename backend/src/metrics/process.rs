//! The program that this instance runs in: the memory it takes, and how late its tasks run.

use std::time::Duration;

use prometheus::{Histogram, IntGauge};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Metrics, Register, SECONDS_BUCKETS};
use crate::clock;

/// How often it is looked how late a timer is.
const LAG_INTERVAL: Duration = Duration::from_millis(100);

/// Several instances of one program say the same here.
pub struct Process {
    pub resident_memory_bytes: IntGauge,
    pub loop_lag_seconds: Histogram,
}

impl Process {
    pub(super) fn new(at: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            resident_memory_bytes: at.gauge(
                "process_resident_memory_bytes",
                "Memory that the program takes",
            )?,
            loop_lag_seconds: at.histogram(
                "chat_loop_lag_seconds",
                "How late a timer of 100 ms was",
                &SECONDS_BUCKETS,
            )?,
        })
    }

    /// Reads the memory anew; where the system does not say, what was known stays.
    pub fn refresh(&self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(bytes) = resident_bytes(&status) {
            self.resident_memory_bytes.set(bytes);
        }
    }
}

/// Measures until `stop`. Work that does not yield, or too few threads for what there is to do, show as lag.
pub fn watch_lag(metrics: Metrics, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut timer = tokio::time::interval(LAG_INTERVAL);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        timer.tick().await;
        let mut due = clock::monotonic() + LAG_INTERVAL;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = timer.tick() => {}
            }
            let now = clock::monotonic();
            let lag = now.saturating_duration_since(due);
            metrics.process.loop_lag_seconds.observe(lag.as_secs_f64());
            due = now + LAG_INTERVAL;
        }
    })
}

/// `VmRSS:     1234 kB` of /proc/self/status.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_what_the_system_says() {
        let status = "Name:\tberth\nVmHWM:\t  9000 kB\nVmRSS:\t  1234 kB\nThreads:\t3\n";
        assert_eq!(resident_bytes(status), Some(1_234 * 1_024));
        for nothing in ["", "VmRSS:", "VmRSS:\t12 MB", "VmRSS:\tmany kB"] {
            assert_eq!(resident_bytes(nothing), None, "{nothing:?}");
        }
        let metrics = Metrics::new().unwrap();
        metrics.process.refresh();
        assert!(metrics.process.resident_memory_bytes.get() > 1_000_000);
    }
}
