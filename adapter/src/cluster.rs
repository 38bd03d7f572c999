//! The handle of one server's place in the cluster: which bus it is on, how that bus is doing,
//! and which namespaces listen. Does not know Socket.IO's rooms or packets: see `adapter`.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use socketioxide_core::Uid;
use tokio::sync::{broadcast, watch};

use crate::bus::{Bus, NoBus, Subscription};
use crate::channels::{self, Channels};
use crate::codec::request;
use crate::counts::{Counters, Counts};
use crate::dispatch::{Dispatch, Member};
use crate::gate::Gate;
use crate::hub::{Hub, HubBus};
use crate::redis::{RedisBus, RedisOptions};

/// One Socket.IO server's membership in the cluster. Clones share it.
///
/// Make one per `SocketIo` and give it to the builder's `with_adapter`; keep a clone to watch
/// [`link`](Self::link) and [`counts`](Self::counts).
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    kind: Kind,
    /// Names this server on the wire, so that it knows its own messages when they come back.
    uid: Uid,
    bus: Arc<dyn Bus>,
    dispatch: Arc<Dispatch>,
    counters: Arc<Counters>,
    /// Weak, because whoever keeps an order sends through the cluster and owns it.
    gate: OnceLock<Weak<dyn Gate>>,
    /// What other servers say to this one.
    heard: broadcast::Sender<ServerEvent>,
}

/// Events between servers that wait for a slow listener; it is told how many it missed.
const SERVER_EVENTS_MAX: usize = 1024;

/// An event that another server sent to the servers themselves, as `io.serverSideEmit` does in Node.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerEvent {
    /// Where it was sent, such as `/`.
    pub namespace: String,
    /// What it is called.
    pub name: String,
    /// What it carries. It comes from the bus: nothing about it is checked.
    pub arguments: Vec<serde_json::Value>,
}

/// What a [`Cluster`] is connected by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By nothing: a single server.
    Alone,
    /// By a [`Hub`] to other servers in this process.
    Hub,
    /// By Redis to other Berth and Node servers and to emitters.
    Redis,
}

/// How the bus is doing. A server alone has all `false`, one on a hub all `true`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Other servers can hear this one.
    pub publisher: bool,
    /// A connection to hear other servers is open.
    pub subscriber: bool,
    /// All subscriptions are in place and messages have been seen to arrive through them.
    pub attached: bool,
}

impl Link {
    /// Rooms span servers: this one hears the others and is heard by them.
    pub fn is_clustered(self) -> bool {
        self.publisher && self.attached
    }
}

/// Why the cluster could not do something that needs the other servers.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The Redis address or options make no sense; nothing was started.
    #[error("cannot use the Redis address: {0}")]
    BadAddress(String),
    /// The bus did not answer; the text says what it said last.
    #[error("the cluster bus is not available: {0}")]
    Unavailable(String),
    /// Not all servers answered a question in time.
    #[error("{answered} of {asked} other servers answered in time")]
    Unanswered {
        /// Servers that answered.
        answered: usize,
        /// Servers that there are, this one not counted.
        asked: usize,
    },
}

impl From<ClusterError> for socketioxide_core::adapter::errors::AdapterError {
    fn from(error: ClusterError) -> Self {
        Self(Box::new(error))
    }
}

impl Cluster {
    /// A server without a bus.
    pub fn alone() -> Self {
        Self::on_bus(Kind::Alone, Arc::default(), |_| Arc::new(NoBus::new()))
    }

