//! A WebSocket from its handshake to its end, in a task of its own.
//!
//! Owns: finding a server that takes the handshake, answering the client, relaying, and the one line in the log.
//! Invariants: **no byte that follows the client's head reaches a server before its 101** (or a refusal could be
//! followed by a smuggled request); **a failed try goes to the next server** while nothing was answered.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

use crate::affinity::sid::{Complaint, Reading, Stage};
use crate::client::Client;
use crate::clock::Stopwatch;
use crate::dial::dial;
use crate::edge::Guest;
use crate::heartbeat;
use crate::lease::Lease;
use crate::lifecycle::{Awaited, Phase};
use crate::logging::{self, Access};
use crate::outcome::Outcome;
use crate::prober::jittered;
use crate::refusal::Refusal;
use crate::request::{Request, Tries};
use crate::settings::IdleTimeout;
use crate::shared::{Context, Shared};
use crate::socket::Socket;

mod ended;
mod flow;
mod frames;
pub(crate) mod handshake;
mod relay;

pub(crate) use ended::Ended;
use handshake::Answer;
use relay::{Bounds, Relay};

/// A handshake that the edge accepted.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(crate) request: Request,
    /// The head as the server gets it.
    pub(crate) head: Vec<u8>,
    /// What the client sent after its head.
    pub(crate) rest: BytesMut,
    pub(crate) host: String,
    pub(crate) target: String,
}

/// Carries out a handshake and everything that follows.
pub(crate) async fn run(
    mut client: Socket,
    mut upgrade: Box<Upgrade>,
    context: Context,
    guest: Guest,
) {
    let mut tries = Tries::default();
    // Boxed, so that the long life of the tunnel does not keep the space of its short beginning.
    let opened = Box::pin(open(&upgrade, &mut tries, &context)).await;
    let answered = opened.as_ref().map(|(_, answer)| answer.status);
    let answered = answered.map_err(|refusal| *refusal);
    upgrade.request.count_upgrade(answered, &context.shared);
    match opened {
        Ok((server, answer)) if answer.status == 101 => {
            Box::pin(switched(&mut client, &upgrade, &tries, &answer)).await;
            let bounds = bounds(&upgrade.request, &tries);
            let Some(story) = Story::begin(&mut upgrade, tries, &context, guest) else {
                return;
            };
            let tunnel = Tunnel {
                relay: Relay::new((client, server), upgrade.rest, answer.rest, bounds),
                closing: context.life.awaited(Phase::Closing),
                story,
            };
            // The relay's task is smaller than this one, and there may be very many of them.
            tokio::spawn(Box::new(tunnel).last());
        }
        Ok((server, answer)) => {
            Box::pin(declined(
                (client, server),
                &upgrade,
                &tries,
                answer,
                &context,
            ))
            .await;
        }
        Err(refusal) => Box::pin(refused(client, &upgrade, &tries, refusal, &context)).await,
    }
}

/// Tries servers until one answers the handshake.
async fn open(
    upgrade: &Upgrade,
    tries: &mut Tries,
    context: &Context,
) -> Result<(Socket, Answer), Refusal> {
    let shared = &context.shared;
    loop {
        let lease = tries.next(&upgrade.request, shared)?;
        let endpoint = lease.server().endpoint.clone();
        let (outcome, error) = match dial(&endpoint, upgrade.request.upstream.connect_timeout).await
        {
            Err(failed) => failed,
            Ok(mut server) => match handshake::ask(&mut server, upgrade).await {
                Ok(answer) => {
                    let counts = upgrade.request.upstream.websocket_early_close.is_some();
                    let has_failed = counts && answer.status >= 500;
                    let outcome = if has_failed {
                        Outcome::UpgradeFailed
                    } else {
                        Outcome::Answered
                    };
                    tries.settle(outcome, shared);
                    return Ok((server, answer));
                }
                Err(failed) => failed,
            },
        };
        tries.settle(outcome, shared);
        tracing::warn!(
            upstream = &*upgrade.request.upstream.name,
            server = tries.server_name(),
            why = outcome.label(),
            error = error.map(tracing::field::display),
            "handshake failed"
        );
        if !outcome.may_try_next(true) {
            return Err(outcome.refusal());
        }
    }
}

/// Tells the client about the 101. A client that is gone shows in the relay.
async fn switched(client: &mut Socket, upgrade: &Upgrade, tries: &Tries, answer: &Answer) {
    let head = answer.to_bytes(tries.set_cookie(&upgrade.request).as_deref());
    if let Err(error) = client.write_all(&head).await {
        tracing::debug!(%error, "the client left before its 101");
    }
}

/// How long the tunnel of a request may last.
fn bounds(request: &Request, tries: &Tries) -> Bounds {
    let upstream = &request.upstream;
    // Of other WebSockets nothing is known: they are no Engine.IO.
    let is_engine_io = request.stage != Stage::None;
    let told = tries.silence().filter(|_| is_engine_io);
    let (idle_timeout, is_auto) = match upstream.websocket_idle_timeout {
        IdleTimeout::After(timeout) => (timeout, false),
        IdleTimeout::Auto => (
            told.map_or(heartbeat::IDLE_TIMEOUT, |told| told + heartbeat::MARGIN),
            true,
        ),
    };
    Bounds {
        idle_timeout,
        is_told: is_auto && request.stage == Stage::Handshake,
        // So that clients who came together do not come back together.
        max_age: upstream
            .websocket_max_age
            .map(|age| jittered(age, rand::random())),
    }
}

