//! The members of rooms: on this server one by one and by name, on the others by the bus.
//!
//! In which order they are told of what, `delivery` decides.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use berth_adapter::Cluster;
use serde::Serialize;
use socketioxide::extract::SocketRef;
use socketioxide::{SocketError, SocketIo};
use socketioxide_core::{Sid, Str};

use super::{Adapter, evict};
use crate::append::FanOut;
use crate::chat::message::Message;
use crate::chat::room::{RoomId, user_room};
use crate::delivery::{Delivery, NAMESPACE, Outlet};
use crate::metrics::Metrics;
use crate::protocol;
use crate::webhooks::Feed;

/// The sockets of this server by their rooms. Exists before they do.
pub struct Members {
    io: OnceLock<SocketIo<Adapter>>,
    cluster: Cluster,
    metrics: Metrics,
}

impl Members {
    pub(super) fn new(cluster: Cluster, metrics: Metrics) -> Self {
        Self {
            io: OnceLock::new(),
            cluster,
            metrics,
        }
    }

    /// Says where the sockets are. Once.
    pub(super) fn are_in(&self, io: SocketIo<Adapter>) {
        if self.io.set(io).is_err() {
            tracing::error!("the sockets of an instance were built twice");
        }
    }

    /// The socket with this id; the Engine.IO session has the same one.
    pub(super) fn socket(&self, id: Sid) -> Option<SocketRef<Adapter>> {
        self.io.get()?.of(NAMESPACE)?.get_socket(id)
    }

    /// This server's sockets in a room.
    pub(super) fn sockets_in(&self, room: &RoomId) -> Vec<SocketRef<Adapter>> {
        self.io
            .get()
            .map(|io| io.within(room.as_str().to_owned()).sockets())
            .unwrap_or_default()
    }

    /// How many of this server's sockets are in a room.
    pub(crate) fn count_in(&self, room: &RoomId) -> usize {
        self.sockets_in(room).len()
    }

    /// All of this server's sockets.
    pub(super) fn sockets(&self) -> Vec<SocketRef<Adapter>> {
        self.io.get().map(SocketIo::sockets).unwrap_or_default()
    }

    /// Tells all sockets of a user, on every server, what is no entry of a log.
    pub(super) async fn tell_user(
        &self,
        user_id: &str,
        event: &str,
        body: &(impl Serialize + Sync),
    ) {
        self.tell(user_room(user_id), event, body).await;
    }

    /// Tells everybody in a room, on every server, what is no entry of its log.
    pub(super) async fn tell_room(
        &self,
        room: &RoomId,
        event: &str,
        body: &(impl Serialize + Sync),
    ) {
        self.tell(room.as_str().to_owned(), event, body).await;
    }

    async fn tell(&self, to: String, event: &str, body: &(impl Serialize + Sync)) {
        let Some(io) = self.io.get() else { return };
        if let Err(error) = io.within(to).emit(event, body).await {
            // Whoever missed it sees it when it asks next.
            tracing::debug!(event, %error, "not told to everybody");
        }
    }
}

impl Outlet for Members {
    fn has_members(&self, room: &RoomId) -> bool {
        self.cluster.has_members(NAMESPACE, room.as_str())
    }

    fn show(&self, room: &RoomId, event: &Str) {
        for missed in self.cluster.deliver(NAMESPACE, room.as_str(), event) {
            let dropped = &self.metrics.chat.dropped_total;
            dropped.with_label_values(&[why(&missed.why)]).inc();
            // One that is closing recovers by its lastSeq; one that reads too slowly is made to.
            if matches!(missed.why, SocketError::InternalChannelFull)
                && let Some(socket) = self.socket(missed.socket)
            {
                evict::evict(&socket, &self.metrics);
            }
        }
    }
}

pub(super) fn why(error: &SocketError) -> &'static str {
    match error {
        SocketError::InternalChannelFull => "client_too_slow",
        SocketError::Closed => "client_gone",
    }
}

/// The members on all servers, as the appender sees them.
pub(super) struct Everywhere {
    pub(super) delivery: Arc<Delivery>,
    pub(super) cluster: Cluster,
    pub(super) feed: Feed,
}

#[async_trait]
impl FanOut for Everywhere {
    /// Written once for everybody.
    async fn fan_out(&self, message: &Message) {
        if let Some(event) = protocol::told(message) {
            self.delivery.appended(message, &event);
            self.cluster
                .announce(NAMESPACE, message.room.as_str(), &event);
        }
        self.feed.note(&message.room, message.seq);
    }

    fn doubt(&self, room: &RoomId) {
        self.delivery.doubt(room);
        self.feed.note(room, u64::MAX);
    }
}
