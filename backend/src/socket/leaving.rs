//! Sends the clients of this instance elsewhere, one after the other, while the process goes on: before it is taken out for good.
//!
//! Each is told when (`serverDraining`), so that a client of ours moves by itself; the others' transports are closed then, after which they
//! come back by themselves, and are let in elsewhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socketioxide::extract::SocketRef;
use tokio_util::sync::CancellationToken;

use super::connect::Client;
use super::{Adapter, App, evict};
use crate::clock;
use crate::protocol::{self, ServerDraining};

/// How long after its time a client may still move by itself.
const GRACE: Duration = Duration::from_secs(2);

/// Between two looks for clients that are still there.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether it has begun.
#[derive(Default)]
pub(crate) struct Leaving(Mutex<Option<CancellationToken>>);

impl Leaving {
    pub(super) fn is_begun(&self) -> bool {
        self.state().is_some()
    }

    /// Takes it back. Who has moved stays there.
    pub(crate) fn end(&self) {
        if let Some(begun) = self.state().take() {
            begun.cancel();
        }
    }

    /// The way to stop it; none when it had begun before.
    fn begin(&self) -> Option<CancellationToken> {
        let mut state = self.state();
        if state.is_some() {
            return None;
        }
        let begun = CancellationToken::new();
        *state = Some(begun.clone());
        Some(begun)
    }

    fn state(&self) -> MutexGuard<'_, Option<CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to move everybody within `spread`, and answers how many there are. Said again, it changes nothing.
pub(crate) fn begin(app: &Arc<App>, spread: Duration) -> usize {
    let count = app.members.sockets().len();
    if let Some(stop) = app.leaving.begin() {
        tracing::info!(connections = count, "clients are sent elsewhere");
        let (moving, draining) = (Arc::clone(app), app.draining.clone());
        app.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => tracing::info!("clients may stay again"),
                () = draining.cancelled() => {}
                () = move_all(&moving, spread) => tracing::info!("all clients were sent elsewhere"),
            }
        });
    }
    count
}

/// Until nobody is left: a handshake that was under way brings one more.
async fn move_all(app: &App, spread: Duration) {
    loop {
        let sockets = app.members.sockets();
        if sockets.is_empty() {
            return;
        }
        move_some(sockets, spread).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Evenly spread, so that those who take them in are not stormed.
async fn move_some(sockets: Vec<SocketRef<Adapter>>, spread: Duration) {
    let step = spread / u32::try_from(sockets.len()).unwrap_or(u32::MAX);
    let start = clock::monotonic();
    let mut after = Duration::ZERO;
    let mut waiting = Vec::new();
    for socket in sockets {
        after += step;
        let reconnect_in_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let notice = ServerDraining { reconnect_in_ms };
        if let Some(client) = socket.extensions.get::<Arc<Client>>()
            && let Err(error) = client.tell(&socket, protocol::SERVER_DRAINING, &notice)
        {
            tracing::debug!(%error, "a client was not told that it is sent elsewhere");
        }
        waiting.push((after + GRACE, socket));
    }
    for (at, socket) in waiting {
        let now = clock::monotonic().saturating_duration_since(start);
        tokio::time::sleep(at.saturating_sub(now)).await;
        if let Some(client) = socket.extensions.get::<Arc<Client>>()
            && socket.connected()
        {
            evict::close(&socket, &client);
        }
    }
}
