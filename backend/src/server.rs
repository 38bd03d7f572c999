//! One running instance: accepts connections, serves HTTP and Socket.IO on them, and ends politely.
//!
//! Owns sockets and tasks. Several instances run in one process, so nothing here is global; signals are `lifecycle`'s.

mod accept;
mod drain;

use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use axum::http::HeaderValue;
use berth_adapter::Cluster;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::append::AppendLimits;
use crate::bots::Bots;
use crate::clock;
use crate::delivery;
use crate::directory::Directory;
use crate::http::auth::Attempts;
use crate::http::{self, Shared, Site};
use crate::lifecycle;
use crate::metrics::{self, Metrics};
use crate::presence::Presence;
use crate::session::Sessions;
use crate::session::cookie::{self, Secrets};
use crate::settings::{self, Append, Secret, Settings};
use crate::socket::{self, App, Ingredients};
use crate::store::Store;
use crate::stores;
use crate::trial::Trial;
use crate::users::Users;
use crate::users::password::Passwords;
use crate::webhooks::{self, Feed, Pump, Registry, Webhooks};

/// What an instance is made of.
pub struct Parts {
    pub settings: Settings,
    /// Names this instance to operators and clients.
    pub instance: String,
    pub store: Arc<dyn Store>,
    pub directory: Arc<dyn Directory>,
    pub sessions: Arc<dyn Sessions>,
    pub users: Arc<dyn Users>,
    pub presence: Arc<dyn Presence>,
    pub webhooks: Arc<dyn Webhooks>,
    pub cluster: Cluster,
    /// Where this is started to be tried out: what visitors want to be broken.
    pub trial: Option<Trial>,
}

/// Serves on `listener` until `stop` is cancelled and everything is drained, or until `server.drain_timeout` has passed.
///
/// # Errors
/// When the listener has no address or the instance's name fits no header. Trouble of single connections is logged, not returned.
pub async fn serve(
    listener: TcpListener,
    parts: Parts,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut parts = parts;
    if parts.settings.session.secrets.is_empty() {
        // For this instance alone: `stores` keeps one where it can.
        parts.settings.session.secrets = vec![Secret::new(cookie::new_sid())];
    }
    let (settings, cluster) = (parts.settings.clone(), parts.cluster.clone());
    let trial = parts.trial.take();
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    let instance_header =
        HeaderValue::from_str(&parts.instance).context("the instance's name fits no header")?;
    let metrics = Metrics::new()?;
    let draining = CancellationToken::new();
    let feed = Feed::default();
    let app = App::new(ingredients(
        parts,
        metrics.clone(),
        draining.clone(),
        &feed,
    )?);
    let (layer, io) = socket::layer(&app, &settings.engine, cluster.clone());
    let place = (instance_header, address.port());
    let site = site(&app, &settings, &cluster, place, trial);
    let router = http::router(&site, &settings.server, &layer);
    let drain_timeout = settings.server.drain_timeout;
    let background = watch(&app, &cluster);
    tell_webhooks(&app, feed, settings.webhooks).await?;
    let (connections, closing) = (TaskTracker::new(), CancellationToken::new());
    let door = accept::Door {
        router,
        server: settings.server,
        metrics,
        connections: connections.clone(),
        closing: closing.clone(),
    };
    tracing::info!(%address, instance = app.instance, store = app.store.name(), "listening");
    door.accept_until(listener, &stop).await;
    draining.cancel();
    drain::Drain {
        app,
        io,
        cluster,
        connections,
        closing,
        background,
    }
    .finish(drain_timeout)
    .await;
    Ok(())
}

