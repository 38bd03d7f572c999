//! Accepts connections within bounds and serves HTTP/1.1 on them, upgrades included.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use engineioxide::{Shared, Stream};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::http::peer::Peer;
use crate::metrics::{Counted, Metrics};
use crate::settings::Server;

/// Pause after a failed accept, such as when descriptors have run out: trying at once would burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where clients come in.
pub(super) struct Door {
    pub(super) router: Router,
    pub(super) server: Server,
    pub(super) metrics: Metrics,
    /// The HTTP side of every open connection. WebSockets are Socket.IO's after their upgrade.
    pub(super) connections: TaskTracker,
    /// Cancelled when idle connections should close and busy ones finish their request.
    pub(super) closing: CancellationToken,
}

impl Door {
    /// Accepts until `stop`; then the listener is closed and new clients are refused by the kernel.
    pub(super) async fn accept_until(self, listener: TcpListener, stop: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.server.connections_max));
        let door = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match Arc::clone(&slots).try_acquire_owned() {
                    Ok(slot) => door.open(stream, Peer(peer), slot),
                    Err(_) => door.metrics.http.connections_refused_total.inc(),
                },
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn open(self: &Arc<Self>, stream: TcpStream, peer: Peer, slot: OwnedSemaphorePermit) {
        if let Err(error) = tune(&stream, self.server.unacknowledged_timeout) {
            tracing::debug!(%error, "socket options not set");
        }
        // It counts as open, and holds its slot, until its last owner lets go: HTTP, or the WebSocket it became.
        let open = Counted::new(self.metrics.http.active_connections.clone());
        let stream = Stream::new(stream, (open, slot));
        self.connections.spawn(Arc::clone(self).serve(stream, peer));
    }

    async fn serve(self: Arc<Self>, stream: Arc<Stream>, peer: Peer) {
        let begun = Arc::new(Notify::new());
        let router = self.router.clone();
        let first = Arc::clone(&begun);
        let connection = Shared(Arc::clone(&stream));
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            first.notify_one();
            request.extensions_mut().insert(Arc::clone(&stream));
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.server.keepalive_timeout)
            .serve_connection(TokioIo::new(connection), service)
            .with_upgrades();
        let mut http = pin!(http);
        let head = tokio::time::timeout(self.server.head_timeout, begun.notified());
        tokio::select! {
            result = http.as_mut() => return note(result),
            head = head => if head.is_err() { return },
            () = self.closing.cancelled() => {}
        }
        tokio::select! {
            result = http.as_mut() => return note(result),
            () = self.closing.cancelled() => http.as_mut().graceful_shutdown(),
        }
        note(http.await);
    }
}

/// Clients hang up in the middle of things all day; that is for those who look closely.
fn note(result: Result<(), hyper::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended early");
    }
}

/// A client that stops reading without closing would keep its session for ever: the kernel gives up on it instead.
fn tune(stream: &TcpStream, unacknowledged_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(unacknowledged_timeout))?;
    socket.set_keepalive(true)
}

#[cfg(test)]
mod tests;
