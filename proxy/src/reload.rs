//! Reads the settings again and serves by them, without touching anything that is open.
//!
//! Invariant: **a bad file changes nothing**. What cannot change while the proxy runs is said, not ignored.

use crate::config;
use crate::resolver;
use crate::server::Source;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::tls;

/// Reads `source` again.
pub(crate) async fn reload(source: &Source, shared: &Shared) {
    let Source::File(path) = source else {
        tracing::warn!("nothing to reload: the settings did not come from a file");
        return;
    };
    let settings = match config::load(path) {
        Ok(settings) => settings,
        Err(problems) => {
            shared.metrics.reloaded(false, true);
            tracing::error!(file = %path.display(), "reload refused, the running settings stay: {}", problems.explain("nothing was changed"));
            return;
        }
    };
    for key in needs_restart(&shared.registry.settings(), &settings) {
        tracing::warn!(key, "changed, and takes effect with the next start");
    }
    let looked_up = resolver::look_up_all(&settings).await;
    if !settings.certificates.is_empty() {
        // Without any, the listeners that need them go with the next start.
        shared.tls.replace(&settings.certificates);
        tls::tell_dates(&settings, shared);
    }
    let now = shared.clock.seconds();
    shared.registry.replace(settings, looked_up, now);
    shared.metrics.reloaded(true, true);
    tracing::info!(file = %path.display(), "reloaded");
}

/// Keys whose change a running proxy cannot follow.
fn needs_restart(running: &Settings, new: &Settings) -> Vec<&'static str> {
    let keepalive = |settings: &Settings| {
        settings
            .upstreams
            .iter()
            .map(|upstream| upstream.keepalive)
            .sum::<usize>()
    };
    [
        ("server.listen", running.listen != new.listen),
        ("server.threads", running.threads != new.threads),
        ("server.pid_file", running.pid_file != new.pid_file),
        ("admin.listen", running.admin != new.admin),
        ("upstream.keepalive", keepalive(running) < keepalive(new)),
    ]
    .into_iter()
    .filter_map(|(key, is_changed)| is_changed.then_some(key))
    .collect()
}