/// What there is to tell when a tunnel ends. There may be very many, so nothing of the handshake stays that the log
/// does not name.
struct Story {
    lease: Lease,
    shared: Arc<Shared>,
    client: Client,
    host: Box<str>,
    target: Box<str>,
    tries: u32,
    began: Stopwatch,
    _guest: Guest,
}

impl Story {
    /// `None`: no server was taken, which no 101 comes from.
    fn begin(upgrade: &mut Upgrade, tries: Tries, context: &Context, guest: Guest) -> Option<Self> {
        let (request, shared) = (&upgrade.request, &context.shared);
        let (name, metrics) = (&*request.upstream.name, &shared.metrics);
        metrics.answered(request.upstream.counted(), 101, b"GET", "websocket");
        metrics.websocket_opened(name);
        if let Reading::Handshake { revision, .. } = request.sid {
            metrics.session_began(name, revision, "websocket");
        }
        Some(Self {
            client: request.client,
            began: request.began,
            shared: Arc::clone(shared),
            host: std::mem::take(&mut upgrade.host).into(),
            target: std::mem::take(&mut upgrade.target).into(),
            tries: tries.count_of_tries(),
            lease: tries.into_lease()?,
            _guest: guest,
        })
    }

    fn tell(&self, ended: &Ended) {
        let (upstream, duration) = (&*self.lease.upstream().name, self.began.elapsed());
        self.shared
            .metrics
            .websocket_closed(upstream, ended, duration);
        let access = Access {
            client: &self.client.address_text(),
            method: "GET",
            host: Cow::Borrowed(&self.host),
            target: Cow::Borrowed(&self.target),
            upstream,
            server: &self.lease.server().name,
            tries: self.tries,
            duration,
        };
        logging::tunnel(&access, ended);
    }
}

/// Everything that an open tunnel holds, in one place: what a task holds beside it is space that nobody uses.
struct Tunnel {
    relay: Relay,
    closing: Awaited,
    story: Story,
}

impl Tunnel {
    async fn last(mut self: Box<Self>) {
        let opened = Stopwatch::start();
        let Self {
            relay,
            closing,
            story,
        } = &mut *self;
        let silence = &story.lease.server().state.silence;
        let ended = relay.run(closing, |told| silence.heard(told)).await;
        let early_close = story.lease.upstream().websocket_early_close;
        if ended.server_dropped_it() && opened.elapsed() < early_close.unwrap_or_default() {
            let Story { lease, shared, .. } = story;
            lease.died_early(shared.clock.seconds(), &shared.metrics);
        }
        let Self { relay, story, .. } = *self;
        // The client sees the end before anybody reads of it.
        drop(relay);
        story.tell(&ended);
    }
}

/// The server answered something else than 101: the client gets that answer, and the connection ends with it.
async fn declined(
    (mut client, mut server): (Socket, Socket),
    upgrade: &Upgrade,
    tries: &Tries,
    answer: Answer,
    context: &Context,
) {
    let cookie = tries.set_cookie(&upgrade.request);
    let mut complaint = Complaint::begin(upgrade.request.stage, answer.status);
    let relayed = handshake::relay_answer(
        (&mut client, &mut server),
        &answer,
        cookie.as_deref(),
        upgrade.request.upstream.read_timeout,
        |bytes| {
            if let Some(complaint) = &mut complaint {
                complaint.hear(bytes);
            }
        },
    );
    let relayed = relayed.await;
    if let Some(complaint) = &complaint {
        tries.heard(complaint, &upgrade.request, &context.shared);
    }
    let sent = match relayed {
        Ok(sent) => sent,
        Err(error) => {
            tracing::debug!(%error, "an answer was cut short");
            0
        }
    };
    finish(upgrade, tries, (answer.status, sent), None, context);
}

async fn refused(
    client: Socket,
    upgrade: &Upgrade,
    tries: &Tries,
    refusal: Refusal,
    context: &Context,
) {
    context.shared.metrics.refused(refusal);
    finish(
        upgrade,
        tries,
        (refusal.status(), 0),
        Some(refusal),
        context,
    );
    crate::edge::say(client, refusal, &context.shared).await;
}

fn finish(
    upgrade: &Upgrade,
    tries: &Tries,
    (status, bytes_sent): (u16, usize),
    refusal: Option<Refusal>,
    context: &Context,
) {
    let request = &upgrade.request;
    context
        .shared
        .metrics
        .answered(request.upstream.counted(), status, b"GET", "websocket");
    let access = access(request, (&upgrade.host, &upgrade.target), tries);
    logging::request(&access, status, bytes_sent, refusal.map(Refusal::why));
}

fn access<'a>(
    request: &'a Request,
    (host, target): (&'a str, &'a str),
    tries: &'a Tries,
) -> Access<'a> {
    Access {
        client: &request.forwarded.real_ip,
        method: "GET",
        host: Cow::Borrowed(host),
        target: Cow::Borrowed(target),
        upstream: &request.upstream.name,
        server: tries.server_name(),
        tries: tries.count_of_tries(),
        duration: request.began.elapsed(),
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
