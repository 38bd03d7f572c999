//! Closes the connection of a client that reads too slowly, so that it comes back and catches up: nothing is left out silently.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use socketioxide::socket::Socket;
use socketioxide_core::Sid;

use super::connect::Client;
use super::{Adapter, App};
use crate::lane::Lane;
use crate::metrics::Metrics;

/// What Engine.IO says to a session that it does not know; clients begin a new one at once.
const UNKNOWN_SESSION: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

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
    // A polling session is ended when its client asks next: see `end_if_evicted`.
    client.cut();
    true
}

/// Looks at every request of an Engine.IO session before Engine.IO does: notes the connection of one that becomes a WebSocket, and ends
/// the polling session of an evicted client. `None`: Engine.IO may answer.
pub(crate) async fn end_if_evicted(app: &App, request: Request, next: Next) -> Response {
    let Some(id) = session(request.uri()) else {
        return next.run(request).await;
    };
    let is_upgrade = request.headers().contains_key(header::UPGRADE);
    if is_upgrade && let Some(lane) = request.extensions().get::<Arc<Lane>>() {
        app.upgrades.note(id, lane);
    }
    let socket = app.members.socket(id);
    let Some(client) = socket.and_then(|socket| socket.extensions.get::<Arc<Client>>()) else {
        return next.run(request).await;
    };
    if is_upgrade {
        if let Some(connection) = app.upgrades.take(id) {
            client.is_on(connection);
        }
    } else if client.is_evicted() {
        // As if it had said goodbye itself. What Engine.IO answers is not for a client that should come back.
        next.run(goodbye(request)).await;
        return (StatusCode::BAD_REQUEST, UNKNOWN_SESSION).into_response();
    }
    next.run(request).await
}

/// The session that a request is of.
fn session(uri: &Uri) -> Option<Sid> {
    let pairs = uri.query()?.split('&');
    let mut ids = pairs.filter_map(|pair| pair.strip_prefix("sid="));
    ids.next()?.parse().ok()
}

/// The same session's request with Engine.IO's close packet.
fn goodbye(request: Request) -> Request {
    let (mut head, _body) = request.into_parts();
    head.method = Method::POST;
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::CONTENT_TYPE);
    Request::from_parts(head, Body::from("1"))
}
