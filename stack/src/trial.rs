//! Carries out what visitors want to be broken: instances that restart, a bus that stops.

use std::time::Duration;

use anyhow::Context;
use berth_adapter::Hub;
use berth_backend::server::{Parts, serve};
use berth_backend::trial::{Trial, Wish};
use tokio::net::TcpListener;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// How long an instance that is restarted stays away: long enough for its clients to be seen on another one, as with a real deploy.
const AWAY: Duration = Duration::from_secs(3);

/// Serves one instance until `stop`, and anew on the same port whenever its restart is wished for.
///
/// # Errors
/// Those of [`serve`], or when the port cannot be had again.
pub(crate) async fn keep(
    mut listener: TcpListener,
    parts: impl Fn() -> Parts,
    trial: Trial,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    loop {
        let parts = parts();
        let (name, mut wishes) = (parts.instance.clone(), trial.wishes());
        let round = stop.child_token();
        let serving = serve(listener, parts, round.clone());
        tokio::pin!(serving);
        tokio::select! {
            end = &mut serving => return end,
            () = restart_of(&name, &mut wishes) => {}
        }
        tracing::info!(instance = name, "restarts, as wished for");
        round.cancel();
        serving.await?;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(AWAY) => {}
        }
        listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot bind {address} again"))?;
    }
}

/// Cuts the hub and mends it, until nobody can wish any more.
pub(crate) async fn mind_the_bus(hub: Hub, trial: Trial) {
    let mut wishes = trial.wishes();
    while let Some(wish) = next(&mut wishes).await {
        if let Wish::Bus { on } = wish {
            tracing::info!(on, "the bus, as wished for");
            hub.cut(!on);
        }
    }
}

async fn restart_of(name: &str, wishes: &mut Receiver<Wish>) {
    while let Some(wish) = next(wishes).await {
        if matches!(wish, Wish::Restart { instance } if instance == name) {
            return;
        }
    }
    // Nobody can wish any more.
    std::future::pending().await
}

async fn next(wishes: &mut Receiver<Wish>) -> Option<Wish> {
    loop {
        match wishes.recv().await {
            Ok(wish) => return Some(wish),
            // Whoever wished can wish again.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