/// What the HTTP handlers share.
fn site(
    app: &Arc<App>,
    settings: &Settings,
    cluster: &Cluster,
    (instance_header, port): (HeaderValue, u16),
    trial: Option<Trial>,
) -> Site {
    let attempts = Attempts::new(
        settings.auth.user_logins_per_minute_max,
        settings.auth.client_logins_per_minute_max,
    );
    Site::new(Shared {
        app: Arc::clone(app),
        origins: settings.server.cors_origins.clone(),
        instance_header,
        port,
        cluster: cluster.clone(),
        readiness_requires: settings.server.readiness_requires.clone(),
        session: settings.session.clone(),
        admin: settings.admin.clone(),
        hot: Mutex::default(),
        trial,
        started: clock::monotonic(),
        is_registration_open: settings.auth.registration,
        token_ttl: settings.auth.token_ttl,
        attempts: Mutex::new(attempts),
        searches: Mutex::new(Attempts::new(
            settings.search.user_searches_per_minute_max,
            settings.search.client_searches_per_minute_max,
        )),
        trusted_proxies: settings.auth.trusted_proxies.clone(),
    })
}

/// What the handlers share, made of what this instance is made of.
fn ingredients(
    parts: Parts,
    metrics: Metrics,
    draining: CancellationToken,
    feed: &Feed,
) -> anyhow::Result<Ingredients> {
    let settings = parts.settings;
    let registry = Registry::new(
        settings.webhooks.hooks.clone(),
        settings.webhooks.created_max,
        parts.webhooks,
        Arc::clone(&parts.store),
    );
    Ok(Ingredients {
        instance: parts.instance,
        append: append_limits(&settings.append),
        store: parts.store,
        directory: parts.directory,
        sessions: parts.sessions,
        secrets: secrets(&settings)?,
        tokens: stores::tokens(&settings)?,
        bots: Bots::new(settings.auth.api_keys.clone()),
        users: parts.users,
        passwords: Passwords::new(settings.auth.password_hashes_max)?,
        recheck_interval: settings.auth.recheck_interval,
        presence: parts.presence,
        presence_settings: settings.presence,
        webhooks: Arc::new(registry),
        feed: feed.clone(),
        chat: settings.chat,
        changes: settings.changes,
        rooms: settings.rooms,
        metrics,
        cluster: parts.cluster,
        draining,
    })
}

/// What an instance does by itself, until it drains.
fn watch(app: &Arc<App>, cluster: &Cluster) -> [JoinHandle<()>; 5] {
    let (metrics, draining) = (app.metrics.clone(), app.draining.clone());
    let delivery = (*app.delivery).clone();
    let news = socket::news::listen(Arc::clone(app), cluster.clone(), draining.clone());
    let orders = socket::leaving::listen(Arc::clone(app), cluster.clone(), draining.clone());
    [
        metrics::watch_lag(metrics.clone(), draining.clone()),
        lifecycle::watch_cluster(cluster, metrics, draining.clone()),
        delivery::watch::watch(delivery, cluster.clone(), draining),
        tokio::spawn(news),
        tokio::spawn(orders),
    ]
}

/// Webhooks are told until the instance drains, and a shutdown waits for it.
async fn tell_webhooks(app: &App, feed: Feed, settings: settings::Webhooks) -> anyhow::Result<()> {
    // This time: one that starts anew under the same name holds nothing.
    let holder = format!("{}#{}", app.instance, Uuid::new_v4().simple());
    let registry = Arc::clone(&app.webhooks);
    let pump = Pump::new(registry, feed, settings, app.metrics.clone(), holder)?;
    pump.begin().await;
    app.tasks.spawn(webhooks::run(pump, app.draining.clone()));
    Ok(())
}

/// What signs session cookies.
fn secrets(settings: &Settings) -> anyhow::Result<Secrets> {
    let configured = settings.session.secrets.iter();
    Ok(Secrets::new(configured.map(Secret::reveal))?)
}

fn append_limits(append: &Append) -> AppendLimits {
    AppendLimits {
        room_messages_max: append.room_messages_max,
        queue_bytes_max: append.queue_bytes_max,
        batch_messages_max: append.batch_messages_max,
        batch_bytes_max: append.batch_bytes_max,
        timeout: append.timeout,
    }
}
