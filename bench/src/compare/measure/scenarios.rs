//! What is sent in each scenario, and which of the swarm's numbers belong to which row.

use std::time::Duration;

use anyhow::Context as _;

use super::super::Samples;
use super::super::median::median;
use super::super::proxies::{Contender, Flavour};
use super::super::rows::Scenario;
use super::{Bench, Numbers, Running};
use crate::swarm::{self, Echo, Fresh, H2, Http, IdlePlan, Kind, Plan, Report, Target};

const LARGE_MESSAGE_BYTES: usize = 64 * 1024;
/// About what handshakes are done in a measurement.
const TLS_CONNECTIONS: u64 = 10_000;
/// The share of a processor above which more clients would have got more done.
const CLIENTS_BUSY_MAX: f64 = 0.95;

impl Bench<'_> {
    /// Requests a second that are half of what nginx can do: what it did in this comparison, or does now.
    pub(super) fn half_saturation(
        &mut self,
        running: &[Running],
        samples: &Samples,
    ) -> anyhow::Result<f64> {
        let seen = samples.get(&(Contender::Nginx.name(), "http-rate"));
        let saturated = if let Some(rate) = seen.and_then(|rates| median(rates)) {
            rate
        } else {
            let nginx = running.iter().find(|one| one.contender == Contender::Nginx);
            let nginx = nginx.context("without nginx there is no rate to run at")?;
            let target = Target::new(nginx.address, "/");
            swarm::run::<Http>(&target, &self.plan(), &nginx.watch)?.done_per_second
        };
        let rate = (saturated / 2.0 / 100.0).round().max(1.0) * 100.0;
        self.note(format!("latency is at {rate:.0} requests a second"));
        Ok(rate)
    }

    fn plan(&self) -> Plan {
        Plan {
            connections: 64,
            warm_up: self.size.warm_up,
            duration: self.size.duration,
            ..Plan::default()
        }
    }

    /// What a measurement opens, at most: each is one to the proxy and one to the backend.
    pub(super) fn connections(&self, scenario: Scenario, proxy: &Running) -> u64 {
        let clients = match scenario {
            Scenario::WsOpen => self.fresh(proxy),
            Scenario::WsIdle | Scenario::HttpIdle => self.size.idle_connections as u64,
            Scenario::Tls => TLS_CONNECTIONS,
            Scenario::Http
            | Scenario::HttpFull
            | Scenario::WsSmall
            | Scenario::WsLarge
            | Scenario::Latency
            | Scenario::H2 => self.plan().connections as u64,
        };
        clients * 2
    }

    /// Berth's have a goal. The others' show what opening costs them, for which fewer do.
    fn fresh(&self, proxy: &Running) -> u64 {
        match proxy.contender {
            Contender::Berth => self.size.fresh_per_round,
            Contender::Nginx | Contender::Haproxy | Contender::Envoy | Contender::Floor => {
                self.size.fresh_per_round / 5
            }
        }
    }

    pub(super) fn measure(
        &mut self,
        scenario: Scenario,
        proxy: &Running,
        rate: Option<f64>,
    ) -> anyhow::Result<Numbers> {
        match scenario {
            Scenario::WsIdle | Scenario::HttpIdle => return self.idle(scenario, proxy),
            Scenario::WsOpen => return self.open(proxy),
            Scenario::Tls => return self.tls(proxy),
            Scenario::Http
            | Scenario::HttpFull
            | Scenario::WsSmall
            | Scenario::WsLarge
            | Scenario::Latency
            | Scenario::H2 => {}
        }
        let report = self.load(scenario, proxy, rate)?;
        let rate = report.done_per_second;
        Ok(match scenario {
            Scenario::Http => vec![("http-cpu", cpu(&report)), ("http-rate", rate)],
            Scenario::HttpFull => vec![("http-full-cpu", cpu(&report))],
            Scenario::WsSmall => vec![("ws-small-cpu", cpu(&report)), ("ws-small-rate", rate)],
            Scenario::WsLarge => vec![("ws-large-cpu", cpu(&report))],
            Scenario::H2 => vec![("h2-request-cpu", cpu(&report))],
            Scenario::Latency => {
                let latency = report.latency;
                vec![
                    ("latency-p50", latency.p50_us),
                    ("latency-p99", latency.p99_us),
                    ("latency-p99.9", latency.p99_9_us),
                ]
            }
            Scenario::WsIdle | Scenario::HttpIdle | Scenario::WsOpen | Scenario::Tls => Vec::new(),
        })
    }

    /// The exchanges of a scenario; of one that has several kinds, the kind on connections that stay. Idle ones have none.
    pub(super) fn load(
        &mut self,
        scenario: Scenario,
        proxy: &Running,
        rate: Option<f64>,
    ) -> anyhow::Result<Report> {
        let target = Target::new(proxy.address, "/");
        let (plan, watch, chain) = (self.plan(), &proxy.watch, &self.certificate.chain);
        let report = match scenario {
            Scenario::Http => swarm::run::<Http>(&target, &plan, watch)?,
            Scenario::HttpFull => {
                let plan = Plan {
                    has_cookies: true,
                    ..plan
                };
                swarm::run::<Http>(&target, &plan, watch)?
            }
            Scenario::Latency => {
                let plan = Plan {
                    rate,
                    duration: self.size.latency_duration,
                    ..plan
                };
                swarm::run::<Http>(&target, &plan, watch)?
            }
            Scenario::WsSmall => swarm::run::<Echo>(&target, &plan, watch)?,
            Scenario::WsLarge => {
                let plan = Plan {
                    connections: 16,
                    message_bytes: LARGE_MESSAGE_BYTES,
                    ..plan
                };
                swarm::run::<Echo>(&target, &plan, watch)?
            }
            Scenario::WsOpen => {
                let target = Target::new(proxy.address, "/greet");
                let plan = Plan {
                    is_greeted: true,
                    ..plan
                };
                swarm::run::<Fresh>(&target, &plan, watch)?
            }
            Scenario::Tls => {
                swarm::run::<Http>(&target.with_tls(chain, "http/1.1")?, &plan, watch)?
            }
            Scenario::H2 => swarm::run::<H2>(&target.with_tls(chain, "h2")?, &plan, watch)?,
            Scenario::WsIdle | Scenario::HttpIdle => {
                anyhow::bail!("{} has no exchanges", scenario.name())
            }
        };
        Ok(self.valid(scenario, proxy, report))
    }

    fn idle(&mut self, scenario: Scenario, proxy: &Running) -> anyhow::Result<Numbers> {
        let is_websocket = scenario == Scenario::WsIdle;
        let plan = IdlePlan {
            kind: if is_websocket {
                Kind::WebSocket
            } else {
                Kind::Http
            },
            connections: self.size.idle_connections,
            messages: if is_websocket { 2 } else { 0 },
            message_bytes: LARGE_MESSAGE_BYTES,
            hold: Duration::ZERO,
        };
        let report = swarm::idle(&Target::new(proxy.address, "/"), &plan, &proxy.watch)?;
        if !report.failures.is_empty() {
            self.note(format!(
                "{}: {}: failed: {:?}",
                scenario.name(),
                proxy.contender.name(),
                report.failures
            ));
        }
        let memory = report.memory.context("it is watched")?;
        if !is_websocket {
            return Ok(vec![("http-idle-memory", memory.per_connection_kib)]);
        }
        let setup = report.cpu_opening.context("it is watched")?;
        let after = memory
            .per_connection_after_messages_kib
            .context("there were messages")?;
        Ok(vec![
            ("ws-idle-memory", memory.per_connection_kib),
            ("ws-idle-memory-after", after),
            ("ws-idle-kept", memory.kept_mib),
            ("ws-setup-cpu", setup.us_per_exchange),
        ])
    }

    fn open(&mut self, proxy: &Running) -> anyhow::Result<Numbers> {
        let plan = Plan {
            total: Some(self.fresh(proxy)),
            is_greeted: true,
            ..self.plan()
        };
        let report =
            swarm::run::<Fresh>(&Target::new(proxy.address, "/greet"), &plan, &proxy.watch)?;
        let report = self.valid(Scenario::WsOpen, proxy, report);
        let lost = report.failed() as f64;
        Ok(vec![
            ("ws-open-opened", report.done as f64 + lost),
            ("ws-open-lost", lost),
            ("ws-open-rate", report.done_per_second),
            ("ws-open-cpu", cpu(&report)),
        ])
    }

    fn tls(&mut self, proxy: &Running) -> anyhow::Result<Numbers> {
        let target = Target::new(proxy.address, "/");
        let target = target.with_tls(&self.certificate.chain, "http/1.1")?;
        let fresh = Plan {
            is_fresh: true,
            ..self.plan()
        };
        let fresh = swarm::run::<Http>(&target, &fresh, &proxy.watch)?;
        let fresh = self.valid(Scenario::Tls, proxy, fresh);
        let kept = self.load(Scenario::Tls, proxy, None)?;
        Ok(vec![
            ("tls-handshake-cpu", cpu(&fresh)),
            ("tls-request-cpu", cpu(&kept)),
        ])
    }

    /// A report with failures is no measurement; the reader is told.
    fn valid(&mut self, scenario: Scenario, proxy: &Running, report: Report) -> Report {
        if report.failed() > 0 {
            self.note(format!(
                "{}: {}: failed: {:?}",
                scenario.name(),
                proxy.contender.name(),
                report.failures
            ));
        }
        if report.clients_busy > CLIENTS_BUSY_MAX {
            self.note(format!(
                "{}: the clients took a whole processor; a rate there is theirs",
                scenario.name()
            ));
        }
        report
    }
}

pub(super) fn flavour(scenario: Scenario) -> Flavour {
    match scenario {
        Scenario::HttpFull => Flavour::Full,
        Scenario::Tls => Flavour::Tls,
        Scenario::H2 => Flavour::H2,
        Scenario::Http
        | Scenario::WsSmall
        | Scenario::WsLarge
        | Scenario::WsIdle
        | Scenario::HttpIdle
        | Scenario::Latency
        | Scenario::WsOpen => Flavour::Plain,
    }
}

pub(super) fn cpu(report: &Report) -> f64 {
    report.cpu.map_or(f64::NAN, |cpu| cpu.us_per_exchange)
}
