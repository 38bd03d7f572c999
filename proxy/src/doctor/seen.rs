//! What an examination saw, as plain data: probes fill it, `judge` reads it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::doctor::jar::SetCookie;
use crate::doctor::packet::{self, Open, Refused};
use crate::doctor::target::{Origin, Target};

/// Everything. What was not reached or not asked for is absent.
#[derive(Clone, Debug)]
pub struct Seen {
    pub target: Target,
    pub origin: Option<Origin>,
    pub address: Address,
    /// Absent without TLS.
    pub certificate: Option<Certificate>,
    /// The first handshake, by polling.
    pub opening: Option<Reply>,
    /// Another path under which Socket.IO answers, if it does not under the one asked.
    pub other_path: Option<String>,
    pub without_cookies: Vec<Session>,
    pub with_cookies: Vec<Session>,
    /// Upgrades of polling sessions, with their cookies.
    pub upgrades: Vec<Upgrade>,
    /// A session that begins as a WebSocket.
    pub websocket: Option<Upgrade>,
    pub preflight: Option<Reply>,
    /// How long a packet took to reach a poll that waited for it.
    pub live_poll: Option<Result<Duration, Fault>>,
    pub body: Option<Body>,
    pub idle_websocket: Option<Idle>,
    pub idle_poll: Option<Idle>,
    pub is_quick: bool,
}

/// The name and its addresses.
#[derive(Clone, Debug, Default)]
pub struct Address {
    /// Why the name has none.
    pub fault: Option<String>,
    pub refused: Vec<(SocketAddr, String)>,
    pub used: Option<SocketAddr>,
}

/// What clients will say of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    Good,
    ExpiresSoon,
    Expired,
    NotYetValid,
    /// The names that it has, as far as they are known.
    WrongName(Vec<String>),
    /// Self-signed, signed by a private authority, or sent without the certificates between.
    Untrusted,
    Other(String),
    /// Nobody to trust was known, or nobody was to be asked.
    NotChecked(String),
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Unreachable(String),
    Tls(String),
    Silent(Duration),
    /// The connection ended, or what came is no HTTP.
    Broken(String),
}

pub type Reply = Result<Answer, Fault>;

/// One session by polling, every request on a connection of its own.
#[derive(Clone, Debug)]
pub struct Session {
    pub handshake: Reply,
    /// What came after the handshake. Empty if that failed.
    pub requests: Vec<Reply>,
}

#[derive(Clone, Debug)]
pub enum Upgrade {
    /// Both directions carried packets.
    Works,
    /// There was no session to upgrade.
    NoSession(Reply),
    Refused(Answer),
    /// The WebSocket opened, and then this was missing.
    Mute(&'static str, Fault),
    Broken(Fault),
}

/// A request as large as the server says it takes.
#[derive(Clone, Debug)]
pub struct Body {
    pub bytes: usize,
    pub reply: Reply,
}

/// A connection on which the client waits for the server's ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    Alive(Duration),
    /// Ended without a word of Engine.IO or WebSocket.
    Cut(Duration),
    /// Somebody closed it properly, or answered something else.
    Ended(Duration, String),
    Silent(Duration),
    /// A proxy lost its patience with the server and asked another one.
    Moved(Duration),
    NotStarted(String),
    /// The server would close a client that joins no namespace before it pings.
    TooLong(Duration),
}

/// How a request of a living session ended, as far as affinity goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Lost,
    Failed,
}

impl Answer {
    /// The first header of that name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }

    pub fn cookies(&self) -> impl Iterator<Item = SetCookie> {
        self.all("set-cookie").filter_map(SetCookie::parse)
    }

    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        (self.status >= 400)
            .then(|| packet::refused(&self.body))
            .flatten()
    }

    #[must_use]
    pub fn open(&self) -> Option<Open> {
        (self.status == 200)
            .then(|| packet::open(&self.body))
            .flatten()
    }

    fn is_page(&self) -> bool {
        self.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    }

    /// For tests that judge what was recorded.
    #[cfg(test)]
    pub(crate) fn example(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            status,
            headers: headers.iter().map(own).collect(),
            body: body.to_owned(),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.status)?;
        if let Some(server) = self.header("server") {
            write!(formatter, " from {server}")?;
        }
        let text = self.body.trim();
        if !self.is_page() && !text.is_empty() {
            let short: String = text.chars().take(60).collect();
            let more = if short.len() < text.len() { " …" } else { "" };
            let short = short.replace(char::is_control, " ");
            write!(formatter, " ({short}{more})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(formatter, "no connection ({why})"),
            Self::Tls(why) => write!(formatter, "no TLS ({why})"),
            Self::Silent(after) => write!(formatter, "no answer within {}", seconds(*after)),
            Self::Broken(why) => write!(formatter, "{why}"),
        }
    }
}

/// In a sentence.
#[must_use]
pub fn said(reply: &Reply) -> String {
    match reply {
        Ok(answer) => answer.to_string(),
        Err(fault) => fault.to_string(),
    }
}

/// `3 s`, `0.4 s`, `12 ms`.
#[must_use]
pub fn seconds(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    if tenths == 0 {
        format!("{} ms", time.as_millis())
    } else if tenths.is_multiple_of(10) {
        format!("{} s", tenths / 10)
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}

/// What became of a request that belongs to a session.
#[must_use]
pub fn fate(reply: &Reply) -> Fate {
    match reply {
        Ok(answer) if answer.status == 200 && !answer.is_page_instead() => Fate::Kept,
        Ok(answer) if answer.refused() == Some(Refused::SessionUnknown) => Fate::Lost,
        Ok(_) | Err(_) => Fate::Failed,
    }
}

impl Answer {
    /// Engine.IO answers a POST with `ok` of this type, so the type alone says nothing.
    fn is_page_instead(&self) -> bool {
        self.is_page() && self.body.trim_start().starts_with('<')
    }
}

impl Session {
    #[must_use]
    pub fn open(&self) -> Option<Open> {
        self.handshake.as_ref().ok().and_then(Answer::open)
    }

    #[must_use]
    pub fn count(&self, fate_wanted: Fate) -> usize {
        let fates = self.requests.iter().map(fate);
        fates.filter(|fate| *fate == fate_wanted).count()
    }

    /// Every answer that came.
    pub fn answers(&self) -> impl Iterator<Item = &Answer> {
        let all = std::iter::once(&self.handshake).chain(&self.requests);
        all.filter_map(|reply| reply.as_ref().ok())
    }
}

impl Seen {
    /// The first handshake, if it was one.
    #[must_use]
    pub fn open(&self) -> Option<Open> {
        self.opening
            .as_ref()
            .and_then(|reply| reply.as_ref().ok())
            .and_then(Answer::open)
    }

    pub fn sessions(&self) -> impl Iterator<Item = &Session> + Clone {
        self.without_cookies.iter().chain(&self.with_cookies)
    }
}
