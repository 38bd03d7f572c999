//! `berth up`: open the stores, start the backends, start the proxy, show the screen, wait, stop. In that order.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use berth_adapter::{Cluster, Hub};
use berth_backend::directory::Directory;
use berth_backend::presence::Presence;
use berth_backend::server::Parts;
use berth_backend::session::Sessions;
use berth_backend::settings::{Secret, Settings};
use berth_backend::store::Store;
use berth_backend::stores;
use berth_backend::trial::Trial;
use berth_backend::users::Users;
use berth_backend::webhooks::Webhooks;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::Up;
use crate::ports::bind_backends;
use crate::proxy::Proxy;
use crate::screen::Screen;
use crate::trial;

/// A stop that takes longer is cut off: the promise is 5 s, and every acknowledged message is already on disk.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// What all backends of the stack share.
struct Shared {
    store: Arc<dyn Store>,
    directory: Arc<dyn Directory>,
    sessions: Arc<dyn Sessions>,
    users: Arc<dyn Users>,
    presence: Arc<dyn Presence>,
    webhooks: Arc<dyn Webhooks>,
    hub: Hub,
    trial: Trial,
    settings: Settings,
}

/// Runs the whole stack until Ctrl-C, SIGTERM, or a part of it ends.
///
/// # Errors
/// When the data folder or an address cannot be had, or when a part ends by itself.
pub(crate) fn run(up: &Up) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(live(up));
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

async fn live(up: &Up) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // The screen is read in any folder, so it names the place in full.
    let data = std::path::absolute(&up.data)?;
    raise_descriptors();
    let shared = Arc::new(Shared::open(&data, up.admin_token.as_deref()).await?);
    let listeners = bind_backends(up.listen.port(), up.instances)
        .await
        .context("cannot bind a port for each backend")?;
    let stop = CancellationToken::new();
    let mut backends = JoinSet::new();
    let mut names = Vec::with_capacity(listeners.len());
    for (number, listener) in listeners.into_iter().enumerate() {
        let name = format!("berth-{}", number + 1);
        names.push((name.clone(), listener.local_addr()?));
        let parts = {
            let shared = Arc::clone(&shared);
            move || shared.parts(name.clone())
        };
        let keeping = trial::keep(listener, parts, shared.trial.clone(), stop.clone());
        backends.spawn(keeping);
    }
    tokio::spawn(trial::mind_the_bus(
        shared.hub.clone(),
        shared.trial.clone(),
    ));
    let addresses: Vec<SocketAddr> = names.iter().map(|(_, address)| *address).collect();
    let mut proxy = Proxy::start(up.listen, &addresses).await?;
    show(&Screen {
        proxy: proxy.address,
        backends: names,
        data,
        has_operator: up.admin_token.is_some(),
    })?;

    let ended_by_itself = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        end = proxy.ended() => return end.and(Err(anyhow!("the proxy ended by itself"))),
        Some(end) = backends.join_next() => Some(end),
    };
    if let Some(end) = ended_by_itself {
        end.context("a backend died")??;
        return Err(anyhow!("a backend ended by itself"));
    }
    tokio::select! {
        outcome = stop_all(proxy, stop, backends) => outcome,
        () = tokio::time::sleep(STOP_TIMEOUT) => Err(anyhow!("gave up waiting after {} s", STOP_TIMEOUT.as_secs())),
        _ = interrupt.recv() => Err(anyhow!("stopped at once, as asked by the second Ctrl-C")),
    }
}

/// The way in closes first, so that no client meets a backend that is already gone.
async fn stop_all(
    proxy: Proxy,
    stop: CancellationToken,
    mut backends: JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    proxy.stop().await?;
    stop.cancel();
    while let Some(end) = backends.join_next().await {
        end.context("a backend died")??;
    }
    Ok(())
}

impl Shared {
    async fn open(data: &Path, admin_token: Option<&str>) -> anyhow::Result<Self> {
        let mut settings = Settings::default();
        settings.admin.token = admin_token.map(Secret::new);
        data.clone_into(&mut settings.store.data);
        stores::ensure_secret(&mut settings)?;
        Ok(Self {
            store: stores::open_store(&settings).await?,
            directory: stores::open_directory(&settings)?,
            sessions: stores::open_sessions(&settings)?,
            users: stores::open_users(&settings)?,
            presence: stores::open_presence(&settings)?,
            webhooks: stores::open_webhooks(&settings)?,
            hub: Hub::new(),
            trial: Trial::default(),
            settings,
        })
    }

    fn parts(&self, instance: String) -> Parts {
        Parts {
            settings: self.settings.clone(),
            instance,
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            sessions: Arc::clone(&self.sessions),
            users: Arc::clone(&self.users),
            presence: Arc::clone(&self.presence),
            webhooks: Arc::clone(&self.webhooks),
            cluster: Cluster::hub(&self.hub),
            trial: Some(self.trial.clone()),
        }
    }
}

/// The proxy and every backend share this process's descriptors: a WebSocket takes three here.
fn raise_descriptors() {
    if let Err(why) = berth_proxy::descriptors::raise() {
        tracing::warn!(%why, "the limit of open files stays as it is");
    }
}

fn show(screen: &Screen) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{screen}")?;
    stdout.flush()?;
    Ok(())
}
