//! The seam between the adapter and whatever carries its messages: Redis, or the in-process hub.
//! A bus moves bytes by channel name; it does not look into them.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::ClusterError;
use crate::channels::escape_glob;
use crate::cluster::Link;

/// Carries messages to every server that subscribed to their channel, this one included.
///
/// Messages published one after another arrive in that order. Delivery is at most once: what is
/// published while the bus is down is kept for a short while and then dropped, and counted.
pub(crate) trait Bus: Send + Sync + 'static {
    /// Takes the message and returns at once, whatever state the bus is in.
    fn publish(&self, channel: String, payload: Bytes);

    /// Asks for messages of these channels from now on, also after every reconnect.
    fn subscribe(&self, wanted: Vec<Subscription>);

    fn unsubscribe(&self, unwanted: Vec<Subscription>);

    /// How many servers, this one included, subscribe to exactly this channel.
    fn subscribers(&self, channel: String) -> BoxFuture<'_, Result<u16, ClusterError>>;

    fn link(&self) -> watch::Receiver<Link>;

    /// Sends what is queued, for a bounded time, and lets go of the bus.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Where a bus puts the messages it got. Called in the order of their arrival; must not block.
pub(crate) trait Inbox: Send + Sync + 'static {
    fn receive(&self, channel: &str, payload: Bytes);
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subscription {
    Exact(String),
    /// All channels whose names begin so.
    Prefix(String),
}

impl Subscription {
    pub(crate) fn matches(&self, channel: &str) -> bool {
        match self {
            Self::Exact(name) => name == channel,
            Self::Prefix(prefix) => channel.starts_with(prefix.as_str()),
        }
    }

    /// The Redis pattern, when this is one.
    pub(crate) fn pattern(&self) -> Option<String> {
        match self {
            Self::Exact(_) => None,
            Self::Prefix(prefix) => Some(escape_glob(prefix) + "*"),
        }
    }
}

/// The bus of a server that has none: nothing is sent, nothing comes.
pub(crate) struct NoBus {
    link: watch::Sender<Link>,
}

impl NoBus {
    pub(crate) fn new() -> Self {
        Self {
            link: watch::Sender::new(Link::default()),
        }
    }
}

impl Bus for NoBus {
    fn publish(&self, _channel: String, _payload: Bytes) {}

    fn subscribe(&self, _wanted: Vec<Subscription>) {}

    fn unsubscribe(&self, _unwanted: Vec<Subscription>) {}

    fn subscribers(&self, _channel: String) -> BoxFuture<'_, Result<u16, ClusterError>> {
        Box::pin(async { Ok(1) })
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
