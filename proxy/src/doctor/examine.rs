//! The course of an examination: what is asked, in which order, and what is asked at the same time.

use std::time::Duration;

use crate::clock::Stopwatch;
use crate::doctor::ask::{Asker, Question};
use crate::doctor::dial::Dialer;
use crate::doctor::packet::{Open, Refused, Revision};
use crate::doctor::polling::{self, Cookies, Silence};
use crate::doctor::seen::{Address, Idle, Reply, Seen, Session};
use crate::doctor::target::{Origin, Target};
use crate::doctor::websocket;

/// How much is asked.
#[derive(Clone, Debug)]
pub struct Examination {
    pub target: Target,
    pub origin: Option<Origin>,
    pub sessions: usize,
    /// For a connection, and for an answer.
    pub patience: Duration,
    pub is_insecure: bool,
    /// Leaves out what takes as long as the server's ping.
    pub is_quick: bool,
}

/// Upgrades that are tried: enough to meet every server of a small fleet.
const UPGRADES_MAX: usize = 6;

/// So many are tried in any case, and more only within this time.
const SESSIONS_MIN: usize = 2;
const SESSIONS_TIME_MAX: Duration = Duration::from_secs(20);

/// A ping may be late by this much.
const PING_LATE_MAX: Duration = Duration::from_secs(5);

/// Socket.IO closes a client that has joined no namespace after 45 s, and this one joins none.
const SILENCE_MAX: Duration = Duration::from_secs(40);

/// Other places where Socket.IO is often found.
const PATHS: [&str; 5] = [
    "/socket.io/",
    "/api/socket.io/",
    "/ws/socket.io/",
    "/ws/",
    "/engine.io/",
];

/// Examines, and says what it is at, for people who wait.
pub(super) async fn examine(examination: &Examination, tell: &(dyn Fn(&str) + Sync)) -> Seen {
    let Examination { target, origin, .. } = examination;
    tell("looking for the address");
    let patience = examination.patience;
    let (address, dialer) = Dialer::find(target, examination.is_insecure, patience).await;
    let mut seen = nothing_yet(examination, address);
    let dialer = match dialer {
        Ok(dialer) => dialer,
        Err(fault) => {
            seen.opening = seen.address.used.map(|_| Err(fault));
            return seen;
        }
    };
    let asker = Asker {
        dialer,
        target: target.clone(),
        origin: origin.clone(),
    };
    tell("asking for a handshake");
    let opening = handshake(&asker, None).await;
    seen.certificate = asker.dialer.certificate();
    let open = opening.as_ref().ok().and_then(|answer| answer.open());
    let refused = opening.as_ref().ok().and_then(|answer| answer.refused());
    let is_answered = opening.is_ok();
    seen.opening = Some(opening);
    match open {
        Some(open) => all(examination, &asker, &open, tell, &mut seen).await,
        None if refused == Some(Refused::TransportUnknown) => {
            seen.websocket = Some(websocket::begin(&asker, Revision::Four).await);
        }
        None if is_answered && refused.is_none() => seen.other_path = other_path(&asker).await,
        None => {}
    }
    seen
}

fn nothing_yet(examination: &Examination, address: Address) -> Seen {
    Seen {
        target: examination.target.clone(),
        origin: examination.origin.clone(),
        address,
        certificate: None,
        opening: None,
        other_path: None,
        without_cookies: Vec::new(),
        with_cookies: Vec::new(),
        upgrades: Vec::new(),
        websocket: None,
        preflight: None,
        live_poll: None,
        body: None,
        idle_websocket: None,
        idle_poll: None,
        is_quick: examination.is_quick,
    }
}

async fn handshake(asker: &Asker, path: Option<&str>) -> Reply {
    asker
        .ask(Question {
            path,
            query: "EIO=4&transport=polling",
            ..Question::default()
        })
        .await
}

async fn other_path(asker: &Asker) -> Option<String> {
    for path in PATHS.iter().filter(|path| **path != asker.target.path) {
        let reply = handshake(asker, Some(path)).await;
        if reply.is_ok_and(|answer| answer.open().is_some()) {
            return Some((*path).to_owned());
        }
    }
    None
}

