//! Ends what somebody's connections rest on, on every instance: at a logout, or when a user is shut out.
//!
//! The word goes to the other instances as an event between servers, `berth:revoke`. It may be lost; the next look at each session
//! (`auth.recheck_interval`) finds what it would have told. Node servers can send it, too: `io.serverSideEmit("berth:revoke", {userId})`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_adapter::Cluster;
use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::connect::Client;
use super::{Adapter, App};
use crate::chat::room::user_room;
use crate::protocol::{self, SessionEnded};
use crate::token::SessionDigest;

/// The event between servers.
const REVOKE: &str = "berth:revoke";

/// How often the list of those who are shut out is read: what a lost word about one costs.
const BANS_INTERVAL: Duration = Duration::from_secs(30);

/// How long an ended session is remembered: longer than any token of ours that was made from it lives.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// Ended sessions remembered at once. Beyond, those that ended first are forgotten; their tokens end within minutes anyway.
const ENDED_MAX: usize = 50_000;

/// Whose connections end, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub user_id: String,
    /// Only the connections that rest on this session; none = all of the user's.
    pub session: Option<SessionDigest>,
    pub why: Ended,
}

/// Why a connection ends. The client is told. After a logout, a kick or a ban the server disconnects it, and it stays away: coming back by
/// itself it would be somebody else, a guest, or refused, or nothing would have changed. After a token's end only the transport is closed:
/// it comes back, with a new token if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    LoggedOut,
    Expired,
    Banned,
    Kicked,
}

impl Ended {
    const ALL: [Self; 4] = [Self::LoggedOut, Self::Expired, Self::Banned, Self::Kicked];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::Expired => "expired",
            Self::Banned => "banned",
            Self::Kicked => "kicked",
        }
    }
}

impl Revocation {
    fn to_json(&self) -> Value {
        let session = self.session.map(SessionDigest::to_hex);
        json!({"userId": self.user_id, "session": session, "reason": self.why.as_str()})
    }

    /// `None` for what is no revocation: it comes from the bus. One that names a session which cannot be read must not end all.
    fn from_json(value: &Value) -> Option<Self> {
        let session = match value.get("session") {
            None | Some(Value::Null) => None,
            Some(session) => Some(SessionDigest::from_hex(session.as_str()?)?),
        };
        let why = value.get("reason").and_then(Value::as_str);
        let why = Ended::ALL.into_iter().find(|one| why == Some(one.as_str()));
        Some(Self {
            user_id: value.get("userId")?.as_str()?.to_owned(),
            session,
            why: why.unwrap_or(Ended::LoggedOut),
        })
    }
}

/// Sessions that have ended lately. Bounded; time is an argument.
#[derive(Debug, Default)]
pub(super) struct EndedSessions(HashMap<SessionDigest, Instant>);

impl EndedSessions {
    pub(super) fn add(&mut self, session: SessionDigest, now: Instant) {
        if self.0.len() >= ENDED_MAX {
            self.0
                .retain(|_, ended_at| now.saturating_duration_since(*ended_at) < MEMORY);
        }
        if self.0.len() >= ENDED_MAX {
            let oldest = self.0.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(session, _)| *session) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(session, now);
    }

    pub(super) fn contains(&self, session: SessionDigest, now: Instant) -> bool {
        let ended_at = self.0.get(&session);
        ended_at.is_some_and(|ended_at| now.saturating_duration_since(*ended_at) < MEMORY)
    }
}

/// Tells a client why, and disconnects it.
pub(super) fn end(app: &App, socket: SocketRef<Adapter>, why: Ended) {
    tell(app, &socket, why);
    if let Err(error) = socket.disconnect() {
        // Its buffer is full: it is closed for that, or hears until the next look.
        let reason = why.as_str();
        tracing::warn!(%error, reason, "a client whose session has ended was not disconnected");
    }
}

/// Tells a client that its session has ended.
pub(super) fn tell(app: &App, socket: &SocketRef<Adapter>, why: Ended) {
    let reason = why.as_str();
    let Some(client) = socket.extensions.get::<Arc<Client>>() else {
        return;
    };
    let body = SessionEnded { reason };
    if let Err(error) = client.tell(protocol::SESSION_ENDED, &body) {
        tracing::debug!(%error, reason, "a client was not told why its session ends");
    }
    app.metrics
        .auth
        .sessions_ended_total
        .with_label_values(&[reason])
        .inc();
}

/// Passes revocations on and carries them out, and looks who is shut out, until the instance drains.
pub(super) async fn run(
    app: Arc<App>,
    io: SocketIo<Adapter>,
    cluster: Cluster,
    draining: CancellationToken,
) {
    // Beside each other: who is asked for the list may take seconds to answer, and no revocation waits for that.
    let renewals = draining.run_until_cancelled(keep_bans(&app, &io));
    let (_, ()) = tokio::join!(renewals, listen(&app, &io, &cluster, &draining));
}

