//! Webhooks in memory: for tests and for trying things out. They end with the process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Cursor, Record, Standing, Webhook, WebhookId, Webhooks, WebhooksError};
use crate::chat::room::RoomId;
use crate::clock;

/// Webhooks that are forgotten. Share it in an `Arc` to have several instances on the same ones.
#[derive(Debug, Default)]
pub struct MemoryWebhooks(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    webhooks: BTreeMap<WebhookId, Webhook>,
    records: BTreeMap<WebhookId, Own>,
}

/// What is kept of one.
#[derive(Debug, Default)]
struct Own {
    is_begun: bool,
    lease: Option<(String, Instant)>,
    standing: Standing,
    resumed_ms: i64,
    cursors: HashMap<RoomId, Cursor>,
}

impl MemoryWebhooks {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, id: &WebhookId, change: impl FnOnce(&mut Own)) {
        change(self.kept().records.entry(id.clone()).or_default());
    }
}

impl Own {
    fn holder(&self, now: Instant) -> Option<&str> {
        let (holder, until) = self.lease.as_ref()?;
        (*until > now).then_some(holder)
    }
}

#[async_trait]
impl Webhooks for MemoryWebhooks {
    async fn create(&self, webhook: &Webhook) -> Result<(), WebhooksError> {
        let mut kept = self.kept();
        kept.webhooks.insert(webhook.id.clone(), webhook.clone());
        Ok(())
    }

    async fn remove(&self, id: &WebhookId) -> Result<bool, WebhooksError> {
        let mut kept = self.kept();
        kept.records.remove(id);
        Ok(kept.webhooks.remove(id).is_some())
    }

    async fn list(&self) -> Result<Vec<Webhook>, WebhooksError> {
        Ok(self.kept().webhooks.values().cloned().collect())
    }

    async fn records(&self) -> Result<Vec<Record>, WebhooksError> {
        let now = clock::monotonic();
        let record = |(id, own): (&WebhookId, &Own)| Record {
            id: id.clone(),
            is_begun: own.is_begun,
            holder: own.holder(now).map(str::to_owned),
            standing: own.standing.clone(),
            resumed_ms: own.resumed_ms,
        };
        Ok(self.kept().records.iter().map(record).collect())
    }

    async fn begin(
        &self,
        id: &WebhookId,
        places: &[(RoomId, Cursor)],
    ) -> Result<(), WebhooksError> {
        self.change(id, |own| {
            for (room, cursor) in places {
                let place = own.cursors.entry(room.clone());
                place.or_insert_with(|| cursor.clone());
            }
        });
        Ok(())
    }

    async fn set_begun(&self, id: &WebhookId) -> Result<(), WebhooksError> {
        self.change(id, |own| own.is_begun = true);
        Ok(())
    }

    async fn cursors(
        &self,
        id: &WebhookId,
        rooms: &[RoomId],
    ) -> Result<Vec<Option<Cursor>>, WebhooksError> {
        let kept = self.kept();
        let own = kept.records.get(id);
        let cursor = |room: &RoomId| own?.cursors.get(room).cloned();
        Ok(rooms.iter().map(cursor).collect())
    }

    async fn move_cursor(
        &self,
        id: &WebhookId,
        room: &RoomId,
        cursor: &Cursor,
    ) -> Result<(), WebhooksError> {
        self.change(id, |own| {
            let place = own.cursors.entry(room.clone());
            let place = place.or_insert_with(|| cursor.clone());
            if place.epoch != cursor.epoch || place.seq < cursor.seq {
                *place = cursor.clone();
            }
        });
        Ok(())
    }

    async fn claim(
        &self,
        ids: &[WebhookId],
        holder: &str,
        lease: Duration,
    ) -> Result<Vec<WebhookId>, WebhooksError> {
        let now = clock::monotonic();
        let mut kept = self.kept();
        let mut taken = Vec::new();
        for id in ids {
            let own = kept.records.entry(id.clone()).or_default();
            if own.holder(now).is_none_or(|other| other == holder) {
                own.lease = Some((holder.to_owned(), now + lease));
                taken.push(id.clone());
            }
        }
        Ok(taken)
    }

    async fn release(&self, id: &WebhookId, holder: &str) -> Result<(), WebhooksError> {
        self.change(id, |own| {
            own.lease.take_if(|(other, _)| other == holder);
        });
        Ok(())
    }

    async fn set_standing(&self, id: &WebhookId, standing: &Standing) -> Result<(), WebhooksError> {
        self.change(id, |own| own.standing = standing.clone());
        Ok(())
    }

    async fn resume(&self, id: &WebhookId, now_ms: i64) -> Result<(), WebhooksError> {
        self.change(id, |own| own.resumed_ms = now_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::{MemoryWebhooks, Webhooks};
    use crate::contract::Fixture;
    use crate::webhooks::contract::webhooks_contract;

    #[async_trait]
    impl Fixture<dyn Webhooks> for Arc<MemoryWebhooks> {
        async fn open(&self) -> Arc<dyn Webhooks> {
            self.clone()
        }
    }

    webhooks_contract!(Arc<MemoryWebhooks>);
}
