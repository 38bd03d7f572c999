//! What an operator can count: one registry per instance, every name in this file.
//!
//! Label values come from closed enums, never from clients. Several instances run in one process, so nothing here is global.

mod figures;
mod process;
mod webhooks;

use std::sync::Arc;

pub use process::{Process, watch_lag};
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// Seconds; from a memory store's append to a store in trouble.
const SECONDS_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// Messages per commit, up to `append.batch_messages_max`'s default.
const BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

pub use webhooks::{WebhookGauge, Webhooks};

/// Every instrument. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Instruments>);

impl std::ops::Deref for Metrics {
    type Target = Instruments;

    fn deref(&self) -> &Instruments {
        &self.0
    }
}

/// The help text that each instrument is registered with is its documentation.
pub struct Instruments {
    registry: Registry,
    pub http: Http,
    pub link: Link,
    pub chat: Chat,
    pub append: Append,
    pub delivery: Delivery,
    pub auth: Auth,
    pub presence: Presence,
    pub webhooks: Webhooks,
    pub process: Process,
}

/// The HTTP side.
pub struct Http {
    pub active_connections: IntGauge,
    pub requests_total: IntCounter,
    pub responses_total: IntCounterVec,
    pub connections_refused_total: IntCounter,
}

/// What this server depends on.
pub struct Link {
    pub redis_connection_status: IntGauge,
    pub redis_link_status: IntGaugeVec,
    pub mode: IntGaugeVec,
    pub frames: IntGaugeVec,
    pub store_status: IntGauge,
    pub mongo_connection_status: IntGauge,
}

/// What clients do and hear.
pub struct Chat {
    pub connections: IntGaugeVec,
    pub connects_total: IntCounter,
    pub events_total: IntCounterVec,
    pub messages_total: IntCounterVec,
    pub refusals_total: IntCounterVec,
    pub duplicates_total: IntCounter,
    pub dropped_total: IntCounterVec,
    pub ack_seconds: Histogram,
}

/// Who comes in, and who has to go.
pub struct Auth {
    pub sessions_ended_total: IntCounterVec,
}

/// Who is there.
pub struct Presence {
    pub reaped_total: IntCounter,
    pub shared: IntGauge,
}

/// The queue in front of the store.
pub struct Append {
    pub seconds: Histogram,
    pub batch_messages: Histogram,
    pub pending_bytes: IntGauge,
    pub acks_without_reader_total: IntCounter,
}

/// From the log to this server's sockets.
pub struct Delivery {
    pub seconds: HistogramVec,
    pub gaps_repaired_total: IntCounter,
    pub resync_messages_total: IntCounter,
    pub slow_evictions_total: IntCounter,
    pub mode: IntGaugeVec,
}

impl Metrics {
    /// # Errors
    /// [`prometheus::Error`] when a name is malformed or taken, which only a change of this file can cause.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let at = Register(&registry);
        let instruments = Instruments {
            http: Http::new(&at)?,
            link: Link::new(&at)?,
            chat: Chat::new(&at)?,
            append: Append::new(&at)?,
            delivery: Delivery::new(&at)?,
            auth: Auth::new(&at)?,
            presence: Presence::new(&at)?,
            webhooks: Webhooks::new(&at)?,
            process: Process::new(&at)?,
            registry: registry.clone(),
        };
        Ok(Self(Arc::new(instruments)))
    }

    /// The exposition format, text version 0.0.4.
    ///
    /// # Errors
    /// [`prometheus::Error`] when encoding fails.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Http {
    fn new(at: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            active_connections: at.gauge(
                "http_active_connections",
                "Open HTTP and WebSocket connections",
            )?,
            requests_total: at
                .counter("http_requests_total", "HTTP requests, Engine.IO's included")?,
            responses_total: at.counters(
                "http_responses_total",
                "HTTP responses by status class",
                "class",
            )?,
            connections_refused_total: at.counter(
                "http_connections_refused_total",
                "Connections closed at once because of server.connections_max",
            )?,
        })
    }
}

