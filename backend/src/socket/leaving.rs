//! Sends the clients of this instance elsewhere, one after the other, while the process goes on: before it is taken out for good.
//!
//! Each is told when (`serverDraining`), so that a client of ours moves by itself; the others' transports are closed then, after which they
//! come back by themselves, and are let in elsewhere. A proxy that is to let them in elsewhere must know that this instance drains: it asks readiness.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_adapter::{Cluster, Kind};
use serde::{Deserialize, Serialize};
use socketioxide::extract::SocketRef;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::connect::Client;
use super::{Adapter, App, evict};
use crate::chat::refusal::{Code, Refusal};
use crate::clock;
use crate::delivery::NAMESPACE;
use crate::protocol::{self, ServerDraining};

/// How long after its time a client may still move by itself.
const GRACE: Duration = Duration::from_secs(2);

/// The longest time within which clients are moved.
pub(crate) const SPREAD_MS_MAX: u64 = 600_000;

/// Between two looks for clients that are still there.
const PAUSE: Duration = Duration::from_secs(1);

/// What an operator wants of an instance. It goes to the others as an event between servers, `berth:drain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) instance_id: String,
    pub(crate) draining: bool,
    /// Within which time everybody is moved.
    pub(crate) spread_ms: u64,
}

/// The event between servers.
const DRAIN: &str = "berth:drain";

/// Tells the other instances, of which one is meant.
///
/// # Errors
/// `CONFLICT` where there is no way to them.
pub(crate) fn pass_on(app: &App, order: &Order) -> Result<(), Refusal> {
    if app.cluster.kind() == Kind::Alone {
        let why = format!("this is {}, which reaches no other server", app.instance);
        return Err(Refusal::new(Code::Conflict, why));
    }
    let failed = |error: &dyn std::fmt::Display| {
        tracing::warn!(%error, "another server was not told to drain");
        Refusal::new(Code::Internal, "the order could not be passed on")
    };
    let argument = serde_json::to_value(order).map_err(|error| failed(&error))?;
    let told = app.cluster.server_side_emit(NAMESPACE, DRAIN, &argument);
    told.map_err(|error| failed(&error))
}

/// Hears what operators want of this instance, until `stop`. An order that is lost is given again by whoever sees nothing happen.
pub(crate) async fn listen(app: Arc<App>, cluster: Cluster, stop: CancellationToken) {
    let mut events = cluster.server_events();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => event,
        };
        match event {
            Ok(event) if event.name == DRAIN => {
                let order = event.arguments.into_iter().next().unwrap_or_default();
                match serde_json::from_value::<Order>(order) {
                    Ok(order) if order.instance_id == app.instance => {
                        carry_out(&app, &order);
                    }
                    Ok(_) => {}
                    Err(error) => tracing::debug!(%error, "an order to drain makes no sense"),
                }
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Answers how many connections move.
pub(crate) fn carry_out(app: &Arc<App>, order: &Order) -> usize {
    if order.draining {
        return begin(
            app,
            Duration::from_millis(order.spread_ms.min(SPREAD_MS_MAX)),
        );
    }
    app.leaving.end();
    0
}

/// Whether it has begun.
#[derive(Default)]
pub(crate) struct Leaving(Mutex<Option<CancellationToken>>);

impl Leaving {
    pub(super) fn is_begun(&self) -> bool {
        self.state().is_some()
    }

    /// Takes it back. Who has moved stays there.
    fn end(&self) {
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
fn begin(app: &Arc<App>, spread: Duration) -> usize {
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
            && let Err(error) = client.tell(protocol::SERVER_DRAINING, &notice)
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
