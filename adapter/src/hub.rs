//! A bus within one process, for several servers in one program and for tests.
//! Carries the same bytes on the same channels as Redis does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use crate::ClusterError;
use crate::bus::{Bus, Inbox, Subscription};
use crate::cluster::Link;
use crate::counts::Counters;
use crate::dispatch::Dispatch;

/// Messages that wait for one server. A server that falls further behind loses messages, as it
/// would on Redis. Counted in messages, because they are shared between the servers, not copied.
const INBOX_MESSAGES_MAX: usize = 65_536;

/// Connects the servers of one process. Clones are the same hub.
#[derive(Clone, Default)]
pub struct Hub {
    /// One lock for all: it is what gives every server the same order of messages.
    ports: Arc<Mutex<Vec<Port>>>,
    is_cut: Arc<AtomicBool>,
}

struct Port {
    /// The sender doubles as the port's identity.
    inbox: mpsc::Sender<(Arc<str>, Bytes)>,
    subscriptions: Vec<Subscription>,
    counters: Arc<Counters>,
    link: watch::Sender<Link>,
}

impl Hub {
    /// A hub that nobody is on yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops carrying anything, or begins again: what an outage of Redis is to servers on Redis. They are told, as they would be there.
    pub fn cut(&self, is_cut: bool) {
        let ports = self.ports();
        self.is_cut.store(is_cut, Ordering::Relaxed);
        for port in ports.iter() {
            port.link.send_replace(link(is_cut));
        }
    }

    fn ports(&self) -> MutexGuard<'_, Vec<Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("servers", &self.ports().len())
            .finish()
    }
}

fn link(is_cut: bool) -> Link {
    Link {
        publisher: !is_cut,
        subscriber: !is_cut,
        attached: !is_cut,
    }
}

/// One server's connection to the hub; leaves when dropped.
pub(crate) struct HubBus {
    hub: Hub,
    inbox: mpsc::Sender<(Arc<str>, Bytes)>,
    counters: Arc<Counters>,
    link: watch::Sender<Link>,
}

impl HubBus {
    pub(crate) fn join(hub: &Hub, dispatch: Arc<Dispatch>, counters: Arc<Counters>) -> Self {
        let (inbox, mut messages) = mpsc::channel::<(Arc<str>, Bytes)>(INBOX_MESSAGES_MAX);
        let mut ports = hub.ports();
        let link = watch::Sender::new(link(hub.is_cut.load(Ordering::Relaxed)));
        ports.push(Port {
            inbox: inbox.clone(),
            subscriptions: Vec::new(),
            counters: Arc::clone(&counters),
            link: link.clone(),
        });
        drop(ports);
        tokio::spawn(async move {
            while let Some((channel, payload)) = messages.recv().await {
                dispatch.receive(&channel, payload);
            }
        });
        Self {
            hub: hub.clone(),
            inbox,
            counters,
            link,
        }
    }

    fn with_port(&self, change: impl FnOnce(&mut Port)) {
        let mut ports = self.hub.ports();
        if let Some(port) = ports
            .iter_mut()
            .find(|port| port.inbox.same_channel(&self.inbox))
        {
            change(port);
        }
    }

    fn leave(&self) {
        let mut ports = self.hub.ports();
        ports.retain(|port| !port.inbox.same_channel(&self.inbox));
        drop(ports);
        self.link.send_replace(Link::default());
    }
}

impl Bus for HubBus {
    fn publish(&self, channel: String, payload: Bytes) {
        let channel: Arc<str> = channel.into();
        let ports = self.hub.ports();
        if !self.link.borrow().publisher {
            self.counters.dropped.add(1);
            return;
        }
        for port in ports.iter() {
            // Redis would send us our own message too; we would know it and drop it.
            if port.inbox.same_channel(&self.inbox)
                || !port
                    .subscriptions
                    .iter()
                    .any(|wanted| wanted.matches(&channel))
            {
                continue;
            }
            if port
                .inbox
                .try_send((Arc::clone(&channel), payload.clone()))
                .is_err()
            {
                port.counters.lagged.add(1);
            }
        }
        self.counters.published.add(1);
    }

    fn subscribe(&self, wanted: Vec<Subscription>) {
        self.with_port(|port| port.subscriptions.extend(wanted));
    }

    fn unsubscribe(&self, unwanted: Vec<Subscription>) {
        self.with_port(|port| port.subscriptions.retain(|held| !unwanted.contains(held)));
    }

    fn subscribers(&self, channel: String) -> BoxFuture<'_, Result<u16, ClusterError>> {
        let ports = self.hub.ports();
        let subscribed =
            |port: &&Port| port.subscriptions.iter().any(|held| held.matches(&channel));
        let count = ports.iter().filter(subscribed).count();
        Box::pin(async move { Ok(u16::try_from(count).unwrap_or(u16::MAX)) })
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.leave();
        Box::pin(async {})
    }
}

impl Drop for HubBus {
    fn drop(&mut self) {
        self.leave();
    }
}
