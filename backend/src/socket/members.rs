//! The members of rooms: on this server one by one and by name, on the others by the bus.
//!
//! In which order they are told of what, `delivery` decides.

use std::sync::{Arc, OnceLock};

use berth_adapter::Cluster;
use engineioxide::Sent;
use serde::Serialize;
use socketioxide::extract::SocketRef;
use socketioxide::{SocketError, SocketIo};
use socketioxide_core::{Sid, Str};

use super::connect::Client;
use super::roster::{Roster, Rosters};
use super::{Adapter, Ingredients, evict, packet};
use crate::append::FanOut;
use crate::chat::message::Message;
use crate::chat::room::{RoomId, user_room};
use crate::delivery::{Delivery, NAMESPACE, Outlet};
use crate::metrics::Metrics;
use crate::protocol;
use crate::webhooks::Feed;

/// What is written at once. More than the kernel takes of a client that reads would only wait in one piece.
const RUN_BYTES: usize = 64 * 1024;

/// The sockets of this server by their rooms. Exists before they do.
pub struct Members {
    io: OnceLock<SocketIo<Adapter>>,
    cluster: Cluster,
    metrics: Metrics,
    rosters: Rosters,
}

impl Members {
    pub(super) fn new(from: &Ingredients) -> Self {
        Self {
            io: OnceLock::new(),
            cluster: from.cluster.clone(),
            metrics: from.metrics.clone(),
            rosters: Rosters::default(),
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
    pub(crate) async fn tell_user(
        &self,
        user_id: &str,
        event: &str,
        body: &(impl Serialize + Sync),
    ) {
        self.tell(user_room(user_id), event, body).await;
    }

    /// Tells everybody in a room, on every server, what is no entry of its log.
    pub(crate) async fn tell_room(
        &self,
        room: &RoomId,
        event: &str,
        body: &(impl Serialize + Sync),
    ) {
        self.tell(room.as_str().to_owned(), event, body).await;
    }

    /// Tells everybody, on every server.
    pub(crate) async fn tell_all(&self, event: &str, body: &(impl Serialize + Sync)) {
        let Some(io) = self.io.get() else { return };
        if let Err(error) = io.emit(event, body).await {
            tracing::warn!(event, %error, "not told to everybody");
        }
    }

    async fn tell(&self, to: String, event: &str, body: &(impl Serialize + Sync)) {
        let Some(io) = self.io.get() else { return };
        if let Err(error) = io.within(to).emit(event, body).await {
            // Whoever missed it sees it when it asks next.
            tracing::debug!(event, %error, "not told to everybody");
        }
    }

    /// Gives events, each `["name",…]` as JSON, to every member on this server. They are put into frames once for all.
    pub(super) fn tell_here(&self, room: &RoomId, events: &[Str]) {
        let ids = self.cluster.members(NAMESPACE, room.as_str());
        if ids.is_empty() {
            return self.rosters.forget(room);
        }
        let roster = self.roster(room, ids);
        for run in runs(events) {
            let frames = packet::events(run);
            for (id, outbox) in roster.members() {
                if let Err(error) = taken(outbox.send(&frames)) {
                    self.missed(id, &error);
                }
            }
        }
    }

    fn roster(&self, room: &RoomId, ids: Vec<Sid>) -> Arc<Roster> {
        let sockets = self.io.get().and_then(|io| io.of(NAMESPACE));
        self.rosters.of(room, ids, |id| {
            let socket = sockets.as_ref()?.get_socket(id)?;
            let client = socket.extensions.get::<Arc<Client>>()?;
            Some(Arc::clone(client.outbox()))
        })
    }

    /// One that is closing recovers by its lastSeq; one that reads too slowly is made to.
    fn missed(&self, id: Sid, error: &SocketError) {
        let dropped = &self.metrics.chat.dropped_total;
        dropped.with_label_values(&[why(error)]).inc();
        if matches!(error, SocketError::InternalChannelFull)
            && let Some(socket) = self.socket(id)
        {
            evict::evict(&socket, &self.metrics);
        }
    }
}

impl Outlet for Members {
    fn has_members(&self, room: &RoomId) -> bool {
        let has_members = self.cluster.has_members(NAMESPACE, room.as_str());
        if !has_members {
            self.rosters.forget(room);
        }
        has_members
    }

    fn show(&self, room: &RoomId, events: &[Str]) {
        self.tell_here(room, events);
    }
}

/// Events that go in one write together: as many as fit in [`RUN_BYTES`], or one.
fn runs(events: &[Str]) -> impl Iterator<Item = &[Str]> {
    let mut bytes = 0;
    events.chunk_by(move |before, after| {
        bytes += before.len();
        let fits = bytes + after.len() <= RUN_BYTES;
        bytes = if fits { bytes } else { 0 };
        fits
    })
}

/// What an outbox says, in Socket.IO's words.
pub(super) fn taken(sent: Sent) -> Result<(), SocketError> {
    match sent {
        Sent::Yes => Ok(()),
        Sent::Full => Err(SocketError::InternalChannelFull),
        Sent::Gone => Err(SocketError::Closed),
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

impl FanOut for Everywhere {
    /// Written once for everybody.
    fn fan_out(&self, room: &RoomId, messages: &[&Message]) {
        let told = messages.iter();
        let told = told.filter_map(|message| Some((*message, protocol::told(message)?)));
        let told: Vec<_> = told.collect();
        self.delivery.appended(room, &told);
        for (_, event) in &told {
            self.cluster.announce(NAMESPACE, room.as_str(), event);
        }
        if let Some(end) = messages.iter().map(|message| message.seq).max() {
            self.feed.note(room, end);
        }
    }

    fn doubt(&self, room: &RoomId) {
        self.delivery.doubt(room);
        self.feed.note(room, u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_as_long_as_one_write_and_no_event_is_left_out() {
        let lengths = [
            1,
            RUN_BYTES - 1,
            1,
            70_000,
            30_000,
            30_000,
            30_000,
            RUN_BYTES,
        ];
        let events = lengths.map(|length| Str::from("x".repeat(length)));
        let runs: Vec<Vec<usize>> = runs(&events)
            .map(|run| run.iter().map(|event| event.len()).collect())
            .collect();
        let wanted: [&[usize]; 6] = [
            &[1, RUN_BYTES - 1],
            &[1],
            &[70_000],
            &[30_000, 30_000],
            &[30_000],
            &[RUN_BYTES],
        ];
        assert_eq!(runs, wanted);
    }
}
