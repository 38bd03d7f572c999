//! Finds out what `status` tells.

use std::sync::atomic::Ordering::Relaxed;

use crate::health::condition::{Condition, out_for};
use crate::health::slow_start;
use crate::lifecycle::Phase;
use crate::pool::{self, Seconds};
use crate::registry;
use crate::shared::Context;
use crate::status::{Check, Config, Handshakes, Server, Status, Upstream};

pub(super) fn status(context: &Context) -> Status {
    let shared = &context.shared;
    let now = shared.clock.seconds();
    let upstreams = &shared.registry.current().upstreams;
    let (loaded_at, last_reload_successful) = shared.metrics.last_reload();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        phase: match context.life.phase() {
            Phase::Running => "running",
            Phase::Draining => "draining",
            Phase::Closing | Phase::Ended => "closing",
        }
        .to_owned(),
        config: Config {
            loaded_at,
            last_reload_successful,
        },
        connections: count(shared.metrics.connections.get()),
        upstreams: upstreams
            .iter()
            .map(|upstream| self::upstream(upstream, context, now))
            .collect(),
    }
}

/// A gauge that is never below zero.
fn count(gauge: i64) -> u64 {
    u64::try_from(gauge).unwrap_or(0)
}

fn upstream(upstream: &registry::Upstream, context: &Context, now: Seconds) -> Upstream {
    let methods = upstream.sticky.iter().flatten();
    Upstream {
        name: upstream.name.to_string(),
        balance: upstream.policy.balance.word().to_owned(),
        sticky: methods.map(|method| method.label().to_owned()).collect(),
        websockets: count(context.shared.metrics.open_websockets(&upstream.name)),
        failing_open: upstream.pool.is_failing_open.load(Relaxed),
        handshakes: upstream.handshakes.as_ref().map(|limit| Handshakes {
            limiting: limit.gate.is_limiting(),
            limited_total: limit.gate.refused(),
        }),
        servers: upstream
            .pool
            .servers()
            .iter()
            .map(|server| self::server(server, now))
            .collect(),
    }
}

fn server(server: &pool::Server, now: Seconds) -> Server {
    let state = &server.state;
    let part = slow_start::part(server, now);
    let condition = Condition::of(server, now);
    Server {
        name: server.name.to_string(),
        state: condition.label().to_owned(),
        out_for: out_for(server, now).filter(|_| condition == Condition::Out),
        backup: server.backup,
        weight: server.weight,
        slow_start: (part < slow_start::WHOLE).then(|| part * 100 / slow_start::WHOLE),
        connections: state.connections(),
        max_conns: server.max_conns,
        fails: state.fails.load(Relaxed),
        max_fails: server.max_fails,
        handshakes_limited_total: state.handshakes.refused(),
        check: state
            .last_check
            .get()
            .filter(|_| server.has_check)
            .map(|last| Check {
                result: last.result.label().to_owned(),
                why: last.why,
                seconds_ago: now.saturating_sub(last.at),
            }),
    }
}
