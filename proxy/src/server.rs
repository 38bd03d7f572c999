//! Runs one proxy from settings to a clean end. Owns the order of start and stop.
//!
//! Does not decide anything about a request (`edge`), nor when a stop is over (`lifecycle`).
//! No process-global state: several proxies can run in one process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::admin;
use crate::clock::Clock;
use crate::edge::{Crowd, TURNED_AWAY_MAX};
use crate::lifecycle::{self, Life};
use crate::listen;
use crate::metrics::Metrics;
use crate::prober;
use crate::registry::Registry;
use crate::reload::reload;
use crate::resolver;
use crate::settings::Settings;
use crate::shared::{Context, Shared};
use crate::tls::{self, Tls};
use crate::workers::Bound;

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
pub fn run(settings: Settings, source: Source, mut control: Control) -> anyhow::Result<()> {
    // For everything but clients, who are the workers'.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    if control.signals {
        // First of all: from here on a hangup reloads instead of killing.
        let _inside = runtime.enter();
        control::forward_signals(control.handle.clone()).context("cannot listen to signals")?;
    }
    let bound = Bound::bind(&settings)?;
    let (life, reaper) = lifecycle::life();
    let context = runtime.block_on(Box::pin(prepare(settings, life)))?;
    let listening = listening(&bound, &runtime, &context)?;
    let workers = bound.start(&context.shared, &context.life)?;
    if let Some(ready) = control.ready.take() {
        ready(&listening);
    }
    runtime.block_on(async {
        let end = obey(&mut control, &source, &context.shared).await;
        // As the last reload left it.
        let drain_timeout = context.shared.registry.settings().drain_timeout;
        reaper.reap(end, drain_timeout, &mut control.commands).await;
    });
    workers.join();
    tracing::info!("stopped");
    runtime.shutdown_timeout(RUNTIME_STOP_TIMEOUT);
    Ok(())
}

/// Everything that has to be known before the first client comes.
async fn prepare(settings: Settings, life: Life) -> anyhow::Result<Context> {
    let looked_up = resolver::look_up_all(&settings).await;
    let tls = Tls::new(&settings.certificates)?;
    let shared = Arc::new(Shared {
        registry: Arc::new(Registry::new(settings, looked_up)),
        metrics: Metrics::new().context("cannot register metrics")?,
        tls,
        clock: Clock::start(),
        crowd: Crowd::default(),
        turned_away: Semaphore::new(TURNED_AWAY_MAX),
    });
    tokio::spawn(resolver::keep_fresh(
        Arc::clone(&shared.registry),
        shared.clock,
        resolver::system,
    ));
    tls::tell_dates(&shared.registry.settings(), &shared);
    tokio::spawn(tls::watch_dates(Arc::clone(&shared)));
    prober::start(&shared).await;
    Ok(Context { shared, life })
}

/// Starts the admin listener, and tells what is listened on.
fn listening(bound: &Bound, runtime: &Runtime, context: &Context) -> anyhow::Result<Listening> {
    let mut listening = Listening::default();
    for listener in bound.listeners() {
        tracing::info!(address = %listener, "listening");
        listening.addresses.extend(listener.address());
    }
    if let Some(address) = context.shared.registry.settings().admin {
        let _inside = runtime.enter();
        let listener = listen::bind_tcp(address)?;
        listening.admin = listener.local_addr().ok();
        tracing::info!(
            address = listening.admin.map(tracing::field::display),
            "admin listening"
        );
        let shared = Arc::clone(&context.shared);
        let context = Arc::new(context.clone());
        let serve = move |stream| admin::serve(stream, Arc::clone(&context));
        tokio::spawn(listen::accept_admin(listener, shared, serve));
    }
    Ok(listening)
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

#[cfg(test)]
mod tests;
