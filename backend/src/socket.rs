//! The Socket.IO side: one module per event, in the order of a client's life.
//!
//! Owns what the handlers share and how a message reaches a room. What a client may do is decided in `chat`; what it sees is in `protocol`.

mod attendance;
mod change;
mod connect;
mod create_room;
mod evict;
mod history;
mod hold;
pub mod identity;
mod inbox;
mod intake;
mod invite_user;
mod join;
mod leave;
pub(crate) mod leaving;
mod mark_read;
mod members;
mod moderate;
pub mod news;
mod open_direct;
mod packet;
mod present;
mod refresh;
mod reply;
mod revoke;
mod roster;
mod seats;
mod send;
mod sync;
mod typing;
mod update_room;
mod watch;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_adapter::{Cluster, ClusterAdapter};
use socketioxide::adapter::Emitter;
use socketioxide::handler::ConnectHandler as _;
use socketioxide::layer::SocketIoLayer;
use socketioxide::{ParserConfig, SocketIo, TransportType};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::append::{AppendLimits, Appender, FanOut};
use crate::bans::Bans;
use crate::bots::Bots;
use crate::chat::limits::Limits;
use crate::chat::room::RoomId;
use crate::clock;
use crate::deeds::{Purses, Shares};
use crate::delivery::{Delivery, Outlet};
use crate::directory::Directory;
use crate::metrics::Metrics;
use crate::presence::{InstanceId, Presence};
use crate::protocol;
use crate::reader::Reader;
use crate::rooms::Rooms;
use crate::session::Sessions;
use crate::session::cookie::Secrets;
use crate::settings::{self, Changes, Chat, Engine, Transports};
use crate::store::Store;
use crate::token::{SessionDigest, Tokens};
use crate::users::Users;
use crate::users::password::Passwords;
use crate::webhooks::{Feed, Registry};

pub(crate) use history::{page, readable, wanted};
pub use members::Members;
pub use revoke::{Ended, Revocation};

use members::Everywhere;

/// The one place that says how servers are joined.
pub type Adapter = ClusterAdapter<Emitter>;

/// What every handler needs. One per instance.
pub struct App {
    pub instance: String,
    pub limits: Limits,
    pub chat: Chat,
    pub store: Arc<dyn Store>,
    pub reader: Reader,
    pub delivery: Arc<Delivery>,
    pub members: Arc<Members>,
    pub rooms: Rooms,
    pub room_settings: settings::Rooms,
    pub cluster: Cluster,
    pub sessions: Arc<dyn Sessions>,
    pub secrets: Secrets,
    pub tokens: Tokens,
    pub bans: Bans,
    pub bots: Bots,
    pub(crate) leaving: leaving::Leaving,
    pub users: Arc<dyn Users>,
    pub passwords: Passwords,
    pub webhooks: Arc<Registry>,
    pub metrics: Metrics,
    pub appender: Appender,
    /// Workers and appenders: what a shutdown waits for.
    pub tasks: TaskTracker,
    /// Cancelled when the instance begins to shut down.
    pub draining: CancellationToken,
    /// How often a session behind a socket is looked at.
    recheck_interval: Duration,
    watch: watch::Watch,
    pub(crate) shares: Shares,
    pub(crate) purses: Purses,
    attendance: Arc<attendance::Attendance>,
    typists: typing::Typists,
    /// In larger rooms nobody is shown to type.
    typing_members_max: usize,
    /// Bytes waiting for the store from which on typing is dropped.
    pressure_bytes: usize,
    revocations: broadcast::Sender<Revocation>,
    ended: Mutex<revoke::EndedSessions>,
}

/// What [`App::new`] is made from.
pub struct Ingredients {
    pub instance: String,
    pub chat: Chat,
    pub changes: Changes,
    pub rooms: settings::Rooms,
    pub append: AppendLimits,
    pub store: Arc<dyn Store>,
    pub directory: Arc<dyn Directory>,
    pub sessions: Arc<dyn Sessions>,
    pub secrets: Secrets,
    pub tokens: Tokens,
    pub bots: Bots,
    pub users: Arc<dyn Users>,
    pub passwords: Passwords,
    pub recheck_interval: Duration,
    pub presence: Arc<dyn Presence>,
    pub presence_settings: settings::Presence,
    pub webhooks: Arc<Registry>,
    /// Where webhooks hear of what is appended here.
    pub feed: Feed,
    pub metrics: Metrics,
    pub cluster: Cluster,
    pub draining: CancellationToken,
}

/// Revocations on their way to the task that carries them out. Beyond, sessions are found out at their next look.
const REVOCATIONS_MAX: usize = 1_024;

