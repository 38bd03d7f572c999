//! The end of an instance: what was taken in is finished, then everybody is sent elsewhere.

use std::sync::Arc;
use std::time::Duration;

use berth_adapter::Cluster;
use socketioxide::SocketIo;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::socket::{Adapter, App};

/// What is still going on when the listener has closed.
pub(super) struct Drain {
    pub(super) app: Arc<App>,
    pub(super) io: SocketIo<Adapter>,
    pub(super) cluster: Cluster,
    pub(super) connections: TaskTracker,
    pub(super) closing: CancellationToken,
    pub(super) background: [JoinHandle<()>; 5],
}

impl Drain {
    /// New events are refused already. Order matters: acks first, then the close that makes clients reconnect, then the bus.
    pub(super) async fn finish(self, drain_timeout: Duration) {
        tracing::info!("draining");
        let Self {
            app,
            io,
            cluster,
            connections,
            closing,
            background,
        } = self;
        app.tasks.close();
        connections.close();
        let polite = async {
            app.tasks.wait().await;
            // Transport close: clients come back by themselves. A namespace disconnect would strand them.
            io.close().await;
            closing.cancel();
            connections.wait().await;
        };
        match tokio::time::timeout(drain_timeout, polite).await {
            Ok(()) => tracing::info!("drained"),
            Err(_) => tracing::warn!(
                tasks = app.tasks.len(),
                connections = connections.len(),
                "drain timeout reached; leaving the rest"
            ),
        }
        closing.cancel();
        for task in background {
            task.abort();
        }
        cluster.close().await;
    }
}
