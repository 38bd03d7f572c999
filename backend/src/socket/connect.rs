//! A client arrives: who it is, and its handlers, before it hears that it is connected.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use engineioxide::Outbox;
use serde::Serialize;
use serde_json::Value;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::socket::Socket;
use socketioxide::{ParserError, SendError, TransportType};
use uuid::Uuid;

use super::attendance::Attendance;
use super::hold::{Due, Hold};
use super::identity::{self, KnownBy};
use super::inbox::Inbox;
use super::intake::Intake;
use super::members::taken;
use super::seats::Seats;
use super::worker::Job;
use super::{Adapter, App, join, packet, watch};
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::{RoomId, user_room};
use crate::clock;
use crate::date::to_iso;
use crate::deeds::{Person, Purse, Seat};
use crate::http::auth::{Visitor, bearer, bot, visitor};
use crate::metrics::Counted;
use crate::protocol::{self, Event, Welcome, WelcomeLimits};
use crate::token::SessionDigest;

/// One connected client. Its events wait in its inbox.
pub(super) struct Client {
    pub(super) sender: Sender,
    pub(super) inbox: Inbox<Job>,
    pub(super) seats: Seats,
    purse: Purse,
    hold: Mutex<Hold>,
    attendance: Arc<Attendance>,
    /// Set when its disconnect begins, before its rooms are cleared.
    gone: AtomicBool,
    evicted: AtomicBool,
    outbox: Arc<Outbox>,
    _counted: Counted,
}

