//! The members of rooms: on this server one by one and by name, on the others by the bus.
//!
//! In which order they are told of what, `delivery` decides.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use berth_adapter::Cluster;
use socketioxide::extract::SocketRef;
use socketioxide::{SocketError, SocketIo};
use socketioxide_core::{Sid, Str};

use super::{Adapter, evict};
use crate::append::FanOut;
use crate::chat::message::Message;
use crate::chat::room::RoomId;
use crate::delivery::{Delivery, NAMESPACE, Outlet};
use crate::metrics::Metrics;
use crate::protocol;

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
    }

    fn doubt(&self, room: &RoomId) {
        self.delivery.doubt(room);
    }
}
