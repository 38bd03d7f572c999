//! Runs one proxy from settings to a clean end. Owns the runtime and the order of start and stop.
//!
//! Does not decide anything about a request (`edge`), nor when a stop is over (`lifecycle`).
//! No process-global state: several proxies can run in one process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::admin;
use crate::clock::Clock;
use crate::edge::{Edge, TURNED_AWAY_MAX};
use crate::lifecycle;
use crate::listen::{self, Listener};
use crate::metrics::Metrics;
use crate::prober;
use crate::registry::Registry;
use crate::reload::reload;
use crate::resolver;
use crate::settings::Settings;
use crate::shared::{Context, Shared};
use crate::tls::{self, Tls};

mod control;

pub(crate) use control::Command;
pub use control::{Control, Handle, Listening};

/// Where a reload reads the settings from.
#[derive(Clone, Debug)]
pub enum Source {
    /// This file, again.
    File(PathBuf),
    /// Nowhere: the program that embeds the proxy gave them once.
    Fixed,
}

/// What is still running after a stop gets this long; everything that matters has ended before.
const RUNTIME_STOP_TIMEOUT: Duration = Duration::from_millis(200);

/// Runs the proxy on its own runtime and returns when it has stopped.
///
/// Must not be called from inside an async runtime; an embedding program gives it a thread.
///
/// # Errors
/// When the runtime cannot start or an address cannot be bound.
pub fn run(settings: Settings, source: Source, control: Control) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads.max(1))
        .thread_name("berth-proxy")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(Box::pin(serve(settings, source, control)));
    runtime.shutdown_timeout(RUNTIME_STOP_TIMEOUT);
    ended
}

async fn serve(settings: Settings, source: Source, mut control: Control) -> anyhow::Result<()> {
    if control.signals {
        // First of all: from here on a hangup reloads instead of killing.
        control::forward_signals(control.handle.clone()).context("cannot listen to signals")?;
    }
    let bound = Bound::bind(&settings).await?;
    let looked_up = resolver::look_up_all(&settings).await;
    let tls = Tls::new(&settings.certificates)?;
    let shared = Arc::new(Shared {
        registry: Arc::new(Registry::new(settings, looked_up)),
        metrics: Metrics::new().context("cannot register metrics")?,
        tls,
        clock: Clock::start(),
        turned_away: Semaphore::new(TURNED_AWAY_MAX),
    });
    let (life, reaper) = lifecycle::life();
    let context = Context {
        shared: Arc::clone(&shared),
        kept: Arc::default(),
        life,
    };
    tokio::spawn(Arc::clone(&context.kept).sweep());
    tokio::spawn(resolver::keep_fresh(
        Arc::clone(&shared.registry),
        shared.clock,
        resolver::system,
    ));
    tls::tell_dates(&shared.registry.settings(), &shared);
    tokio::spawn(tls::watch_dates(Arc::clone(&shared)));
    prober::start(&shared).await;
    let listening = bound.serve(&context);
    if let Some(ready) = control.ready.take() {
        ready(&listening);
    }
    let end = obey(&mut control, &source, &shared).await;
    // As the last reload left it.
    let drain_timeout = shared.registry.settings().drain_timeout;
    reaper.reap(end, drain_timeout, &mut control.commands).await;
    tracing::info!("stopped");
    Ok(())
}

/// Reloads as often as told, until it is told to end.
async fn obey(control: &mut Control, source: &Source, shared: &Arc<Shared>) -> Command {
    // One reload after the other, and none in the way of a stop.
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    while let Some(command) = control.commands.recv().await {
        if command != Command::Reload {
            return command;
        }
        let (turn, source, shared) = (Arc::clone(&turn), source.clone(), Arc::clone(shared));
        tokio::spawn(async move {
            let _turn = turn.lock().await;
            reload(&source, &shared).await;
        });
    }
    // Cannot be: the control itself holds a sender.
    Command::Stop
}

/// Everything that listens.
struct Bound {
    listeners: Vec<Listener>,
    admin: Option<TcpListener>,
}

impl Bound {
    async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for listen in &settings.listen {
            listeners.push(Listener::bind(listen).await?);
        }
        let admin = settings.admin.map(listen::bind_tcp).transpose()?;
        Ok(Self { listeners, admin })
    }

    /// Starts accepting.
    fn serve(self, context: &Context) -> Listening {
        let edge = Edge {
            context: context.clone(),
            is_tls: false,
        };
        let mut listening = Listening::default();
        for listener in self.listeners {
            tracing::info!(address = %listener, "listening");
            listening.addresses.extend(listener.address());
            let mut edge = edge.clone();
            edge.is_tls = listener.is_tls();
            let serve = move |socket, peer, open| edge.clone().serve(socket, peer, open);
            tokio::spawn(listener.accept(context.life.clone(), serve));
        }
        if let Some(listener) = self.admin {
            listening.admin = listener.local_addr().ok();
            tracing::info!(
                address = listening.admin.map(tracing::field::display),
                "admin listening"
            );
            let context = Arc::new(context.clone());
            let serve = move |stream| admin::serve(stream, Arc::clone(&context));
            tokio::spawn(listen::accept_admin(listener, serve));
        }
        listening
    }
}

#[cfg(test)]
mod tests;
