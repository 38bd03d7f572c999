//! What is measured of proxies.

use super::judge::{Fold, Goal, Row, cost, gain};

/// Runs that give several rows at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scenario {
    Http,
    HttpFull,
    WsSmall,
    WsLarge,
    WsIdle,
    HttpIdle,
    Latency,
    WsOpen,
    Tls,
    H2,
}

impl Scenario {
    pub(super) const ALL: [Self; 10] = [
        Self::Http,
        Self::HttpFull,
        Self::WsSmall,
        Self::WsLarge,
        Self::WsIdle,
        Self::HttpIdle,
        Self::Latency,
        Self::WsOpen,
        Self::Tls,
        Self::H2,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::HttpFull => "http-full",
            Self::WsSmall => "ws-small",
            Self::WsLarge => "ws-large",
            Self::WsIdle => "ws-idle",
            Self::HttpIdle => "http-idle",
            Self::Latency => "latency",
            Self::WsOpen => "ws-open",
            Self::Tls => "tls",
            Self::H2 => "h2",
        }
    }
}

pub(super) static ROWS: [Row; 21] = [
    cost(
        Scenario::Http.name(),
        "http-cpu",
        "CPU per small request",
        "µs",
        &[Goal::Share("nginx", 0.80), Goal::Share("haproxy", 0.90)],
    ),
    gain(
        Scenario::Http.name(),
        "http-rate",
        "small requests, saturated",
    ),
    cost(
        Scenario::HttpFull.name(),
        "http-full-cpu",
        "… with cookie, metrics, access log",
        "µs",
        &[Goal::Share("nginx", 0.85)],
    ),
    cost(
        Scenario::WsSmall.name(),
        "ws-small-cpu",
        "CPU per 100 B WebSocket message",
        "µs",
        &[Goal::Share("nginx", 0.95)],
    ),
    gain(
        Scenario::WsSmall.name(),
        "ws-small-rate",
        "100 B messages, saturated",
    ),
    cost(
        Scenario::WsLarge.name(),
        "ws-large-cpu",
        "CPU per 64 KiB WebSocket message",
        "µs",
        &[Goal::Share("nginx", 0.25)],
    ),
    cost(
        Scenario::WsIdle.name(),
        "ws-idle-memory",
        "memory per idle WebSocket",
        "KiB",
        &[Goal::AtMost(2.0)],
    ),
    cost(
        Scenario::WsIdle.name(),
        "ws-idle-memory-after",
        "… after 2 × 64 KiB on each",
        "KiB",
        &[Goal::AtMost(2.0)],
    ),
    cost(
        Scenario::WsIdle.name(),
        "ws-idle-kept",
        "… kept by the process after all closed",
        "MiB",
        &[Goal::AtMost(30.0)],
    ),
    cost(
        Scenario::WsIdle.name(),
        "ws-setup-cpu",
        "CPU per WebSocket set-up",
        "µs",
        &[Goal::Share("nginx", 1.0)],
    ),
    cost(
        Scenario::HttpIdle.name(),
        "http-idle-memory",
        "memory per idle keep-alive connection",
        "KiB",
        &[Goal::AtMost(1.5)],
    ),
    cost(
        Scenario::Latency.name(),
        "latency-p50",
        "p50 at half of nginx's saturation",
        "µs",
        &[],
    ),
    cost(
        Scenario::Latency.name(),
        "latency-p99",
        "p99",
        "µs",
        &[Goal::Share("nginx", 1.0)],
    ),
    cost(
        Scenario::Latency.name(),
        "latency-p99.9",
        "p99.9",
        "µs",
        &[],
    ),
    Row {
        fold: Fold::Sum,
        ..cost(
            Scenario::WsOpen.name(),
            "ws-open-opened",
            "fresh WebSockets opened",
            "",
            &[],
        )
    },
    Row {
        fold: Fold::Sum,
        ..cost(
            Scenario::WsOpen.name(),
            "ws-open-lost",
            "… of them lost",
            "",
            &[Goal::AtMost(0.0)],
        )
    },
    gain(
        Scenario::WsOpen.name(),
        "ws-open-rate",
        "… opened and closed",
    ),
    cost(
        Scenario::WsOpen.name(),
        "ws-open-cpu",
        "CPU per WebSocket opened and closed",
        "µs",
        &[],
    ),
    cost(
        Scenario::Tls.name(),
        "tls-handshake-cpu",
        "CPU per TLS handshake with one request",
        "µs",
        &[Goal::Share("nginx", 0.75)],
    ),
    cost(
        Scenario::Tls.name(),
        "tls-request-cpu",
        "CPU per small request over TLS",
        "µs",
        &[Goal::Share("nginx", 0.70)],
    ),
    cost(
        Scenario::H2.name(),
        "h2-request-cpu",
        "CPU per small HTTP/2 request over TLS",
        "µs",
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_said_once() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }
}
