//! What the edge found out about one request, for whoever carries it out: the tunnel or the exchange.
//!
//! Owns the one way in which both ask for a server, so that affinity, balance and bookkeeping cannot differ.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::affinity::sid::{Complaint, Reading, Stage};
use crate::affinity::{Mark, Method, cookie};
use crate::choose::{Affinity, Asking, Attempt, Choice, NoServer, choose};
use crate::client::Client;
use crate::clock::{self, Stopwatch};
use crate::handshakes::Nanos;
use crate::headers::Forwarded;
use crate::lease::Lease;
use crate::outcome::Outcome;
use crate::pool::Server;
use crate::refusal::Refusal;
use crate::registry::Upstream;
use crate::settings::Balance;
use crate::shared::Shared;

mod handshake;

/// A request that may be carried out.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) client: Client,
    pub(crate) forwarded: Forwarded,
    /// What it says about its Engine.IO session, if the upstream is sticky by that.
    pub(crate) sid: Reading,
    /// Where in an Engine.IO session it stands, whatever the upstream is sticky by.
    pub(crate) stage: Stage,
    /// What it carries of the sticky cookie, if the upstream has one.
    pub(crate) cookie: cookie::Reading,
    /// What the upstream hashes; empty when it does not.
    pub(crate) hash_key: Vec<u8>,
    /// Largest body it may have, in bytes.
    pub(crate) body_bytes_max: u64,
    pub(crate) began: Stopwatch,
}

/// Rolled only for who looks at it.
fn dice(balance: Balance) -> u64 {
    if balance == Balance::RandomTwo {
        rand::random()
    } else {
        0
    }
}

impl Request {
    /// The target as servers get it; `target` is as it came.
    #[must_use]
    pub(crate) fn target<'a>(&'a self, target: &'a str) -> &'a str {
        match &self.sid {
            Reading::Bound(bound) => &bound.target,
            Reading::Plain | Reading::Handshake { .. } | Reading::Forged => target,
        }
    }

    /// Counts a WebSocket handshake by its answer if it is the upgrade of a polling session.
    pub(crate) fn count_upgrade(&self, answered: Result<u16, Refusal>, shared: &Shared) {
        if self.stage != Stage::Session {
            return;
        }
        let result = match answered {
            Ok(101) => "ok",
            Ok(_) | Err(Refusal::SessionGone) => "refused",
            Err(_) => "failed",
        };
        shared.metrics.upgraded(&self.upstream.name, result);
    }

    /// What it brings to the decision. `handshake`: as there.
    #[must_use]
    pub(crate) fn asking(&self, dice: u64, handshake: Option<Nanos>) -> Asking<'_> {
        Asking {
            address: self.client.hash_bytes(),
            marks: self.upstream.sticky.map(|method| self.mark(method?)),
            key: &self.hash_key,
            dice,
            handshake,
        }
    }

    /// What the request carries of a sticky method.
    pub(crate) fn mark(&self, method: Method) -> Option<Mark<'_>> {
        let (name, is_only): (&[u8], bool) = match (method, &self.sid) {
            (Method::Cookie, _) => (self.cookie.mark()?, false),
            (Method::Sid, Reading::Bound(bound)) => (bound.tag.as_bytes(), bound.is_only),
            // The name of nobody.
            (Method::Sid, Reading::Forged) => (b"", false),
            (Method::Sid, Reading::Plain | Reading::Handshake { .. }) => return None,
        };
        Some(Mark {
            method,
            name,
            is_only,
        })
    }

    /// The first sticky method that a request without any mark could have had one of.
    pub(crate) fn method(&self) -> Option<Method> {
        let could = |method: &Method| *method != Method::Sid || self.sid != Reading::Plain;
        self.upstream.sticky.into_iter().flatten().find(could)
    }
}

/// The tries of one request.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    attempt: Attempt,
    /// Of the last server that was tried; released when the next one is looked for.
    lease: Option<Lease>,
    last: Option<Outcome>,
    affinity: Option<(Method, Affinity)>,
}

impl Tries {
    /// Takes the next server.
    ///
    /// # Errors
    /// What the client is to be told when there is none.
    pub(crate) fn next(&mut self, request: &Request, shared: &Shared) -> Result<&Lease, Refusal> {
        if let Some(lease) = &mut self.lease {
            lease.release();
        }
        let upstream = &request.upstream;
        if let Some(last) = self.last
            && !upstream.tries_timeout.is_zero()
            && request.began.elapsed() >= upstream.tries_timeout
        {
            return Err(last.refusal());
        }
        // One token of the upstream's for all tries of a session, and none for a session that reaches no server.
        let moment = handshake::moment(request, shared);
        let costs = moment.filter(|_| self.lease.is_none());
        if let Some(now) = costs {
            handshake::admit(request, now, shared)?;
        }
        match self.choose(request, moment, shared) {
            Ok((choice, lease)) => {
                self.count(choice, &lease, request, shared);
                Ok(self.lease.insert(lease))
            }
            Err(refusal) => {
                if costs.is_some() {
                    handshake::give_back(request);
                }
                Err(refusal)
            }
        }
    }