async fn listen(
    app: &App,
    io: &SocketIo<Adapter>,
    cluster: &Cluster,
    draining: &CancellationToken,
) {
    let mut ours = app.revocations.subscribe();
    let mut theirs = cluster.server_events();
    loop {
        tokio::select! {
            () = draining.cancelled() => return,
            revocation = ours.recv() => match revocation {
                Ok(revocation) => {
                    pass_on(cluster, &revocation);
                    carry_out(app, io, &revocation);
                }
                Err(RecvError::Lagged(missed)) => lagged(missed),
                Err(RecvError::Closed) => return,
            },
            event = theirs.recv() => match event {
                Ok(event) if event.name == REVOKE && event.namespace == "/" => {
                    match event.arguments.first().and_then(Revocation::from_json) {
                        Some(revocation) => carry_out(app, io, &revocation),
                        None => tracing::warn!("a revocation from the bus makes no sense"),
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => lagged(missed),
                Err(RecvError::Closed) => return,
            },
        }
    }
}

async fn keep_bans(app: &App, io: &SocketIo<Adapter>) {
    let mut renewals = tokio::time::interval(BANS_INTERVAL);
    loop {
        renewals.tick().await;
        renew_bans(app, io).await;
    }
}

/// Reads who is shut out, and ends the connections of those of whom no word came.
async fn renew_bans(app: &App, io: &SocketIo<Adapter>) {
    let asked = app.bans.changes();
    let list = match app.users.banned().await {
        Ok(list) => list,
        Err(error) => return tracing::debug!(%error, "who is shut out is known as of before"),
    };
    for user_id in app.bans.renew(list, asked) {
        let why = Ended::Banned;
        let session = None;
        end_all(
            app,
            io,
            &Revocation {
                user_id,
                session,
                why,
            },
        );
    }
}

fn pass_on(cluster: &Cluster, revocation: &Revocation) {
    if let Err(error) = cluster.server_side_emit("/", REVOKE, &revocation.to_json()) {
        tracing::warn!(%error, "other servers were not told of a revocation");
    }
}

fn lagged(missed: u64) {
    tracing::warn!(
        missed,
        "revocations came too fast; sessions are found out at their next look"
    );
}

fn carry_out(app: &App, io: &SocketIo<Adapter>, revocation: &Revocation) {
    if let Some(session) = revocation.session {
        app.note_ended(session);
        app.sessions.forget(session);
    } else if revocation.why == Ended::Banned {
        app.bans.set(&revocation.user_id, true);
    }
    end_all(app, io, revocation);
}

fn end_all(app: &App, io: &SocketIo<Adapter>, revocation: &Revocation) {
    for socket in io.within(user_room(&revocation.user_id)).sockets() {
        let Some(client) = socket.extensions.get::<Arc<Client>>() else {
            continue;
        };
        let is_meant = revocation
            .session
            .is_none_or(|session| client.session() == Some(session));
        if is_meant {
            end(app, socket, revocation.why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_revocation_travels() {
        for session in [None, Some(SessionDigest::of("sid"))] {
            let revocation = Revocation {
                user_id: "7".to_owned(),
                session,
                why: Ended::Banned,
            };
            let there = Revocation::from_json(&revocation.to_json());
            assert_eq!(there, Some(revocation));
        }
        let short = Revocation::from_json(&json!({"userId": "7"})).unwrap();
        assert_eq!((short.session, short.why), (None, Ended::LoggedOut));
    }

    #[test]
    fn one_that_cannot_be_read_ends_nobody() {
        for value in [
            json!(null),
            json!({}),
            json!({"userId": 7}),
            json!({"userId": "7", "session": "x"}),
            json!({"userId": "7", "session": 7}),
            json!({"userId": "7", "session": "ü".repeat(16)}),
        ] {
            assert_eq!(Revocation::from_json(&value), None, "{value}");
        }
    }

    #[test]
    fn ended_sessions_are_remembered_longer_than_their_tokens_live() {
        let (session, now) = (SessionDigest::of("sid"), clock::monotonic());
        let mut ended = EndedSessions::default();
        ended.add(session, now);
        let later = now + MEMORY - Duration::from_secs(1);
        assert!(ended.contains(session, later));
        assert!(!ended.contains(session, now + MEMORY));
        assert!(!ended.contains(SessionDigest::of("other"), now));
        for number in 0..ENDED_MAX {
            ended.add(SessionDigest::of(&number.to_string()), later);
        }
        assert_eq!(ended.0.len(), ENDED_MAX);
        assert!(
            !ended.contains(session, later),
            "the first to end is the first forgotten"
        );
    }
}
