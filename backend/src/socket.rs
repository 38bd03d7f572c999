//! The Socket.IO side: one module per event, in the order of a client's life.
//!
//! Owns what the handlers share and how a message reaches a room. What a client may do is decided in `chat`; what it sees is in `protocol`.

mod change;
mod connect;
mod history;
pub mod identity;
mod inbox;
mod intake;
mod join;
mod leave;
mod reply;
mod send;
mod worker;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use berth_adapter::ClusterAdapter;
use socketioxide::adapter::Emitter;
use socketioxide::handler::ConnectHandler as _;
use socketioxide::layer::SocketIoLayer;
use socketioxide::{BroadcastError, ParserConfig, SocketError, SocketIo, TransportType};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::append::{AppendLimits, Appender, FanOut};
use crate::chat::limits::Limits;
use crate::chat::message::Message;
use crate::metrics::Metrics;
use crate::protocol;
use crate::session::Sessions;
use crate::session::cookie::Secrets;
use crate::settings::{Changes, Chat, Engine, Transports};
use crate::store::Store;

pub(crate) use history::{page, wanted};

/// The one place that says how servers are joined.
pub type Adapter = ClusterAdapter<Emitter>;

/// What every handler needs. One per instance.
pub struct App {
    pub instance: String,
    pub limits: Limits,
    pub chat: Chat,
    /// Longest wait for a page of history.
    pub read_timeout: Duration,
    pub store: Arc<dyn Store>,
    pub sessions: Arc<dyn Sessions>,
    pub secrets: Secrets,
    pub metrics: Metrics,
    pub appender: Appender,
    /// Workers and appenders: what a shutdown waits for.
    pub tasks: TaskTracker,
    /// Cancelled when the instance begins to shut down.
    pub draining: CancellationToken,
}

/// What [`App::new`] is made from.
pub struct Ingredients {
    pub instance: String,
    pub chat: Chat,
    pub changes: Changes,
    pub append: AppendLimits,
    pub store: Arc<dyn Store>,
    pub sessions: Arc<dyn Sessions>,
    pub secrets: Secrets,
    pub metrics: Metrics,
    pub draining: CancellationToken,
}

impl App {
    /// The app and the way from its appender to the sockets, which exists before the sockets do.
    #[must_use]
    pub fn new(from: Ingredients) -> (Arc<Self>, Arc<Rooms>) {
        let rooms = Arc::new(Rooms {
            io: OnceLock::new(),
            metrics: from.metrics.clone(),
        });
        let tasks = TaskTracker::new();
        let appender = Appender::new(
            Arc::clone(&from.store),
            Arc::clone(&rooms) as Arc<dyn FanOut>,
            from.append,
            from.metrics.clone(),
            tasks.clone(),
        );
        let app = Arc::new(Self {
            instance: from.instance,
            limits: from.chat.limits(&from.changes),
            chat: from.chat,
            read_timeout: from.append.timeout,
            store: from.store,
            sessions: from.sessions,
            secrets: from.secrets,
            metrics: from.metrics,
            appender,
            tasks,
            draining: from.draining,
        });
        (app, rooms)
    }
}

/// The rooms of all instances, as the appender sees them.
pub struct Rooms {
    io: OnceLock<SocketIo<Adapter>>,
    metrics: Metrics,
}

#[async_trait]
impl FanOut for Rooms {
    async fn fan_out(&self, message: &Message) {
        let Some(io) = self.io.get() else { return };
        let room = message.room.as_str().to_owned();
        let (event, body) = protocol::shown(message);
        match io.within(room).emit(event, &body).await {
            Ok(()) => {}
            Err(BroadcastError::Socket(missed)) => {
                // The others were served. A socket that closed meanwhile misses nothing: it recovers by its lastSeq.
                for error in missed {
                    self.metrics
                        .chat
                        .dropped_total
                        .with_label_values(&[why(&error)])
                        .inc();
                }
            }
            // Local members are served first; the bus counts what it could not carry.
            Err(error) => {
                tracing::debug!(room = %message.room, %error, "not fanned out to other instances")
            }
        }
    }
}

fn why(error: &SocketError) -> &'static str {
    match error {
        SocketError::InternalChannelFull => "client_too_slow",
        SocketError::Closed => "client_gone",
    }
}

/// Builds the Socket.IO layer with every handler in place.
pub fn layer(
    app: &Arc<App>,
    rooms: &Rooms,
    engine: &Engine,
    cluster: berth_adapter::Cluster,
) -> (SocketIoLayer<Adapter>, SocketIo<Adapter>) {
    let builder = SocketIo::builder()
        .req_path("/socket.io")
        .ping_interval(engine.ping_interval)
        .ping_timeout(engine.ping_timeout)
        .max_payload(u64::try_from(engine.payload_bytes_max).unwrap_or(u64::MAX))
        .ws_max_message_size(engine.payload_bytes_max)
        .ws_max_frame_size(engine.payload_bytes_max)
        .max_buffer_size(engine.buffer_packets_max)
        .connect_timeout(engine.connect_timeout)
        .upgrade_timeout(engine.upgrade_timeout)
        .with_parser(
            ParserConfig::common()
                .max_incoming_binary_buf_size(engine.payload_bytes_max)
                .max_incoming_binaries(ATTACHMENTS_MAX)
                .packet_completion_timeout(ATTACHMENTS_TIMEOUT),
        );
    let builder = match engine.transports {
        Transports::Both => builder.transports([TransportType::Polling, TransportType::Websocket]),
        Transports::WebSocket => builder.transports([TransportType::Websocket]),
        Transports::Polling => builder.transports([TransportType::Polling]),
    };
    let (layer, io) = builder.with_adapter::<Adapter>(cluster).build_layer();
    if rooms.io.set(io.clone()).is_err() {
        tracing::error!("the sockets of an instance were built twice");
    }
    let (admitted, connected) = (Arc::clone(app), Arc::clone(app));
    let handler = move |socket| connect::connected(Arc::clone(&connected), socket);
    let middleware = move |socket, auth| connect::admitted(Arc::clone(&admitted), socket, auth);
    io.ns("/", handler.with(middleware));
    (layer, io)
}

/// No event of ours takes binary data; a client that sends some still gets its refusal. Attachments per event.
const ATTACHMENTS_MAX: usize = 16;

/// How long the attachments of one event may take to arrive.
const ATTACHMENTS_TIMEOUT: Duration = Duration::from_secs(10);
