//! Webhooks in MongoDB, beside the messages: `webhooks`, `webhookRecords` (leases and standings) and `webhookCursors`.
//!
//! Leases are judged by MongoDB's clock, so the clocks of the hosts do not matter.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};

use super::{Cursor, Record, Standing, Webhook, WebhookId, Webhooks, WebhooksError};
use crate::chat::room::RoomId;
use crate::store::StoreError;
use crate::store::mongodb::keeper::{DUPLICATE_KEY, Durable, Keeper, within};

mod document;

/// Webhooks in MongoDB, which may be away at start; each call tries again.
#[derive(Debug)]
pub struct MongoWebhooks(Keeper<Opened>);

struct Opened {
    webhooks: Collection<Document>,
    records: Collection<Document>,
    cursors: Collection<Document>,
}

impl MongoWebhooks {
    /// Checks the URI; connects at the first use.
    ///
    /// # Errors
    /// [`WebhooksError::Broken`] when the text is not a connection string.
    pub fn connect(uri: &str) -> Result<Self, WebhooksError> {
        Ok(Self(Keeper::at(uri)?))
    }

    async fn opened(&self) -> Result<&Opened, WebhooksError> {
        self.0.opened(open).await
    }

    /// Changes what is on record of a webhook, and makes the record when there is none.
    async fn change(&self, id: &WebhookId, change: Document) -> Result<(), WebhooksError> {
        within(async {
            let records = &self.opened().await?.records;
            let one = doc! { "_id": id.as_str() };
            records.update_one(one, change).upsert(true).await?;
            Ok(())
        })
        .await
    }
}

async fn open(database: Durable) -> Result<Opened, WebhooksError> {
    Ok(Opened {
        webhooks: database.collection("webhooks"),
        records: database.collection("webhookRecords"),
        cursors: database.collection("webhookCursors"),
    })
}

impl From<Error> for WebhooksError {
    fn from(error: Error) -> Self {
        match &*error.kind {
            ErrorKind::BsonDeserialization(_)
            | ErrorKind::BsonSerialization(_)
            | ErrorKind::Bson(_)
            | ErrorKind::InvalidArgument { .. }
            | ErrorKind::InvalidResponse { .. } => Self::Broken(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<StoreError> for WebhooksError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Unavailable(why),
            StoreError::Broken(why) => Self::Broken(why),
        }
    }
}

/// Whether all that went wrong with an insertion is that some documents were there.
fn is_only_duplicates(error: &Error) -> bool {
    let ErrorKind::InsertMany(failure) = &*error.kind else {
        return false;
    };
    let failures = failure.write_errors.as_deref().unwrap_or_default();
    failure.write_concern_error.is_none()
        && !failures.is_empty()
        && failures.iter().all(|one| one.code == DUPLICATE_KEY)
}

fn place(id: &WebhookId, room: &RoomId) -> Document {
    doc! { "webhookId": id.as_str(), "roomId": room.as_str() }
}

#[async_trait]
impl Webhooks for MongoWebhooks {
    async fn create(&self, webhook: &Webhook) -> Result<(), WebhooksError> {
        within(async {
            let webhooks = &self.opened().await?.webhooks;
            webhooks.insert_one(document::of(webhook)).await?;
            Ok(())
        })
        .await
    }