impl App {
    #[must_use]
    pub fn new(from: Ingredients) -> Arc<Self> {
        let members = Arc::new(Members::new(&from));
        let reader = Reader::new(Arc::clone(&from.store), from.append.timeout);
        let tasks = TaskTracker::new();
        let delivery = delivery(&from, &members, &reader);
        let everywhere = Everywhere {
            delivery: Arc::clone(&delivery),
            cluster: from.cluster.clone(),
            feed: from.feed,
        };
        let me = InstanceId::new(&from.instance, std::process::id(), Uuid::new_v4());
        let attendance = attendance::Attendance::new(me, from.presence, from.presence_settings);
        let pressure_bytes = from.append.queue_bytes_max / 2;
        let rooms = Rooms::new(
            from.directory,
            from.rooms.made_by_joining,
            from.rooms.receipts_members_max,
        );
        let appender = Appender::new(
            Arc::clone(&from.store),
            Arc::new(everywhere) as Arc<dyn FanOut>,
            from.append,
            from.metrics.clone(),
            tasks.clone(),
        );
        Arc::new(Self {
            instance: from.instance,
            limits: from.chat.limits(&from.changes),
            chat: from.chat,
            store: from.store,
            reader,
            delivery,
            members,
            rooms,
            room_settings: from.rooms,
            cluster: from.cluster,
            sessions: from.sessions,
            secrets: from.secrets,
            tokens: from.tokens,
            bans: Bans::default(),
            bots: from.bots,
            leaving: leaving::Leaving::default(),
            users: from.users,
            passwords: from.passwords,
            webhooks: from.webhooks,
            metrics: from.metrics,
            appender,
            tasks,
            draining: from.draining,
            recheck_interval: from.recheck_interval,
            watch: watch::Watch::default(),
            shares: Shares::default(),
            purses: Purses::default(),
            attendance: Arc::new(attendance),
            typists: typing::Typists::default(),
            typing_members_max: from.presence_settings.typing_members_max,
            pressure_bytes,
            revocations: broadcast::Sender::new(REVOCATIONS_MAX),
            ended: Mutex::default(),
        })
    }

    /// A page of the people in a room.
    pub(crate) async fn present(
        &self,
        room: &RoomId,
        cursor: Option<&str>,
    ) -> protocol::PresenceBody {
        self.attendance.page(room, cursor).await
    }

    /// Ends connections on all instances. Returns at once.
    pub fn revoke(&self, revocation: Revocation) {
        if let Some(session) = revocation.session {
            self.note_ended(session);
        }
        if self.revocations.send(revocation).is_err() {
            tracing::debug!("nobody is left to carry a revocation out");
        }
    }

    /// Whether clients should go elsewhere: the instance shuts down, or an operator said so.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.draining.is_cancelled() || self.leaving.is_begun()
    }

    /// Whether a session has ended lately, as far as this instance has heard.
    pub(crate) fn is_revoked(&self, session: SessionDigest) -> bool {
        self.ended().contains(session, clock::monotonic())
    }

    fn note_ended(&self, session: SessionDigest) {
        self.ended().add(session, clock::monotonic());
    }

    fn ended(&self) -> MutexGuard<'_, revoke::EndedSessions> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way of every entry to this instance's sockets, with the bus behind it.
fn delivery(from: &Ingredients, members: &Arc<Members>, reader: &Reader) -> Arc<Delivery> {
    let delivery = Arc::new(Delivery::new(
        Arc::clone(members) as Arc<dyn Outlet>,
        reader.clone(),
        from.metrics.clone(),
        from.draining.clone(),
    ));
    let gate = Arc::clone(&delivery) as Arc<dyn berth_adapter::Gate>;
    if !from.cluster.set_gate(&gate) {
        tracing::error!("two instances share one cluster handle; frames reach only the first");
    }
    delivery
}

/// Builds the Socket.IO layer with every handler in place.
pub fn layer(
    app: &Arc<App>,
    engine: &Engine,
    cluster: Cluster,
) -> (SocketIoLayer<Adapter>, SocketIo<Adapter>) {
    let builder = SocketIo::builder()
        .req_path("/socket.io")
        .ping_interval(engine.ping_interval)
        .ping_timeout(engine.ping_timeout)
        .max_payload(u64::try_from(engine.payload_bytes_max).unwrap_or(u64::MAX))
        .ws_max_message_size(engine.payload_bytes_max)
        .ws_max_frame_size(engine.payload_bytes_max)
        .max_buffer_size(engine.buffer_bytes_max)
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
    let (layer, io) = builder
        .with_adapter::<Adapter>(cluster.clone())
        .build_layer();
    app.members.are_in(io.clone());
    let (admitted, connected) = (Arc::clone(app), Arc::clone(app));
    let handler = move |socket| connect::connected(Arc::clone(&connected), socket);
    let middleware = move |socket, auth| connect::admitted(Arc::clone(&admitted), socket, auth);
    io.ns("/", handler.with(middleware));
    // They end when the instance drains, and a shutdown waits for them.
    let draining = &app.draining;
    app.tasks
        .spawn(watch::run(Arc::clone(app), io.clone(), draining.clone()));
    app.tasks.spawn(revoke::run(
        Arc::clone(app),
        io.clone(),
        cluster.clone(),
        draining.clone(),
    ));
    app.tasks.spawn(attendance::lease::beat(
        Arc::clone(app),
        cluster.clone(),
        draining.clone(),
    ));
    app.tasks.spawn(attendance::run(
        Arc::clone(app),
        io.clone(),
        cluster.clone(),
        draining.clone(),
    ));
    app.tasks.spawn(typing::run(
        Arc::clone(app),
        io.clone(),
        cluster,
        draining.clone(),
    ));
    (layer, io)
}

/// No event of ours takes binary data; a client that sends some still gets its refusal. Attachments per event.
const ATTACHMENTS_MAX: usize = 16;

/// How long the attachments of one event may take to arrive.
const ATTACHMENTS_TIMEOUT: Duration = Duration::from_secs(10);
