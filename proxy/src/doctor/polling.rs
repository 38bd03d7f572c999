//! Sessions by polling as clients have them, in which no word ever reaches the app.
//!
//! The only packet that Socket.IO gets is the question for a namespace that does not exist; it refuses by itself.

use std::time::Duration;

use http::Method;
use tokio::time::sleep;

use crate::clock::Stopwatch;
use crate::doctor::ask::{Asker, Question};
use crate::doctor::jar::Jar;
use crate::doctor::packet::{self, Open, Refused, Revision};
use crate::doctor::seen::{Answer, Body, Fate, Fault, Idle, Reply, Session, fate};

/// Requests of one session after its handshake; the last one takes what the others were answered.
const REQUESTS: usize = 4;

/// Time for a request to be waiting at the server before something is sent to it.
const SETTLING: Duration = Duration::from_millis(300);

/// A server that does not know a session says so sooner.
const PROMPT_MAX: Duration = Duration::from_secs(1);

/// A larger body is not sent, whatever the handshake allows.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// Time for that body on a slow line.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// A request with a header that only a preflight allows.
const PREFLIGHT: [(&str, &str); 2] = [
    ("access-control-request-method", "POST"),
    (
        "access-control-request-headers",
        "authorization,content-type",
    ),
];

/// Whether the client keeps cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookies {
    Kept,
    Dropped,
}

/// How long nothing is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    pub(super) interval: Duration,
    /// A ping may be late by this much.
    pub(super) late_max: Duration,
}

impl Silence {
    pub(super) fn most(self) -> Duration {
        self.interval + self.late_max
    }
}

/// A polling session that came about.
pub(super) struct Polling<'a> {
    asker: &'a Asker,
    open: Open,
    pub(super) jar: Jar,
    cookies: Cookies,
}

impl<'a> Polling<'a> {
    /// The session, if there is one, and the answer in any case.
    pub(super) async fn begin(
        asker: &'a Asker,
        revision: Revision,
        cookies: Cookies,
    ) -> (Option<Self>, Reply) {
        let query = format!("{}&transport=polling", revision.query());
        let reply = asker
            .ask(Question {
                query: &query,
                ..Question::default()
            })
            .await;
        let opened = reply
            .as_ref()
            .ok()
            .and_then(|answer| Some((answer, answer.open()?)));
        let session = opened.map(|(answer, open)| {
            let mut session = Self {
                asker,
                open,
                jar: Jar::default(),
                cookies,
            };
            session.learn(answer);
            session
        });
        (session, reply)
    }

    fn learn(&mut self, answer: &Answer) {
        if self.cookies == Cookies::Kept {
            self.jar.take(answer, &self.asker.target);
        }
    }

    pub(super) fn query(&self, transport: &str) -> String {
        let revision = self.open.revision.query();
        format!(
            "{revision}&transport={transport}&sid={}",
            escaped(&self.open.sid)
        )
    }

    async fn post(&mut self, patience: Duration, packet: &str) -> Reply {
        let query = self.query("polling");
        let question = Question {
            method: Method::POST,
            query: &query,
            cookie: self.jar.header(),
            body: Some(packet::payload(self.open.revision, packet)),
            ..Question::default()
        };
        let reply = self.asker.ask_within(patience, question).await;
        if let Ok(answer) = &reply {
            self.learn(answer);
        }
        reply
    }

    async fn poll(&mut self, patience: Duration) -> Reply {
        let query = self.query("polling");
        let question = Question {
            query: &query,
            cookie: self.jar.header(),
            ..Question::default()
        };
        let reply = self.asker.ask_within(patience, question).await;
        if let Ok(answer) = &reply {
            self.learn(answer);
        }
        reply
    }

    pub(super) fn patience(&self) -> Duration {
        self.asker.dialer.patience
    }

    /// Says good-bye, so that the server need not wait for a heartbeat. Whether that arrives is not asked.
    pub(super) async fn end(mut self) {
        let patience = self.patience();
        drop(self.post(patience, "1").await);
    }
}

