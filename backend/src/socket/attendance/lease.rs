//! This instance's lease, and those of others: renewed, missed, and cleaned up after.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use berth_adapter::Cluster;
use tokio_util::sync::CancellationToken;

use super::announce;
use crate::socket::App;

/// The lease is renewed, and the leases of others are looked at, this often.
const BEAT: Duration = Duration::from_secs(1);

/// Renews the lease, notices who has died, and cleans up after them, until the instance drains.
pub(in crate::socket) async fn beat(app: Arc<App>, cluster: Cluster, draining: CancellationToken) {
    let attendance = &app.attendance;
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut live = BTreeSet::new();
    let mut was_away = false;
    loop {
        tokio::select! {
            () = draining.cancelled() => break,
            _ = beats.tick() => {}
        }
        let lease = attendance.settings.lease;
        let beat = match attendance.keeper.beat(&attendance.me, lease).await {
            Ok(beat) => beat,
            Err(error) => {
                if !was_away {
                    tracing::warn!(%error, "presence is what this server knows, until it can be shared again");
                }
                was_away = true;
                attendance.is_away.store(true, Ordering::Relaxed);
                app.metrics.presence.shared.set(0);
                continue;
            }
        };
        if beat.was_lost || was_away {
            attendance.doubt_all();
        } else if beat.live != live {
            attendance.look_at_all();
        }
        (live, was_away) = (beat.live, false);
        attendance.is_away.store(false, Ordering::Relaxed);
        app.metrics.presence.shared.set(1);
        for dead in &beat.dead {
            reap(&app, &cluster, dead).await;
        }
    }
    match attendance.keeper.leave(&attendance.me).await {
        Ok(rooms) => announce(&cluster, &rooms),
        Err(error) => tracing::debug!(%error, "the lease ends by itself"),
    }
}

async fn reap(app: &App, cluster: &Cluster, dead: &str) {
    match app.attendance.keeper.reap(&app.attendance.me, dead).await {
        Ok(rooms) => {
            if !rooms.is_empty() {
                tracing::info!(
                    instance = dead,
                    rooms = rooms.len(),
                    "cleaned up after an instance"
                );
                app.metrics.presence.reaped_total.inc();
                announce(cluster, &rooms);
            }
        }
        Err(error) => tracing::debug!(%error, instance = dead, "not cleaned up yet"),
    }
}