impl Client {
    /// Whether it has left. Not the socket's own word: that one says so, too, between the client hearing that it is connected and the
    /// handshake's end, when a fast client has joined already.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Whether it reads too slowly and has to come back.
    pub(super) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::SeqCst)
    }

    /// True the first time.
    pub(super) fn begin_eviction(&self) -> bool {
        !self.evicted.swap(true, Ordering::SeqCst)
    }

    pub(super) fn person(&self) -> Person<'_> {
        Person {
            sender: &self.sender,
            purse: &self.purse,
        }
    }

    /// Where it is as far as this room is concerned.
    pub(super) fn seat(&self, socket: &Socket<Adapter>, room: &RoomId) -> Seat {
        if !join::is_member(socket, room) {
            return Seat::Outside;
        }
        self.seats.of(room).map_or(Seat::ByHand, Seat::As)
    }

    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    fn send(&self, frame: &Bytes) -> Result<(), SendError> {
        Ok(taken(self.outbox.send(frame))?)
    }

    /// Answers an event.
    pub(super) fn answer(&self, ack_id: i64, body: &impl Serialize) -> Result<(), SendError> {
        self.send(&packet::ack(ack_id, body).map_err(ParserError::new)?)
    }

    /// Sends an event.
    pub(super) fn tell(&self, event: &str, body: &impl Serialize) -> Result<(), SendError> {
        let event = serde_json::to_string(&(event, body)).map_err(ParserError::new)?;
        self.send(&packet::event(&event))
    }

    /// Its rooms will soon have one socket less.
    pub(super) fn note_rooms(&self, socket: &Socket<Adapter>) {
        for room in socket.rooms() {
            // Its own room and its user's are no rooms to be present in.
            if let Ok(room) = RoomId::parse(&room)
                && !join::is_own_room(socket, &room)
            {
                self.attendance.note(&room);
            }
        }
    }

    /// The session that its identity stands or falls with.
    pub(super) fn session(&self) -> Option<SessionDigest> {
        self.hold().session()
    }

    pub(super) fn set_hold(&self, hold: Hold) {
        *self.hold() = hold;
    }

    pub(super) fn due(&self, now_ms: i64) -> Due {
        self.hold().due(now_ms)
    }

    pub(super) fn next_look_ms(&self, interval_ms: i64, now_ms: i64) -> Option<i64> {
        self.hold().next_look_ms(interval_ms, now_ms)
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refused handshake. Socket.IO carries one text, and clients compare it with the codes.
pub(super) struct NotAdmitted(Code);

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// The connect middleware. Handlers are registered here, not after: an event sent right behind the handshake would find none.
pub(super) async fn admitted(
    app: Arc<App>,
    socket: SocketRef<Adapter>,
    auth: TryData<Value>,
) -> Result<(), NotAdmitted> {
    let not_admitted = |refusal: Refusal| {
        let refusals = &app.metrics.chat.refusals_total;
        refusals.with_label_values(&[refusal.code.as_str()]).inc();
        NotAdmitted(refusal.code)
    };
    let (sender, hold) = who(&app, &socket, &auth.0.unwrap_or_default())
        .await
        .map_err(not_admitted)?;
    let transport = match socket.transport_type() {
        TransportType::Websocket => "websocket",
        TransportType::Polling => "polling",
    };
    app.metrics.chat.connects_total.inc();
    let counted = Counted::new(app.metrics.chat.connections.with_label_values(&[transport]));
    let now = clock::monotonic();
    let outbox = socket.req_parts().extensions.get::<Arc<Outbox>>();
    let outbox = outbox.ok_or(NotAdmitted(Code::Internal))?;
    let purse = Purse::new(&app.shares, &sender.id, &app.limits, now);
    let client = Arc::new(Client {
        sender,
        inbox: Inbox::new(),
        seats: Seats::default(),
        purse,
        hold: Mutex::new(hold),
        attendance: Arc::clone(&app.attendance),
        gone: AtomicBool::new(false),
        evicted: AtomicBool::new(false),
        outbox: Arc::clone(outbox),
        _counted: counted,
    });
    let leaving = Arc::clone(&client);
    socket.on_disconnect(move |socket: SocketRef<Adapter>| {
        leaving.gone.store(true, Ordering::SeqCst);
        leaving.note_rooms(&socket);
        std::future::ready(())
    });
    socket.on_fallback(Intake {
        app: Arc::clone(&app),
        client: Arc::clone(&client),
    });
    socket.extensions.insert(Arc::clone(&client));
    // As in Node, where an emitter addresses one socket by its id. All of a user's are addressed by theirs.
    socket.join([socket.id.to_string(), user_room(&client.sender.id)]);
    // Again: whoever was shut out since then was not found by their room yet.
    app.bans.check(&client.sender.id).map_err(not_admitted)?;
    watch::begin(&app, &client, socket.id);
    Ok(())
}

/// The connect handler: the client has been told that it is connected.
pub(super) async fn connected(app: Arc<App>, socket: SocketRef<Adapter>) {
    let Some(client) = socket.extensions.get::<Arc<Client>>() else {
        return;
    };
    let sender = &client.sender;
    tracing::debug!(user = sender.id, "connected");
    let welcome = Welcome {
        user_id: &sender.id,
        name: &sender.name,
        instance_id: &app.instance,
        server_time: to_iso(clock::unix_ms()),
        limits: WelcomeLimits {
            max_content: app.limits.content_bytes_max,
            rate_per_sec: app.limits.messages_per_second_max,
        },
        events: Event::ALL.map(Event::as_str),
    };
    if let Err(error) = client.tell(protocol::WELCOME, &welcome) {
        tracing::debug!(user = sender.id, %error, "left before it was welcomed");
    }
}

/// In this order: the key or the token of the handshake's `auth`, `X-Api-Key`, `Authorization: Bearer`, the session's user, a guest where
/// guests may come in.
/// **What is there and cannot be believed or read is refused, and never quietly a guest.**
async fn who(
    app: &App,
    socket: &SocketRef<Adapter>,
    auth: &Value,
) -> Result<(Sender, Hold), Refusal> {
    match (given(auth, "apiKey")?, given(auth, "token")?) {
        (None, None) => {}
        (Some(key), None) => return Ok((bot(app, key.as_bytes())?, Hold::Nothing)),
        (None, Some(token)) => {
            let bearer = bearer(app, token).await?;
            let hold = Hold::from(&bearer);
            return Ok((bearer.sender, hold));
        }
        (Some(_), Some(_)) => {
            let why = "a key and a token: send one";
            return Err(Refusal::new(Code::Unauthorized, why));
        }
    }
    let session_id = match visitor(app, &socket.req_parts().headers).await? {
        Visitor::User {
            sender, credential, ..
        } => return Ok((sender, Hold::from(&credential))),
        Visitor::Anonymous { session_id } => session_id,
    };
    if !app.chat.guests {
        return Err(Refusal::new(Code::Unauthorized, "log in first"));
    }
    let known_by = match (&session_id, identity::device(auth)) {
        (Some(sid), _) => KnownBy::Session(sid),
        (None, Some(device)) => KnownBy::Device(device),
        (None, None) => KnownBy::Nothing(Uuid::new_v4()),
    };
    let guest = identity::guest(known_by, identity::wanted_name(auth));
    app.bans.check(&guest.id)?;
    Ok((guest, Hold::Nothing))
}

/// A text of the handshake's `auth` that somebody wants to be known by.
fn given<'a>(auth: &'a Value, key: &str) -> Result<Option<&'a str>, Refusal> {
    match auth.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => {
            let why = format!("{key} is not a text");
            Err(Refusal::new(Code::Unauthorized, why))
        }
    }
}
