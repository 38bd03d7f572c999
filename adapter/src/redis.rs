//! The bus on Redis: one connection to publish, one to subscribe, each made again whenever it ends.
//! Owns the options and the two tasks; see `redis::publisher` and `redis::subscriber`.

mod connection;
mod publisher;
mod queue;
mod status;
mod subscriber;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fred::interfaces::PubsubInterface;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ClusterError;
use crate::bus::{Bus, Inbox, Subscription};
use crate::cluster::Link;
use crate::counts::Counters;
use connection::Dialer;
use publisher::{Outgoing, Publisher};
use status::Status;
use subscriber::Subscriber;

/// How to reach Redis, and the limits of what is kept for it. [`RedisOptions::new`] has defaults
/// that suit a chat; programs normally set the address only.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:6379][/database]`, `rediss://` for TLS, `redis-sentinel://…`
    /// or `redis-cluster://…`.
    pub url: String,
    /// First pause before connecting again; doubles up to [`Self::reconnect_delay_max`].
    /// Default 100 ms: a restarted Redis is back in service almost at once.
    pub reconnect_delay_min: Duration,
    /// Longest pause before connecting again. Default 2 s: an outage ends within seconds for the
    /// clients, and a Redis that comes back is not overrun.
    pub reconnect_delay_max: Duration,
    /// How long connecting, and any command, may take. Default 2 s: a half-open connection must not
    /// hold up messages for longer than people wait for one.
    pub command_timeout: Duration,
    /// How often the subscriptions are checked by sending a message through them. Default 2 s.
    pub probe_interval: Duration,
    /// Messages that may wait to be published. Default 65 536: seconds of heavy traffic.
    pub publish_queue_messages_max: usize,
    /// Bytes that may wait to be published. Default 64 MiB, which bounds the memory of an outage.
    pub publish_queue_bytes_max: usize,
    /// Messages older than this are dropped instead of published. Default 5 s: a short break loses
    /// nothing, and the end of a long one does not flood clients with the past.
    pub publish_age_max: Duration,
    /// Received messages that may wait to be delivered. Default 65 536.
    pub receive_queue_messages_max: usize,
    /// Bytes of received messages that may wait to be delivered. Default 64 MiB.
    pub receive_queue_bytes_max: usize,
}

impl RedisOptions {
    /// The defaults for this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            reconnect_delay_min: Duration::from_millis(100),
            reconnect_delay_max: Duration::from_secs(2),
            command_timeout: Duration::from_secs(2),
            probe_interval: Duration::from_secs(2),
            publish_queue_messages_max: 65_536,
            publish_queue_bytes_max: 64 << 20,
            publish_age_max: Duration::from_secs(5),
            receive_queue_messages_max: 65_536,
            receive_queue_bytes_max: 64 << 20,
        }
    }
}

/// Without the address, which may hold a password.
impl std::fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &"***")
            .finish_non_exhaustive()
    }
}

/// How long closing waits for queued messages to be published.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct RedisBus {
    outgoing: queue::Sender<Outgoing>,
    publishing_client: watch::Receiver<Option<fred::clients::Client>>,
    wanted: watch::Sender<BTreeSet<Subscription>>,
    status: Arc<Status>,
    counters: Arc<Counters>,
    /// Dropping it stops the tasks, too.
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl RedisBus {
    pub(crate) fn start(
        options: RedisOptions,
        inbox: Arc<dyn Inbox>,
        counters: Arc<Counters>,
    ) -> Result<Self, ClusterError> {
        let dialer = Dialer::new(&options)?;
        let status = Arc::new(Status::new(Arc::clone(&counters)));
        let stop = watch::Sender::new(false);
        let wanted = watch::Sender::default();
        let (outgoing, to_publish) = queue::bounded(
            options.publish_queue_messages_max,
            options.publish_queue_bytes_max,
        );
        let (publishing_client_out, publishing_client) = watch::channel(None);
        let publisher = Publisher {
            dialer: dialer.clone(),
            age_max: options.publish_age_max,
            queue: to_publish,
            client: publishing_client_out,
            status: Arc::clone(&status),
            counters: Arc::clone(&counters),
        };
        let (received, to_deliver) = queue::bounded(
            options.receive_queue_messages_max,
            options.receive_queue_bytes_max,
        );
        let subscriber = Subscriber {
            dialer,
            probe_interval: options.probe_interval,
            wanted: wanted.subscribe(),
            publishing_client: publishing_client.clone(),
            received,
            status: Arc::clone(&status),
            counters: Arc::clone(&counters),
        };
        let tasks = vec![
            tokio::spawn(publisher.run(stop.subscribe())),
            tokio::spawn(subscriber.run(stop.subscribe())),
            tokio::spawn(subscriber::deliver(to_deliver, inbox)),
        ];
        Ok(Self {
            outgoing,
            publishing_client,
            wanted,
            status,
            counters,
            stop,
            tasks: Mutex::new(tasks),
        })
    }
}

impl Bus for RedisBus {
    fn publish(&self, channel: String, payload: Bytes) {
        let outgoing = Outgoing::new(channel, payload);
        if self.outgoing.try_send(outgoing).is_err() {
            self.counters.dropped.add(1);
        }
    }

    fn subscribe(&self, wanted: Vec<Subscription>) {
        // Before the task notices: nobody shall take the new namespace for attached.
        self.status.set_attached(false);
        self.wanted.send_modify(|all| all.extend(wanted));
    }

    fn unsubscribe(&self, unwanted: Vec<Subscription>) {
        self.wanted
            .send_modify(|all| all.retain(|held| !unwanted.contains(held)));
    }

    fn subscribers(&self, channel: String) -> BoxFuture<'_, Result<u16, ClusterError>> {
        let client = self.publishing_client.borrow().clone();
        Box::pin(async move {
            // Without Redis there is one server: this.
            let Some(client) = client else {
                return Ok(1);
            };
            let counts: HashMap<String, u64> = client
                .pubsub_numsub(channel.as_str())
                .await
                .map_err(|error| ClusterError::Unavailable(error.to_string()))?;
            let count = counts.get(&channel).copied().unwrap_or_default();
            Ok(u16::try_from(count).unwrap_or(u16::MAX))
        })
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.status.watch()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(async move {
            let all = futures_util::future::join_all(tasks);
            if tokio::time::timeout(CLOSE_TIMEOUT, all).await.is_err() {
                tracing::warn!("gave up waiting for Redis while closing");
            }
        })
    }
}