    async fn remove(&self, id: &WebhookId) -> Result<bool, WebhooksError> {
        within(async {
            let opened = self.opened().await?;
            let one = doc! { "_id": id.as_str() };
            let removed = opened.webhooks.delete_one(one.clone()).await?;
            opened.records.delete_one(one).await?;
            // A range of the index that `_id` has: cursors of one webhook lie together.
            let its = doc! { "_id": {
                "$gte": { "webhookId": id.as_str(), "roomId": "" },
                "$lt": { "webhookId": id.as_str(), "roomId": Bson::MaxKey },
            } };
            opened.cursors.delete_many(its).await?;
            Ok(removed.deleted_count == 1)
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Webhook>, WebhooksError> {
        within(async {
            let webhooks = &self.opened().await?.webhooks;
            let found = webhooks.find(doc! {}).sort(doc! { "_id": 1 }).await?;
            let found: Vec<Document> = found.try_collect().await?;
            found.iter().map(document::webhook).collect()
        })
        .await
    }

    async fn records(&self) -> Result<Vec<Record>, WebhooksError> {
        within(async {
            let records = &self.opened().await?.records;
            let held = doc! { "$gt": ["$heldUntil", "$$NOW"] };
            let found = records.aggregate([
                doc! { "$sort": { "_id": 1 } },
                doc! { "$addFields": { "holder": { "$cond": [held, "$holder", Bson::Null] } } },
            ]);
            let found: Vec<Document> = found.await?.try_collect().await?;
            Ok(found.iter().filter_map(document::record).collect())
        })
        .await
    }

    async fn begin(
        &self,
        id: &WebhookId,
        places: &[(RoomId, Cursor)],
    ) -> Result<(), WebhooksError> {
        if places.is_empty() {
            return Ok(());
        }
        within(async {
            let cursors = &self.opened().await?.cursors;
            let new = places.iter().map(|(room, cursor)| {
                let mut new = doc! { "_id": place(id, room) };
                new.extend(document::cursor(cursor));
                new
            });
            match cursors.insert_many(new).ordered(false).await {
                Err(error) if !is_only_duplicates(&error) => Err(error.into()),
                Ok(_) | Err(_) => Ok(()),
            }
        })
        .await
    }

    async fn set_begun(&self, id: &WebhookId) -> Result<(), WebhooksError> {
        self.change(id, doc! { "$set": { "isBegun": true } }).await
    }

    async fn cursors(
        &self,
        id: &WebhookId,
        rooms: &[RoomId],
    ) -> Result<Vec<Option<Cursor>>, WebhooksError> {
        within(async {
            let cursors = &self.opened().await?.cursors;
            let places: Vec<Document> = rooms.iter().map(|room| place(id, room)).collect();
            let found = cursors.find(doc! { "_id": { "$in": places } }).await?;
            let found: Vec<Document> = found.try_collect().await?;
            document::cursors(&found, rooms)
        })
        .await
    }

    async fn move_cursor(
        &self,
        id: &WebhookId,
        room: &RoomId,
        cursor: &Cursor,
    ) -> Result<(), WebhooksError> {
        within(async {
            let cursors = &self.opened().await?.cursors;
            let one = doc! { "_id": place(id, room) };
            let to = document::cursor(cursor);
            let (seq, epoch) = (to.get("seq").cloned(), to.get("epoch").cloned());
            let is_same = doc! { "$eq": ["$epoch", epoch.clone()] };
            let forward = doc! { "$cond": [is_same, { "$max": ["$seq", seq.clone()] }, seq] };
            let update = vec![doc! { "$set": { "seq": forward, "epoch": epoch } }];
            cursors.update_one(one, update).upsert(true).await?;
            Ok(())
        })
        .await
    }

    async fn claim(
        &self,
        ids: &[WebhookId],
        holder: &str,
        lease: Duration,
    ) -> Result<Vec<WebhookId>, WebhooksError> {
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        within(async {
            let records = &self.opened().await?.records;
            let mut taken = Vec::new();
            for id in ids {
                // An upsert cannot ask for the time: the record comes first.
                let one = doc! { "_id": id.as_str() };
                let make = doc! { "$setOnInsert": { "isBegun": false } };
                records.update_one(one, make).upsert(true).await?;
                let is_free = doc! { "$lte": ["$heldUntil", "$$NOW"] };
                let is_ours = doc! { "$eq": ["$holder", holder] };
                let free = doc! { "_id": id.as_str(), "$expr": { "$or": [is_ours, is_free] } };
                let until = doc! { "$add": ["$$NOW", lease_ms] };
                let take = vec![doc! { "$set": { "holder": holder, "heldUntil": until } }];
                if records.update_one(free, take).await?.matched_count == 1 {
                    taken.push(id.clone());
                }
            }
            Ok(taken)
        })
        .await
    }

    async fn release(&self, id: &WebhookId, holder: &str) -> Result<(), WebhooksError> {
        within(async {
            let records = &self.opened().await?.records;
            let ours = doc! { "_id": id.as_str(), "holder": holder };
            let free = doc! { "$unset": { "holder": "", "heldUntil": "" } };
            records.update_one(ours, free).await?;
            Ok(())
        })
        .await
    }

    async fn set_standing(&self, id: &WebhookId, standing: &Standing) -> Result<(), WebhooksError> {
        self.change(id, doc! { "$set": document::standing(standing) })
            .await
    }

    async fn resume(&self, id: &WebhookId, now_ms: i64) -> Result<(), WebhooksError> {
        self.change(id, doc! { "$set": { "resumedMs": now_ms } })
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::{MongoWebhooks, Webhooks, WebhooksError};
    use crate::contract::Fixture;
    use crate::store::mongodb::tests::OwnDatabase;

    #[async_trait]
    impl Fixture<dyn Webhooks> for OwnDatabase {
        async fn open(&self) -> Arc<dyn Webhooks> {
            Arc::new(MongoWebhooks::connect(&self.uri().await).unwrap())
        }
    }

    mod needs_mongo_contract {
        use super::OwnDatabase;
        use crate::webhooks::contract::webhooks_contract;

        webhooks_contract!(OwnDatabase);
    }

    #[test]
    fn a_uri_that_makes_no_sense_is_refused_without_its_password() {
        let Err(WebhooksError::Broken(why)) = MongoWebhooks::connect("mongodb://ann:pa@ss@/")
        else {
            panic!("it is taken");
        };
        assert!(!why.contains("pa@ss"), "{why}");
    }
}