    /// A server connected to others in this process.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn hub(hub: &Hub) -> Self {
        let counters: Arc<Counters> = Arc::default();
        let on_hub = Arc::clone(&counters);
        Self::on_bus(Kind::Hub, counters, |dispatch| {
            Arc::new(HubBus::join(hub, dispatch, on_hub))
        })
    }

    /// A server connected to others through Redis. Returns at once; background tasks connect and,
    /// for as long as the cluster lives, reconnect.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    ///
    /// # Errors
    /// [`ClusterError::BadAddress`] when the URL cannot be understood. An address where nothing
    /// listens is no error: the server works on its own until something does.
    pub fn redis(options: RedisOptions) -> Result<Self, ClusterError> {
        let counters: Arc<Counters> = Arc::default();
        let dispatch = Arc::new(Dispatch::new(Arc::clone(&counters)));
        let bus = RedisBus::start(options, Arc::clone(&dispatch) as _, Arc::clone(&counters))?;
        bus.subscribe(vec![Subscription::Exact(channels::census())]);
        Ok(Self::made_of(
            Kind::Redis,
            Arc::new(bus),
            dispatch,
            counters,
        ))
    }

    fn on_bus(
        kind: Kind,
        counters: Arc<Counters>,
        bus: impl FnOnce(Arc<Dispatch>) -> Arc<dyn Bus>,
    ) -> Self {
        let dispatch = Arc::new(Dispatch::new(Arc::clone(&counters)));
        let bus = bus(Arc::clone(&dispatch));
        Self::made_of(kind, bus, dispatch, counters)
    }

    fn made_of(
        kind: Kind,
        bus: Arc<dyn Bus>,
        dispatch: Arc<Dispatch>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                kind,
                uid: Uid::new(),
                bus,
                dispatch,
                counters,
                gate: OnceLock::new(),
                heard: broadcast::Sender::new(SERVER_EVENTS_MAX),
            }),
        }
    }

    /// What this server is connected by.
    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// The state of the bus, now and at every change.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.shared.bus.link()
    }

    /// Totals since the start.
    pub fn counts(&self) -> Counts {
        self.shared.counters.totals()
    }

    /// Shows every broadcast of other servers to `gate` first, for as long as it lives. One for each
    /// cluster; `false` when there was one before.
    pub fn set_gate(&self, gate: &Arc<dyn Gate>) -> bool {
        self.shared.gate.set(Arc::downgrade(gate)).is_ok()
    }

    /// Sends an event to the other servers themselves, Node ones included, which hear it as they hear
    /// `io.serverSideEmit(name, argument)`. Returns at once; like all that goes over the bus it may
    /// be lost, and what must not be lost needs another way besides.
    ///
    /// # Errors
    /// [`ClusterError::Unavailable`] when the argument cannot be written.
    pub fn server_side_emit(
        &self,
        namespace: &str,
        name: &str,
        argument: &serde_json::Value,
    ) -> Result<(), ClusterError> {
        if !channels::can_be_clustered(namespace) {
            return Ok(());
        }
        let payload = request::encode_server_event(self.uid().as_str(), name, argument)
            .map_err(|error| ClusterError::Unavailable(error.to_string()))?;
        self.publish(Channels::new(namespace).request, payload.into());
        Ok(())
    }

    /// What other servers send by [`server_side_emit`](Self::server_side_emit), from now on and in
    /// the order in which it comes. A listener that falls behind is told how much it missed.
    pub fn server_events(&self) -> broadcast::Receiver<ServerEvent> {
        self.shared.heard.subscribe()
    }

    pub(crate) fn hear(&self, event: ServerEvent) {
        // An error means that nobody listens, which is fine.
        drop(self.shared.heard.send(event));
    }

    /// Leaves the cluster: sends what is still queued, for at most two seconds, and closes the
    /// connections. Local delivery goes on.
    pub async fn close(&self) {
        self.shared.bus.close().await;
    }

    pub(crate) fn gate(&self) -> Option<Arc<dyn Gate>> {
        self.shared.gate.get()?.upgrade()
    }

    pub(crate) fn member(&self, namespace: &str) -> Option<Arc<dyn Member>> {
        self.shared.dispatch.member(namespace)
    }

    pub(crate) fn uid(&self) -> Uid {
        self.shared.uid
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    pub(crate) fn publish(&self, channel: String, payload: Bytes) {
        self.shared.bus.publish(channel, payload);
    }

    /// Servers in this namespace, this one included.
    pub(crate) async fn servers(&self, channels: &Channels) -> Result<u16, ClusterError> {
        let listening = self
            .shared
            .bus
            .subscribers(channels.request.clone())
            .await?;
        // Our own subscription may not be in place yet.
        Ok(listening.max(1))
    }

    pub(crate) fn add(&self, namespace: &str, channels: &Channels, member: &Arc<dyn Member>) {
        self.shared.dispatch.add(namespace, member);
        self.shared.bus.subscribe(self.subscriptions(channels));
    }

    /// `member` is the one that `add` was given, by reference.
    pub(crate) fn remove<M>(&self, namespace: &str, channels: &Channels, member: &M) {
        let is_same = |added: &Weak<dyn Member>| {
            std::ptr::addr_eq(added.as_ptr(), std::ptr::from_ref(member))
        };
        if self.shared.dispatch.remove(namespace, is_same) {
            self.shared.bus.unsubscribe(self.subscriptions(channels));
        }
    }

    fn subscriptions(&self, channels: &Channels) -> Vec<Subscription> {
        vec![
            Subscription::Prefix(channels.broadcast.clone()),
            Subscription::Exact(channels.request.clone()),
            Subscription::Exact(channels.response.clone()),
            Subscription::Exact(channels.response_to(self.uid().as_str())),
        ]
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("kind", &self.shared.kind)
            .field("uid", &self.shared.uid)
            .finish_non_exhaustive()
    }
}
