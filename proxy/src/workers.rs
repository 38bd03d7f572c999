//! The threads that serve clients, each with a runtime, listeners and kept connections of its own.
//!
//! A connection stays on the thread that accepted it, and so does everything that is done for it: nothing is handed to
//! another thread and none is woken by another. The kernel spreads clients over the listeners (`SO_REUSEPORT`); the
//! metric `berth_worker_connections` shows how evenly.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use prometheus::IntGauge;
use tokio::runtime::{Builder, Runtime};

use crate::edge::Edge;
use crate::exchange::kept::Kept;
use crate::h2::Carrier;
use crate::lifecycle::{Life, Phase};
use crate::listen::Listener;
use crate::settings::Settings;
use crate::shared::{Context, Shared};

/// What is still running after a stop gets this long; everything that matters has ended before.
const RUNTIME_STOP_TIMEOUT: Duration = Duration::from_millis(200);

/// What a thread has to itself.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) kept: Kept,
    /// The same for clients that speak HTTP/2.
    pub(crate) carrier: Carrier,
    /// Clients' connections that are open on it.
    pub(crate) connections: IntGauge,
    pub(crate) number: usize,
}

impl Worker {
    #[must_use]
    pub(crate) fn new(shared: &Arc<Shared>, number: usize) -> Self {
        Self {
            kept: Kept::default(),
            carrier: Carrier::new(shared),
            connections: shared.metrics.worker_connections(number),
            number,
        }
    }
}

/// Everything that is bound, and the runtimes that will accept. Must be dropped outside of any runtime.
pub(crate) struct Bound(Vec<(Runtime, Vec<Listener>)>);

/// Threads at work.
pub(crate) struct Workers(Vec<JoinHandle<()>>);

impl Bound {
    /// # Errors
    /// When an address is taken or not ours, or a runtime cannot start.
    pub(crate) fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let threads = settings.threads.max(1);
        let mut workers: Vec<(Runtime, Vec<Listener>)> = Vec::with_capacity(threads);
        for _ in 0..threads {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start a worker's runtime")?;
            let listeners = runtime.block_on(async {
                let Some((_, first)) = workers.first() else {
                    return bind_all(settings, threads > 1).await;
                };
                first.iter().map(Listener::share).collect()
            })?;
            workers.push((runtime, listeners));
        }
        Ok(Self(workers))
    }

    /// What clients can connect to, each address once.
    pub(crate) fn listeners(&self) -> &[Listener] {
        self.0
            .first()
            .map(|(_, listeners)| listeners.as_slice())
            .unwrap_or_default()
    }

    /// Starts accepting.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(self, shared: &Arc<Shared>, life: &Life) -> anyhow::Result<Workers> {
        let mut threads = Vec::with_capacity(self.0.len());
        for (number, (runtime, listeners)) in self.0.into_iter().enumerate() {
            let worker = Arc::new(Worker::new(shared, number));
            let context = Context {
                shared: Arc::clone(shared),
                life: life.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("berth-worker-{number}"))
                .spawn(move || work(runtime, listeners, worker, context))
                .context("cannot start a worker's thread")?;
            threads.push(thread);
        }
        Ok(Workers(threads))
    }
}

impl Workers {
    /// Waits until all have ended, which they do when the life is over.
    pub(crate) fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
    }
}

async fn bind_all(settings: &Settings, is_shared: bool) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::with_capacity(settings.listen.len());
    for listen in &settings.listen {
        listeners.push(Listener::bind(listen, is_shared).await?);
    }
    Ok(listeners)
}

fn work(runtime: Runtime, listeners: Vec<Listener>, worker: Arc<Worker>, context: Context) {
    runtime.block_on(async {
        let life = context.life.clone();
        for listener in listeners {
            let edge = Edge {
                context: context.clone(),
                worker: Arc::clone(&worker),
                is_tls: listener.is_tls(),
            };
            let serve = move |socket, peer, open| edge.clone().serve(socket, peer, open);
            let shared = Arc::clone(&context.shared);
            tokio::spawn(listener.accept(context.life.clone(), shared, serve));
        }
        drop(context);
        tokio::select! {
            () = worker.kept.sweep() => {}
            () = life.reached(Phase::Ended) => {}
        }
    });
    runtime.shutdown_timeout(RUNTIME_STOP_TIMEOUT);
}
