//! One session, as its handler sees it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use engineioxide_core::{ProtocolVersion, Str, TransportType};
use http::request::Parts;
use tokio::sync::mpsc::error::TrySendError;

pub use engineioxide_core::Sid;

use crate::config::EngineIoConfig;
use crate::frame;
use crate::heartbeat::{Due, Heartbeat};
use crate::outbox::{Outbox, Sent};

/// Engine.IO's types of packets (protocol, "Packet encoding").
const CLOSE: &str = "1";
const PING: &str = "2";
const MESSAGE: &str = "4";

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    TransportClose,
    MultipleHttpPollingError,
    PacketParsingError,
    TransportError,
    HeartbeatTimeout,
    ClosingServer,
}

/// Who ends sessions.
pub(crate) trait Ends: Send + Sync {
    fn end(&self, id: Sid, reason: DisconnectReason);
}

/// A session.
pub struct Socket<D> {
    pub id: Sid,
    pub protocol: ProtocolVersion,
    /// The handler's own.
    pub data: D,
    /// The request that began it. Its extensions have the [`Outbox`], in an `Arc`.
    pub req_parts: Parts,
    outbox: Arc<Outbox>,
    heartbeat: Mutex<Heartbeat>,
    sessions: Arc<dyn Ends>,
}

impl<D> fmt::Debug for Socket<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Room for what is sent next.
#[derive(Debug)]
pub struct Permit<'a>(&'a Outbox);

impl Permit<'_> {
    /// Sends a text message.
    pub fn emit(self, msg: Str) {
        self.0.say_message(&msg, &message(&msg));
    }

    /// Sends a binary message.
    pub fn emit_binary(self, data: Bytes) {
        self.0.say(&frame::binary(&data));
    }

    /// Sends a text message and its attachments. Nothing comes between.
    pub fn emit_many(self, msg: Str, data: VecDeque<Bytes>) {
        self.0.say(&many(message(&msg), data));
    }

    /// Sends a binary message and its attachments. Nothing comes between.
    pub fn emit_many_binary(self, bin: Bytes, data: Vec<Bytes>) {
        self.0.say(&many(frame::binary(&bin), data));
    }
}

fn message(text: &str) -> Bytes {
    frame::text(&[MESSAGE, text])
}

fn many(first: Bytes, data: impl IntoIterator<Item = Bytes>) -> Bytes {
    let mut run = BytesMut::from(first);
    for attachment in data {
        run.extend_from_slice(&frame::binary(&attachment));
    }
    run.freeze()
}

impl<D: Default> Socket<D> {
    pub(crate) fn new(
        outbox: Arc<Outbox>,
        config: &EngineIoConfig,
        req_parts: Parts,
        sessions: Arc<dyn Ends>,
        now: Instant,
    ) -> Self {
        let mut req_parts = req_parts;
        req_parts.extensions.insert(Arc::clone(&outbox));
        let heartbeat = Heartbeat::new(config.ping_interval, config.ping_timeout, now);
        Self {
            id: Sid::new(),
            protocol: ProtocolVersion::V4,
            data: D::default(),
            req_parts,
            outbox,
            heartbeat: Mutex::new(heartbeat),
            sessions,
        }
    }
}

impl<D> Socket<D> {
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The transport that carries it now.
    #[must_use]
    pub fn transport_type(&self) -> TransportType {
        self.outbox.transport()
    }

    /// Room for what is sent next.
    ///
    /// # Errors
    /// When too much waits for the client, or the session is at its end.
    pub fn reserve(&self) -> Result<Permit<'_>, TrySendError<()>> {
        result(self.outbox.room(), ()).map(|()| Permit(&self.outbox))
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// When too much waits for the client, or the session is at its end.
    pub fn emit(&self, msg: impl Into<Str>) -> Result<(), TrySendError<Str>> {
        let msg = msg.into();
        let sent = match self.outbox.room() {
            Sent::Yes => self.outbox.say_message(&msg, &message(&msg)),
            refusal => refusal,
        };
        result(sent, msg).map(drop)
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// When too much waits for the client, or the session is at its end.
    pub fn emit_binary(&self, data: impl Into<Bytes>) -> Result<(), TrySendError<Bytes>> {
        let data = data.into();
        let sent = match self.outbox.room() {
            Sent::Yes => self.outbox.say(&frame::binary(&data)),
            refusal => refusal,
        };
        result(sent, data).map(drop)
    }

    /// Sends a text message if nothing waits. True when it was sent.
    pub fn emit_volatile(&self, msg: impl Into<Str>) -> bool {
        self.say_volatile(|| message(&msg.into()))
    }

    /// Sends a binary message if nothing waits. True when it was sent.
    pub fn emit_binary_volatile(&self, data: impl Into<Bytes>) -> bool {
        self.say_volatile(|| frame::binary(&data.into()))
    }

    /// Sends a text message and its attachments if nothing waits. True when they were sent.
    pub fn emit_many_volatile(&self, msg: Str, data: VecDeque<Bytes>) -> bool {
        self.say_volatile(|| many(message(&msg), data))
    }

    fn say_volatile(&self, run: impl FnOnce() -> Bytes) -> bool {
        self.outbox.is_idle() && self.outbox.say(&run()) == Sent::Yes
    }

    /// Ends the session; what waits is still sent.
    pub fn close(&self, reason: DisconnectReason) {
        self.outbox.say(&frame::text(&[CLOSE]));
        self.sessions.end(self.id, reason);
    }

    /// Whether it has been ended. Its transport may still be sending what waited.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }

    /// Until its transport has ended, too.
    pub async fn closed(&self) {
        self.outbox.ended().await;
    }

    /// The client is there.
    pub(crate) fn answered(&self) {
        self.heartbeat().answered();
    }

    /// Pings if it is time. False when the client is dead.
    pub(crate) fn beat(&self, now: Instant) -> bool {
        match self.heartbeat().due(now) {
            Due::Nothing => true,
            Due::Ping => {
                self.outbox.say(&frame::text(&[PING]));
                true
            }
            Due::Dead => false,
        }
    }

    /// When to [`Self::beat`] next.
    pub(crate) fn next_beat(&self, now: Instant) -> Instant {
        self.heartbeat().next(now)
    }

    fn heartbeat(&self) -> MutexGuard<'_, Heartbeat> {
        // Nothing panics while it is held.
        self.heartbeat
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn result<T>(sent: Sent, what: T) -> Result<T, TrySendError<T>> {
    match sent {
        Sent::Yes => Ok(what),
        Sent::Full => Err(TrySendError::Full(what)),
        Sent::Gone => Err(TrySendError::Closed(what)),
    }
}
