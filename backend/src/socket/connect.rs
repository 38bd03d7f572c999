//! A client arrives: who it is, and its handlers, before it hears that it is connected.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use socketioxide::TransportType;
use socketioxide::extract::{SocketRef, TryData};
use uuid::Uuid;

use super::identity::{self, KnownBy};
use super::inbox::Inbox;
use super::intake::Intake;
use super::seats::Seats;
use super::send::moment;
use super::worker::Job;
use super::{Adapter, App};
use crate::chat::admit::take_token;
use crate::chat::limits::TokenBucket;
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::user_room;
use crate::clock;
use crate::cut::Cut;
use crate::date::to_iso;
use crate::http::auth::{Visitor, visitor};
use crate::metrics::Counted;
use crate::protocol::{self, Event, Welcome, WelcomeLimits};

/// One connected client. Its events wait in its inbox.
pub(super) struct Client {
    pub(super) sender: Sender,
    pub(super) inbox: Inbox<Job>,
    pub(super) seats: Seats,
    bucket: Mutex<TokenBucket>,
    /// Set when its disconnect begins, before its rooms are cleared.
    gone: AtomicBool,
    evicted: AtomicBool,
    /// Ends the connection that it is on.
    cut: Mutex<Option<Arc<Cut>>>,
    _connection: Counted,
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

    /// It has moved to another connection.
    pub(super) fn is_on(&self, cut: Arc<Cut>) {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    pub(super) fn cut(&self) {
        if let Some(cut) = &*self.cut.lock().unwrap_or_else(PoisonError::into_inner) {
            cut.cut();
        }
    }

    /// For what is neither a message nor a change of one, and costs as much.
    pub(super) fn take_token(&self, app: &App) -> Result<(), Refusal> {
        self.with_bucket(|bucket| take_token(&app.limits, bucket, moment()))
    }

    pub(super) fn with_bucket<T>(&self, decide: impl FnOnce(&mut TokenBucket) -> T) -> T {
        decide(&mut self.bucket.lock().unwrap_or_else(PoisonError::into_inner))
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
    let sender = who(&app, &socket, &auth.0.unwrap_or_default())
        .await
        .map_err(|refusal| {
            app.metrics
                .chat
                .refusals_total
                .with_label_values(&[refusal.code.as_str()])
                .inc();
            NotAdmitted(refusal.code)
        })?;
    let transport = match socket.transport_type() {
        TransportType::Websocket => "websocket",
        TransportType::Polling => "polling",
    };
    let connection = Counted::new(app.metrics.chat.connections.with_label_values(&[transport]));
    let client = Arc::new(Client {
        sender,
        inbox: Inbox::new(),
        seats: Seats::default(),
        bucket: Mutex::new(TokenBucket::full(&app.limits, clock::monotonic())),
        gone: AtomicBool::new(false),
        evicted: AtomicBool::new(false),
        cut: Mutex::new(socket.req_parts().extensions.get::<Arc<Cut>>().cloned()),
        _connection: connection,
    });
    let leaving = Arc::clone(&client);
    socket.on_disconnect(move || {
        leaving.gone.store(true, Ordering::SeqCst);
        std::future::ready(())
    });
    for event in Event::ALL {
        let intake = Intake {
            app: Arc::clone(&app),
            client: Arc::clone(&client),
            event,
        };
        socket.on(event.as_str(), intake);
    }
    socket.extensions.insert(Arc::clone(&client));
    // As in Node, where an emitter addresses one socket by its id. All of a user's are addressed by theirs.
    socket.join([socket.id.to_string(), user_room(&client.sender.id)]);
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
    if let Err(error) = socket.emit(protocol::WELCOME, &welcome) {
        tracing::debug!(user = sender.id, %error, "left before it was welcomed");
    }
}

/// The session's user, else a guest where guests may come in. **A session that cannot be read is never quietly a guest.**
async fn who(app: &App, socket: &SocketRef<Adapter>, auth: &Value) -> Result<Sender, Refusal> {
    let visitor = visitor(app, &socket.req_parts().headers).await?;
    let session_id = match visitor {
        Visitor::User { sender, .. } => return Ok(sender),
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
    Ok(identity::guest(known_by, identity::wanted_name(auth)))
}