/// With a server that speaks Engine.IO. What must wait for a ping waits beside everything else.
async fn all(
    examination: &Examination,
    asker: &Asker,
    open: &Open,
    tell: &(dyn Fn(&str) + Sync),
    seen: &mut Seen,
) {
    let idle = async {
        if examination.is_quick {
            return (None, None);
        }
        let (websocket, poll) = tokio::join!(
            idle(asker, open, Transport::WebSocket),
            idle(asker, open, Transport::Polling)
        );
        (websocket, poll)
    };
    let busy = busy(examination, asker, open, tell, seen);
    let ((idle_websocket, idle_poll), ()) = tokio::join!(idle, busy);
    seen.idle_websocket = idle_websocket;
    seen.idle_poll = idle_poll;
}

/// One request after the other: two sessions in step could take turns with two servers and look bound.
async fn busy(
    examination: &Examination,
    asker: &Asker,
    open: &Open,
    tell: &(dyn Fn(&str) + Sync),
    seen: &mut Seen,
) {
    let revision = open.revision;
    seen.without_cookies = sessions(examination, asker, revision, Cookies::Dropped, tell).await;
    seen.with_cookies = sessions(examination, asker, revision, Cookies::Kept, tell).await;
    if open.offers_websocket {
        tell("upgrading to WebSockets");
        let stopwatch = Stopwatch::start();
        for done in 0..examination.sessions.min(UPGRADES_MAX) {
            if is_enough(done, stopwatch) {
                break;
            }
            seen.upgrades
                .push(websocket::upgrade(asker, revision).await);
        }
        seen.websocket = Some(websocket::begin(asker, revision).await);
    }
    if asker.origin.is_some() {
        seen.preflight = polling::preflight(asker, revision).await;
    }
    tell("sending to a poll that waits, and much at once");
    if revision == Revision::Four {
        seen.live_poll = polling::live_poll(asker, revision).await;
    }
    seen.body = polling::body(asker, revision).await;
    if !examination.is_quick {
        tell("waiting in silence for the server's ping");
    }
}

async fn sessions(
    examination: &Examination,
    asker: &Asker,
    revision: Revision,
    cookies: Cookies,
    tell: &(dyn Fn(&str) + Sync),
) -> Vec<Session> {
    let manner = match cookies {
        Cookies::Kept => "with",
        Cookies::Dropped => "without",
    };
    let all = examination.sessions;
    let stopwatch = Stopwatch::start();
    let mut sessions = Vec::new();
    while sessions.len() < all && !is_enough(sessions.len(), stopwatch) {
        let number = sessions.len() + 1;
        tell(&format!("session {number} of {all} {manner} cookies"));
        sessions.push(polling::session(asker, revision, cookies).await);
    }
    sessions
}

/// A server that is down may cost seconds each time; then fewer sessions must do.
fn is_enough(done: usize, stopwatch: Stopwatch) -> bool {
    done >= SESSIONS_MIN && stopwatch.elapsed() > SESSIONS_TIME_MAX
}

#[derive(Clone, Copy)]
enum Transport {
    WebSocket,
    Polling,
}

async fn idle(asker: &Asker, open: &Open, transport: Transport) -> Option<Idle> {
    let silence = Silence {
        interval: open.ping_interval,
        late_max: PING_LATE_MAX,
    };
    if silence.most() > SILENCE_MAX {
        return Some(Idle::TooLong(open.ping_interval));
    }
    match (transport, open.revision) {
        (Transport::WebSocket, revision) if open.offers_websocket => {
            Some(websocket::idle_websocket(asker, revision, silence).await)
        }
        (Transport::Polling, Revision::Four) => {
            Some(polling::idle_poll(asker, Revision::Four, silence).await)
        }
        // Nothing is offered; or the client pings, and a server of revision 3 has something to say on every first poll.
        (Transport::WebSocket, _) | (Transport::Polling, Revision::Three) => None,
    }
}