/// A session id stands in a query; servers choose its letters.
fn escaped(sid: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte: u8| {
        if is_plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    sid.bytes().map(escape).collect()
}

/// A whole session by polling.
pub(super) async fn session(asker: &Asker, revision: Revision, cookies: Cookies) -> Session {
    let (polling, handshake) = Polling::begin(asker, revision, cookies).await;
    let Some(mut polling) = polling else {
        return Session {
            handshake,
            requests: Vec::new(),
        };
    };
    let patience = polling.patience();
    let mut requests = Vec::new();
    for _ in 1..REQUESTS {
        requests.push(polling.post(patience, &packet::question()).await);
        // Who hangs is not asked again: the next session may meet another server.
        if matches!(requests.last(), Some(Err(Fault::Silent(_)))) {
            return Session {
                handshake,
                requests,
            };
        }
    }
    // Where no question arrived, a poll would wait for the next ping.
    if requests.iter().any(|reply| fate(reply) == Fate::Kept) {
        requests.push(polling.poll(patience).await);
    }
    polling.end().await;
    Session {
        handshake,
        requests,
    }
}

/// How long a packet takes to a poll that waits for it.
pub(super) async fn live_poll(
    asker: &Asker,
    revision: Revision,
) -> Option<Result<Duration, Fault>> {
    let (polling, _) = Polling::begin(asker, revision, Cookies::Kept).await;
    let mut polling = polling?;
    let patience = polling.patience();
    let mut sender = Polling {
        asker,
        open: polling.open.clone(),
        jar: polling.jar.clone(),
        cookies: Cookies::Kept,
    };
    let sending = async {
        sleep(SETTLING).await;
        let stopwatch = Stopwatch::start();
        let reply = sender.post(patience, &packet::question()).await;
        (stopwatch, reply)
    };
    let polled = async {
        let reply = polling.poll(patience).await;
        (Stopwatch::start(), reply)
    };
    let ((asked, posted), (answered, reply)) = tokio::join!(sending, polled);
    polling.end().await;
    match (posted, reply) {
        (Err(fault), _) | (_, Err(fault)) => Some(Err(fault)),
        (Ok(_), Ok(answer)) if answer.status == 200 => {
            Some(Ok(asked.elapsed().saturating_sub(answered.elapsed())))
        }
        (Ok(_), Ok(answer)) => Some(Err(Fault::Broken(answer.to_string()))),
    }
}

/// Sends as much as the server says it takes.
pub(super) async fn body(asker: &Asker, revision: Revision) -> Option<Body> {
    let (polling, _) = Polling::begin(asker, revision, Cookies::Kept).await;
    let mut polling = polling?;
    let allowed = polling.open.max_payload?.min(BODY_BYTES_MAX);
    let bytes = usize::try_from(allowed).ok()?;
    let patience = polling.patience().max(BODY_PATIENCE);
    let reply = polling.post(patience, &packet::large_question(bytes)).await;
    polling.end().await;
    Some(Body { bytes, reply })
}

/// What a browser asks before a request with headers of its own, in a living session and without cookies. Asked often
/// enough that chance does not find the right server each time; the first bad answer counts.
pub(super) async fn preflight(asker: &Asker, revision: Revision) -> Option<Reply> {
    let (polling, _) = Polling::begin(asker, revision, Cookies::Kept).await;
    let polling = polling?;
    let query = polling.query("polling");
    let mut last = None;
    for _ in 0..REQUESTS {
        let question = Question {
            method: Method::OPTIONS,
            query: &query,
            headers: &PREFLIGHT,
            ..Question::default()
        };
        let reply = asker.ask(question).await;
        let is_good = reply.as_ref().is_ok_and(|answer| answer.status < 300);
        last = Some(reply);
        if !is_good {
            break;
        }
    }
    polling.end().await;
    last
}

/// A poll that waits until the server pings.
pub(super) async fn idle_poll(asker: &Asker, revision: Revision, silence: Silence) -> Idle {
    let (polling, handshake) = Polling::begin(asker, revision, Cookies::Kept).await;
    let Some(mut polling) = polling else {
        let why = handshake.map_or_else(|fault| fault.to_string(), |answer| answer.to_string());
        return Idle::NotStarted(why);
    };
    let stopwatch = Stopwatch::start();
    let reply = polling.poll(silence.most()).await;
    let after = stopwatch.elapsed();
    match reply {
        Ok(answer) if answer.status == 200 => {
            let packets = packet::packets(revision, &answer.body);
            let idle = if packets.contains(&"2") {
                Idle::Alive(after)
            } else {
                Idle::Ended(after, answer.to_string())
            };
            polling.end().await;
            idle
        }
        Ok(answer) if answer.refused() == Some(Refused::SessionUnknown) && after > PROMPT_MAX => {
            Idle::Moved(after)
        }
        Ok(answer) if answer.refused().is_some() => Idle::NotStarted(answer.to_string()),
        Ok(answer) => Idle::Ended(after, answer.to_string()),
        Err(Fault::Silent(after)) => Idle::Silent(after),
        Err(_) => Idle::Cut(after),
    }
}
