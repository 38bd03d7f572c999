//! Every number the proxy publishes, with its name and labels, in a registry of its own.
//!
//! Labels come from the settings or from enums, never from a client. Numbers that are kept elsewhere anyway (the
//! servers' state) are read when somebody asks. Tunnels are kept out of the request durations.

use std::time::Duration;

use prometheus::{
    Encoder as _, Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::clock;
use crate::pool::Seconds;
use crate::registry::Snapshot;
use crate::tunnel::Ended;

mod durations;
mod health;
mod known;
mod requests;
mod servers;
mod socketio;
mod tls;

use health::Health;
pub(crate) use known::Known;
use requests::Requests;
use servers::Servers;
use socketio::SocketIo;
use tls::Tls;

/// Seconds; from a fast API call to a long poll that waits for Engine.IO's 25 s ping.
const REQUEST_BUCKETS: [f64; 11] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0,
];
/// Seconds; WebSockets live from moments to days.
const TUNNEL_BUCKETS: [f64; 8] = [1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0];

/// All families. Cheap to share, free of locks once a label set was seen.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: IntGauge,
    worker_connections: IntGaugeVec,
    accept_errors: IntCounterVec,
    requests: Requests,
    servers: Servers,
    health: Health,
    socketio: SocketIo,
    websockets: Websockets,
    reloads: Reloads,
    tls: Tls,
}

#[derive(Debug)]
struct Websockets {
    open: IntGaugeVec,
    total: IntCounterVec,
    duration: HistogramVec,
    bytes: IntCounterVec,
    messages: IntCounterVec,
    closed: IntCounterVec,
}

#[derive(Debug)]
struct Reloads {
    total: IntCounterVec,
    successful: IntGauge,
    time: Gauge,
}

impl Metrics {
    /// # Errors
    /// When two families have one name, which a test would notice.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let families = Families(&registry);
        let build = families.gauges("build_info", "The running version.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let metrics = Self {
            connections: families.gauge(
                "connections",
                "Open client connections, WebSockets included.",
            )?,
            worker_connections: families.gauges(
                "worker_connections",
                "The same, by the thread that serves them.",
                &["worker"],
            )?,
            accept_errors: families.counters(
                "accept_errors_total",
                "Times that no connection could be accepted.",
                &["reason"],
            )?,
            requests: families.requests()?,
            servers: families.servers()?,
            health: families.health()?,
            socketio: families.socketio()?,
            websockets: families.websockets()?,
            reloads: families.reloads()?,
            tls: families.tls()?,
            registry,
        };
        metrics.reloaded(true, false);
        Ok(metrics)
    }

    /// A worker's own count of open client connections.
    #[must_use]
    pub(crate) fn worker_connections(&self, number: usize) -> IntGauge {
        let number = number.to_string();
        self.worker_connections
            .with_label_values(&[number.as_str()])
    }

    pub(crate) fn websocket_opened(&self, upstream: &str) {
        self.websockets.total.with_label_values(&[upstream]).inc();
        self.websockets.open.with_label_values(&[upstream]).inc();
    }

    /// A WebSocket that was opened ended.
    pub(crate) fn websocket_closed(&self, upstream: &str, ended: &Ended, duration: Duration) {
        let all = &self.websockets;
        all.open.with_label_values(&[upstream]).dec();
        all.closed
            .with_label_values(&[upstream, ended.reason.label()])
            .inc();
        for (direction, traffic) in [("received", ended.received), ("sent", ended.sent)] {
            let labels = [upstream, direction];
            all.bytes.with_label_values(&labels).inc_by(traffic.bytes);
            all.messages
                .with_label_values(&labels)
                .inc_by(traffic.messages);
        }
        all.duration
            .with_label_values(&[upstream])
            .observe(duration.as_secs_f64());
    }

    /// No connection could be accepted. `reason` is one of a few words.
    pub(crate) fn accept_failed(&self, reason: &'static str) {
        self.accept_errors.with_label_values(&[reason]).inc();
    }

    /// When the running settings were read, as Unix time, and whether the last reload was good.
    pub(crate) fn last_reload(&self) -> (u64, bool) {
        // Seconds since 1970, far from the edges of either type.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time of this century"
        )]
        let at = self.reloads.time.get() as u64;
        (at, self.reloads.successful.get() == 1)
    }

    pub(crate) fn open_websockets(&self, upstream: &str) -> i64 {
        self.websockets.open.with_label_values(&[upstream]).get()
    }

    /// Settings were read: at the start (not counted) or by a reload.
    pub(crate) fn reloaded(&self, is_good: bool, is_counted: bool) {
        if is_counted {
            self.reloads
                .total
                .with_label_values(&[if is_good { "success" } else { "failure" }])
                .inc();
        }
        self.reloads.successful.set(i64::from(is_good));
        if is_good {
            let since = clock::wall().duration_since(std::time::SystemTime::UNIX_EPOCH);
            self.reloads
                .time
                .set(since.unwrap_or_default().as_secs_f64());
        }
    }

    /// Prometheus' text format, with the servers as they are now.
    ///
    /// # Errors
    /// When a family cannot be written as text.
    pub(crate) fn text(&self, snapshot: &Snapshot, now: Seconds) -> prometheus::Result<Vec<u8>> {
        // Servers that left the settings must not stay on the page.
        self.servers.forget();
        self.health.read_weights(snapshot, now);
        for upstream in &snapshot.upstreams {
            self.read_servers(upstream, now);
            let (_, known) = upstream.counted();
            known.tell();
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Registers families under the proxy's prefix.
struct Families<'r>(&'r Registry);

impl Families<'_> {
    fn websockets(&self) -> prometheus::Result<Websockets> {
        Ok(Websockets {
            open: self.gauges("websocket_connections", "Open WebSockets.", &["upstream"])?,
            total: self.counters(
                "websocket_connections_total",
                "WebSockets opened.",
                &["upstream"],
            )?,
            duration: self.histograms(
                "websocket_duration_seconds",
                "How long WebSockets lived.",
                &TUNNEL_BUCKETS,
            )?,
            bytes: self.counters(
                "websocket_bytes_total",
                "Bytes relayed.",
                &["upstream", "direction"],
            )?,
            messages: self.counters(
                "websocket_messages_total",
                "Messages relayed, counted when their WebSocket ends.",
                &["upstream", "direction"],
            )?,
            closed: self.counters(
                "websocket_closed_total",
                "WebSockets closed.",
                &["upstream", "reason"],
            )?,
        })
    }

    fn reloads(&self) -> prometheus::Result<Reloads> {
        let name = "berth_config_last_reload_success_timestamp_seconds";
        Ok(Reloads {
            total: self.counters("config_reloads_total", "Reloads.", &["result"])?,
            successful: self.gauge("config_last_reload_successful", "1: the last reload was.")?,
            time: self.register(Gauge::new(name, "When the running settings were read.")?)?,
        })
    }

    fn register<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        family: C,
    ) -> prometheus::Result<C> {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.register(IntCounterVec::new(
            Opts::new(format!("berth_{name}"), help),
            labels,
        )?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.register(IntGaugeVec::new(
            Opts::new(format!("berth_{name}"), help),
            labels,
        )?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.register(IntGauge::new(format!("berth_{name}"), help)?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::new(format!("berth_{name}"), help).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, &["upstream"])?)
    }
}
