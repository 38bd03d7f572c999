//! Closes the connection of a client that reads too slowly, so that it comes back and catches up: nothing is left out silently.

use std::sync::Arc;

use socketioxide::socket::Socket;

use super::Adapter;
use super::connect::Client;
use crate::metrics::Metrics;

/// Closes the transport of a client that reads too slowly. Calling it again does nothing.
pub(super) fn evict(socket: &Socket<Adapter>, metrics: &Metrics) {
    let Some(client) = socket.extensions.get::<Arc<Client>>() else {
        return;
    };
    if close(socket, &client) {
        metrics.delivery.slow_evictions_total.inc();
        tracing::info!(
            user = client.sender.id,
            "a client reads too slowly; its connection is closed"
        );
    }
}

/// Takes the socket out of its rooms and closes its transport, after which clients come back by themselves. True the first time.
pub(super) fn close(socket: &Socket<Adapter>, client: &Client) -> bool {
    if !client.begin_eviction() {
        return false;
    }
    client.note_rooms(socket);
    socket.leave_all();
    client.outbox().cut();
    true
}
