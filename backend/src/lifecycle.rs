//! What happens to the process around an instance: signals, and the state of the link to Redis.

use std::time::Duration;

use berth_adapter::{Cluster, Kind, Link};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// How long Redis may take to answer at start before the operator hears that it does not.
const LINK_PATIENCE: Duration = Duration::from_secs(3);

const PUBLISHER_UP: &str = "✅ Socket.IO Redis Pub client connected";
const SUBSCRIBER_UP: &str = "✅ Socket.IO Redis Sub client connected";
const BOTH_UP: &str = "✅ Socket.IO Redis clients ready";
const ATTACHED: &str = "✅ Socket.IO Redis adapter enabled - Horizontal scaling ready";
const SINGLE_SERVER: &str =
    "⚠️ Socket.IO Redis connection failed. Socket.IO will run in single-server mode.";

/// Cancelled at the first SIGTERM or SIGINT.
///
/// # Errors
/// [`std::io::Error`] when the system lets us hear no signals.
pub fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let stopped = stop.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        stopped.cancel();
    });
    Ok(stop)
}

/// What an instance is called that has no name: the host, which in a container is the container, and the port.
#[must_use]
pub fn instance_name(port: u16) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host
        .trim()
        .chars()
        .filter(char::is_ascii_graphic)
        .take(64)
        .collect();
    let host = if host.is_empty() { "berth" } else { &host };
    format!("{host}-{port}")
}

/// Logs every transition of the link in the words operators grep for, and keeps its gauges.
pub fn watch_cluster(
    cluster: &Cluster,
    metrics: Metrics,
    draining: CancellationToken,
) -> JoinHandle<()> {
    let mut link = cluster.link();
    let kind = cluster.kind();
    tokio::spawn(async move {
        if kind != Kind::Redis {
            note_mode(&metrics, kind, *link.borrow());
            tracing::info!(bus = bus(kind), "Redis is not configured");
            return;
        }
        let mut told = Told::default();
        let patience = tokio::time::sleep(LINK_PATIENCE);
        tokio::pin!(patience);
        let mut is_patient = true;
        loop {
            let now = *link.borrow_and_update();
            note_mode(&metrics, kind, now);
            for line in told.lines(now, is_patient) {
                if line == SINGLE_SERVER {
                    tracing::warn!("{line}");
                } else {
                    tracing::info!("{line}");
                }
            }
            tokio::select! {
                // First: a link that a stop takes down is no news.
                biased;
                () = draining.cancelled() => return,
                () = &mut patience, if is_patient => is_patient = false,
                changed = link.changed() => if changed.is_err() { return },
            }
        }
    })
}

/// What the log has said about the link so far.
#[derive(Debug, Default)]
struct Told {
    link: Link,
    /// The warning stands: nothing better has been said since.
    is_single: bool,
}

impl Told {
    /// What to say now. While `is_patient`, a link that never was up is given time.
    fn lines(&mut self, now: Link, is_patient: bool) -> Vec<&'static str> {
        let before = std::mem::replace(&mut self.link, now);
        let mut lines = Vec::new();
        let is_both = |link: Link| link.publisher && link.subscriber;
        let rises = [
            (before.publisher, now.publisher, PUBLISHER_UP),
            (before.subscriber, now.subscriber, SUBSCRIBER_UP),
            (is_both(before), is_both(now), BOTH_UP),
            (before.is_clustered(), now.is_clustered(), ATTACHED),
        ];
        for (was_up, is_up, line) in rises {
            if is_up && !was_up {
                lines.push(line);
            }
        }
        if now.is_clustered() {
            self.is_single = false;
        } else if !self.is_single && (before.is_clustered() || !is_patient) {
            self.is_single = true;
            lines.push(SINGLE_SERVER);
        }
        lines
    }
}

fn note_mode(metrics: &Metrics, kind: Kind, link: Link) {
    let is_clustered = link.is_clustered() || kind == Kind::Hub;
    metrics
        .link
        .redis_connection_status
        .set(i64::from(kind == Kind::Redis && link.is_clustered()));
    metrics
        .link
        .redis_link_status
        .with_label_values(&["pub"])
        .set(i64::from(kind == Kind::Redis && link.publisher));
    metrics
        .link
        .redis_link_status
        .with_label_values(&["sub"])
        .set(i64::from(kind == Kind::Redis && link.subscriber));
    metrics
        .link
        .mode
        .with_label_values(&["cluster"])
        .set(i64::from(is_clustered));
    metrics
        .link
        .mode
        .with_label_values(&["single"])
        .set(i64::from(!is_clustered));
}

fn bus(kind: Kind) -> &'static str {
    match kind {
        Kind::Alone => "none",
        Kind::Hub => "hub",
        Kind::Redis => "redis",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(publisher: bool, subscriber: bool, attached: bool) -> Link {
        Link {
            publisher,
            subscriber,
            attached,
        }
    }

    #[test]
    fn a_good_start_says_the_four_lines_of_the_guide() {
        let mut told = Told::default();
        assert_eq!(told.lines(link(false, false, false), true), [""; 0]);
        assert_eq!(told.lines(link(true, false, false), true), [PUBLISHER_UP]);
        assert_eq!(
            told.lines(link(true, true, false), true),
            [SUBSCRIBER_UP, BOTH_UP]
        );
        assert_eq!(told.lines(link(true, true, true), true), [ATTACHED]);
        assert_eq!(told.lines(link(true, true, true), false), [""; 0]);
    }

    #[test]
    fn a_start_without_redis_warns_once_and_then_recovers() {
        let mut told = Told::default();
        assert_eq!(told.lines(Link::default(), true), [""; 0]);
        assert_eq!(told.lines(Link::default(), false), [SINGLE_SERVER]);
        assert_eq!(told.lines(Link::default(), false), [""; 0]);
        let all = [PUBLISHER_UP, SUBSCRIBER_UP, BOTH_UP, ATTACHED];
        assert_eq!(told.lines(link(true, true, true), false), all);
    }

    #[test]
    fn losing_either_connection_warns_each_time() {
        let mut told = Told::default();
        told.lines(link(true, true, true), false);
        assert_eq!(told.lines(link(true, false, false), false), [SINGLE_SERVER]);
        assert_eq!(told.lines(link(false, false, false), false), [""; 0]);
        assert_eq!(told.lines(link(true, true, true), false).len(), 4);
        assert_eq!(told.lines(link(false, true, true), false), [SINGLE_SERVER]);
    }
}
