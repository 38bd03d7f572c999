//! A request that begins an Engine.IO session, before it gets a server: the shell of `handshakes`.
//!
//! Owns asking the clock and the dice, counting, and saying once that a storm begins and once that it is over.

use std::sync::Arc;
use std::time::Duration;

use super::Request;
use crate::affinity::sid::Stage;
use crate::handshakes::{Nanos, Wait};
use crate::refusal::Refusal;
use crate::shared::Shared;

/// When it came, if it begins a session in an upstream that limits them.
pub(super) fn moment(request: &Request, shared: &Shared) -> Option<Nanos> {
    let is_limited = request.stage == Stage::Handshake && request.upstream.handshakes.is_some();
    is_limited.then(|| shared.clock.nanos())
}

/// Takes one of the upstream's tokens.
///
/// # Errors
/// What the client is to be told when there is none.
pub(super) fn admit(request: &Request, now: Nanos, shared: &Shared) -> Result<(), Refusal> {
    let Some(limit) = &request.upstream.handshakes else {
        return Ok(());
    };
    let Some(rate) = limit.rate else {
        return Ok(());
    };
    let taken = limit.gate.bucket.take(rate, now);
    taken.map_err(|wait| refuse(request, wait, shared))
}

/// The session did not begin: its token is for somebody else.
pub(super) fn give_back(request: &Request) {
    if let Some(limit) = &request.upstream.handshakes
        && let Some(rate) = limit.rate
    {
        limit.gate.bucket.give_back(rate);
    }
}

/// There is no token for so long.
pub(super) fn refuse(request: &Request, wait: Wait, shared: &Shared) -> Refusal {
    let upstream = &request.upstream;
    shared.metrics.handshake_limited(&upstream.name);
    if let Some(limit) = &upstream.handshakes {
        let gate = &limit.gate;
        if gate.refuse(shared.clock.nanos()) {
            tracing::warn!(
                upstream = &*upstream.name,
                "handshakes are limited: more clients begin sessions than the rate allows"
            );
            let (gate, clock, name) = (Arc::clone(gate), shared.clock, Arc::clone(&upstream.name));
            let before = gate.refused();
            // One for each storm, and a storm ends before the next begins.
            tokio::spawn(async move {
                while let Some(wait) = gate.calms_in(clock.nanos()) {
                    tokio::time::sleep(Duration::from_nanos(wait)).await;
                }
                let refused = gate.refused() - before + 1;
                tracing::info!(
                    upstream = &*name,
                    refused,
                    "handshakes are no longer limited"
                );
            });
        }
    }
    Refusal::HandshakeLimited {
        retry_after_seconds: wait.retry_after_seconds(rand::random()),
    }
}
