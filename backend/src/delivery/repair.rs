//! Fetches what a line misses from the log, after a little patience and as often as it takes.

use std::sync::Arc;
use std::time::Duration;

use super::room::{Room, Told};
use super::{Delivery, GAP_PATIENCE, Way};
use crate::chat::room::RoomId;
use crate::protocol;
use crate::store::{History, Page, StoreError};

/// Entries fetched at once.
const PAGE_ENTRIES: u32 = 200;

/// Pauses between attempts when the store does not answer. They double.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

impl Delivery {
    /// Has the line mended, unless that is being done or it is whole.
    pub(super) fn mend(&self, name: &RoomId, room: &Arc<Room>) {
        if room.needs_mending() {
            let work = self.clone().repair(name.clone(), Arc::clone(room));
            self.until_stopped(work);
        }
    }

    async fn repair(self, name: RoomId, room: Arc<Room>) {
        let mut pause = PAUSE_MIN;
        while let Some(missing) = room.still_missing() {
            tokio::time::sleep(GAP_PATIENCE).await;
            let is_stuck = room.missing().is_some_and(|now| now.after == missing.after);
            if !is_stuck {
                continue;
            }
            if !self.0.outlet.has_members(&name) {
                // Nobody is here to see it; whoever comes begins anew.
                return room.retire(&self.0.recent_bytes);
            }
            match self.fetch(&name, &room).await {
                Ok(()) => pause = PAUSE_MIN,
                Err(error) => {
                    tracing::warn!(room = %name, %error, "missed messages not read");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Looks where the room's log ends, as often as it takes, and has fetched what is missing.
    pub(super) async fn check_until_known(&self, name: &RoomId) {
        let mut pause = PAUSE_MIN;
        while self.check(std::slice::from_ref(name)).await.is_err() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            if !self.0.outlet.has_members(name) {
                return;
            }
        }
    }

    async fn fetch(&self, name: &RoomId, room: &Room) -> Result<(), StoreError> {
        // An error means that the semaphore was closed, which nobody does.
        let _permit = self.0.repairs.acquire().await.ok();
        let mut repaired = 0;
        while let Some(missing) = room.missing() {
            let page = Page::After {
                after: missing.after,
                limit: PAGE_ENTRIES,
            };
            let history = self.0.reader.page(name, page).await?;
            let end = (!history.has_more).then_some((missing, history.last_seq));
            repaired += room.fill(told(&history), end, |told| self.0.show(name, told));
            if !history.has_more {
                break;
            }
        }
        if repaired > 0 {
            self.0.metrics.delivery.gaps_repaired_total.inc();
            tracing::debug!(room = %name, repaired, "fetched what did not come by itself");
        }
        Ok(())
    }
}

fn told(history: &History) -> Vec<(u64, Told)> {
    let told = |message| {
        let event = protocol::told(message)?;
        let (way, made_ms) = (Way::Repair, Some(message.timestamp_ms));
        Some((
            message.seq,
            Told {
                event,
                way,
                made_ms,
            },
        ))
    };
    history.messages.iter().filter_map(told).collect()
}
