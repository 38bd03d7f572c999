//! Brings a message from the bus to the namespace that its channel names.
//! Owns the list of namespaces; what they do with a message is `receive`'s business.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use bytes::Bytes;
use socketioxide_core::adapter::errors::SocketError;
use socketioxide_core::{Sid, Str};

use crate::bus::Inbox;
use crate::channels::Address;
use crate::counts::Counters;
use crate::gate::Hearers;

/// A namespace that takes part in the cluster.
pub(crate) trait Member: Send + Sync + 'static {
    /// `room` is the one that the channel names.
    fn on_broadcast(&self, room: Option<&str>, payload: Bytes) -> Result<(), Malformed>;
    fn on_request(&self, payload: Bytes) -> Result<(), Malformed>;
    fn on_response(&self, payload: Bytes) -> Result<(), Malformed>;
    /// The room's members on this server.
    fn members(&self, room: &str) -> Vec<Sid>;
    /// To one client of this server.
    fn deliver_to(&self, socket: Sid, event: &Str) -> Result<(), SocketError>;
    /// To the room's members on the other servers.
    fn announce(&self, room: &str, event: &Str, hearers: Hearers);
    /// Whether the room has members on this server.
    fn has_members(&self, room: &str) -> bool;
}

/// A message from the bus that does not make sense, and in which way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) String);

impl Malformed {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

#[derive(Default)]
pub(crate) struct Dispatch {
    /// Weak, because a namespace owns its adapter and the adapter owns the cluster.
    members: RwLock<HashMap<String, Weak<dyn Member>>>,
    counters: Arc<Counters>,
}

impl Dispatch {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            members: RwLock::default(),
            counters,
        }
    }

    pub(crate) fn add(&self, namespace: &str, member: &Arc<dyn Member>) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        members.insert(namespace.to_owned(), Arc::downgrade(member));
    }

    /// Whether it was there. A namespace that was made anew under the same name stays.
    pub(crate) fn remove(
        &self,
        namespace: &str,
        is_same: impl FnOnce(&Weak<dyn Member>) -> bool,
    ) -> bool {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        let was_there = members.get(namespace).is_some_and(is_same);
        if was_there {
            members.remove(namespace);
        }
        was_there
    }

    pub(crate) fn member(&self, namespace: &str) -> Option<Arc<dyn Member>> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.get(namespace)?.upgrade()
    }
}

impl Inbox for Dispatch {
    fn receive(&self, channel: &str, payload: Bytes) {
        let Some(address) = Address::parse(channel) else {
            return;
        };
        let (Address::Broadcast { namespace, .. }
        | Address::Request { namespace }
        | Address::Response { namespace }) = address;
        let Some(member) = self.member(namespace) else {
            return;
        };
        let outcome = match address {
            Address::Broadcast { room, .. } => member.on_broadcast(room, payload),
            Address::Request { .. } => member.on_request(payload),
            Address::Response { .. } => member.on_response(payload),
        };
        if let Err(why) = outcome {
            let malformed = &self.counters.malformed;
            if malformed.add_noticeable() {
                let total = malformed.get();
                tracing::warn!(channel, %why, total, "ignored a malformed cluster message");
            }
        }
    }
}