impl Link {
    fn new(at: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            redis_connection_status: at.gauge(
                "redis_connection_status",
                "Redis connection status (1 = connected, 0 = not)",
            )?,
            redis_link_status: at.gauges(
                "chat_redis_link_status",
                "Each connection to Redis (1 = connected)",
                "role",
            )?,
            mode: at.gauges("chat_mode", "1 for the mode that the server is in", "mode")?,
            frames: at.gauges(
                "chat_bus_frames",
                "Frames on the bus since the start",
                "what",
            )?,
            store_status: at.gauge("chat_store_status", "The message store (1 = answers)")?,
            mongo_connection_status: at.gauge(
                "mongo_connection_status",
                "MongoDB, when it is the store (1 = answers)",
            )?,
        })
    }
}

impl Chat {
    fn new(at: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            connections: at.gauges(
                "chat_connections",
                "Sockets by the transport that they came by",
                "transport",
            )?,
            connects_total: at.counter("chat_connects_total", "Sockets that have connected")?,
            events_total: at.counters("chat_events_total", "Events of clients", "event")?,
            messages_total: at.counters("chat_messages_total", "Messages by result", "result")?,
            refusals_total: at.counters("chat_refusals_total", "Refusals by code", "code")?,
            duplicates_total: at.counter(
                "chat_duplicates_total",
                "Resent messages that were stored already",
            )?,
            dropped_total: at.counters(
                "chat_dropped_total",
                "Packets that did not reach a socket",
                "why",
            )?,
            ack_seconds: at.histogram(
                "chat_ack_seconds",
                "From a message's arrival to its ack",
                &SECONDS_BUCKETS,
            )?,
        })
    }
}

impl Auth {
    fn new(at: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            sessions_ended_total: at.counters(
                "chat_sessions_ended_total",
                "Connections ended because their session or token did",
                "reason",
            )?,
        })
    }
}

impl Presence {
    fn new(at: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            reaped_total: at.counter(
                "chat_presence_reaped_total",
                "Servers that this one has cleaned up after, because their lease had ended",
            )?,
            shared: at.gauge(
                "chat_presence_status",
                "Presence of all servers (1 = known, 0 = only what this server knows)",
            )?,
        })
    }
}

impl Append {
    fn new(at: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            seconds: at.histogram(
                "chat_append_seconds",
                "One batch: store and fan-out",
                &SECONDS_BUCKETS,
            )?,
            batch_messages: at.histogram(
                "chat_append_batch_messages",
                "Messages in one commit",
                &BATCH_BUCKETS,
            )?,
            pending_bytes: at.gauge("chat_pending_bytes", "Bytes waiting for the store")?,
            acks_without_reader_total: at.counter(
                "chat_acks_without_reader_total",
                "Messages stored after their client had left",
            )?,
        })
    }
}

impl Delivery {
    fn new(at: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            seconds: at.histograms(
                "chat_delivery_seconds",
                "From a message's admission, by the clock of the server that admitted it, to the buffers of the sockets here",
                &SECONDS_BUCKETS,
                "path",
            )?,
            gaps_repaired_total: at.counter(
                "chat_gaps_repaired_total",
                "Times that messages of a room were fetched from the store because they did not come by themselves",
            )?,
            resync_messages_total: at.counter(
                "chat_resync_messages_total",
                "Messages that clients were given because they had missed them",
            )?,
            slow_evictions_total: at.counter(
                "chat_slow_evictions_total",
                "Connections closed because the client read too slowly",
            )?,
            mode: at.gauges(
                "chat_delivery_mode",
                "1 for the way by which messages of other servers come",
                "mode",
            )?,
        })
    }
}

/// Registers instruments where their names are.
struct Register<'a>(&'a Registry);

impl Register<'_> {
    fn keep<C: Collector + Clone + 'static>(&self, instrument: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(instrument.clone()))?;
        Ok(instrument)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.keep(IntGauge::new(name, help)?)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.keep(IntGaugeVec::new(Opts::new(name, help), &[label])?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.keep(IntCounter::new(name, help)?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.keep(IntCounterVec::new(Opts::new(name, help), &[label])?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        label: &str,
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.keep(HistogramVec::new(options, &[label])?)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        self.keep(Histogram::with_opts(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
        )?)
    }
}

/// Counts up now and down when dropped.
pub struct Counted(IntGauge);

impl Counted {
    #[must_use]
    pub fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