    fn choose(
        &mut self,
        request: &Request,
        handshake: Option<Nanos>,
        shared: &Shared,
    ) -> Result<(Choice, Lease), Refusal> {
        let upstream = &request.upstream;
        let asking = request.asking(dice(upstream.policy.balance), handshake);
        let chosen = choose(
            &upstream.pool,
            upstream.policy,
            asking,
            &mut self.attempt,
            shared.clock.seconds(),
        );
        match chosen.map(|choice| (choice, Lease::new(upstream, choice.server))) {
            Ok((choice, Some(lease))) => Ok((choice, lease)),
            Err(NoServer::AllTried | NoServer::TriesSpent) => {
                Err(self.last.map_or(Refusal::BadGateway, Outcome::refusal))
            }
            Err(NoServer::SessionGone) => {
                shared.metrics.session_gone(&upstream.name);
                Err(Refusal::SessionGone)
            }
            Err(NoServer::Limited(wait)) => Err(handshake::refuse(request, wait, shared)),
            Ok((_, None)) | Err(NoServer::NoneLive) => Err(Refusal::NoServer),
        }
    }

    /// To be called while `self.lease` is still the one before.
    fn count(&mut self, choice: Choice, lease: &Lease, request: &Request, shared: &Shared) {
        let upstream = &request.upstream;
        if let Some(before) = self.server() {
            let is_elsewhere = !Arc::ptr_eq(before, lease.server());
            shared.metrics.retried(&upstream.name, is_elsewhere);
        }
        let method = choice.method.or_else(|| request.method());
        let affinity = method.map(|method| (method, choice.affinity));
        if let Some((method, affinity)) = affinity.filter(|_| affinity != self.affinity) {
            shared.metrics.stuck(upstream.counted(), method, affinity);
        }
        self.affinity = affinity;
        let is_failing_open = &upstream.pool.is_failing_open;
        let name = &*upstream.name;
        if self.attempt.has_failed_open() {
            shared.metrics.failed_open(name);
            if !is_failing_open.swap(true, Relaxed) {
                tracing::warn!(
                    upstream = name,
                    "no server may serve: asking the least bad one"
                );
            }
        } else if is_failing_open.load(Relaxed) && is_failing_open.swap(false, Relaxed) {
            tracing::info!(upstream = name, "a server may serve again");
        }
    }

    /// What names the last server that was tried in a session id.
    #[must_use]
    pub(crate) fn tag(&self) -> Option<&str> {
        self.server().map(|server| &*server.tag)
    }

    #[must_use]
    pub(crate) fn server(&self) -> Option<&Arc<Server>> {
        self.lease.as_ref().map(Lease::server)
    }

    /// The last server that was tried.
    #[must_use]
    pub(crate) fn server_name(&self) -> &str {
        self.server().map_or("", |server| &server.name)
    }

    /// How the last try that failed ended.
    #[must_use]
    pub(crate) fn last(&self) -> Option<Outcome> {
        self.last
    }

    #[must_use]
    pub(crate) fn count_of_tries(&self) -> u32 {
        self.attempt.tries()
    }

    /// An answer that could have been a complaint has ended.
    pub(crate) fn heard(&self, complaint: &Complaint, request: &Request, shared: &Shared) {
        if complaint.is_unknown_session() {
            let (upstream, server) = (&request.upstream.name, self.server_name());
            shared.metrics.unknown_sid(upstream, server);
        }
    }

    /// How long Engine.IO connections to the current server may be silent, if it has told.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.server()?.state.silence.get()
    }

    /// The current server has told so.
    pub(crate) fn learn_silence(&self, silence: Duration) {
        if let Some(server) = self.server() {
            server.state.silence.heard(silence);
        }
    }

    /// Reports how the current try ended.
    pub(crate) fn settle(&mut self, outcome: Outcome, shared: &Shared) {
        if outcome != Outcome::Answered {
            self.last = Some(outcome);
        }
        if let Some(lease) = &mut self.lease {
            lease.settle(outcome, shared.clock.seconds(), &shared.metrics);
            if outcome == Outcome::StaleConnection {
                self.attempt.forgive(lease.index());
            }
        }
    }

    /// The use of the server that answered, for as long as it is used.
    #[must_use]
    pub(crate) fn into_lease(self) -> Option<Lease> {
        self.lease
    }

    /// The `Set-Cookie` that binds the client to the current server, unless it is bound to it already by the key that
    /// signs now: so the end of a rotation needs nobody's help.
    #[must_use]
    pub(crate) fn set_cookie(&self, request: &Request) -> Option<String> {
        let mark = &self.server()?.mark;
        let cookie = request.upstream.cookie.as_ref()?;
        let is_bound = request.cookie.is_good_for(mark);
        (!is_bound).then(|| cookie.set(mark, clock::wall()))
    }
}
