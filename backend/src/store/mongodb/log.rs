//! The prepared log: collections with their concerns, indexes, epoch, known tails, and pages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, RETRYABLE_WRITE_ERROR};
use mongodb::options::{
    Acknowledgment, CollectionOptions, IndexOptions, ReadConcern, ReadPreference, ReturnDocument,
    SelectionCriteria, WriteConcern,
};
use mongodb::{Collection, Database, IndexModel};
use uuid::Uuid;

use super::append;
use super::batch::Batch;
use super::fold;
use super::row::{self, Row};
use crate::chat::message::{Message, Place};
use crate::chat::room::RoomId;
use crate::store::{self, History, Page, StoreError};

/// Unique on `(roomId, seq)`: the fence that makes the log gap-free. MongoDB derives this name from the keys.
pub(super) const INDEX_BY_SEQ: &str = "roomId_1_seq_1";

/// MongoDB's codes for documents or indexes that do not go with ours: DuplicateKey, IndexOptionsConflict, IndexKeySpecsConflict.
const FOREIGN_DATA: [i32; 3] = [11_000, 85, 86];

/// Rooms whose tail is remembered. More are forgotten and read again, which costs one indexed read per append.
const TAILS_MAX: usize = 10_000;

/// A log that is ready: its indexes exist.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) messages: Collection<Row>,
    /// The same documents, for some of their fields.
    pub(super) documents: Collection<Document>,
    /// The same, read without waiting for a majority: only to guess the tail, which the index verifies.
    guesses: Collection<Document>,
    pub(super) meta: Collection<Document>,
    pub(super) epoch: String,
    pub(super) tails: Tails,
}

/// The newest place of each room as this process last knew it; none = to be read. Whoever appends holds the room's lock.
#[derive(Debug, Default)]
pub(super) struct Tails(Mutex<HashMap<RoomId, Tail>>);

type Tail = Arc<tokio::sync::Mutex<Option<Place>>>;

impl Tails {
    pub(super) fn of(&self, room: &RoomId) -> Tail {
        let mut tails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tails.len() >= TAILS_MAX && !tails.contains_key(room) {
            // Those in use stay: two locks for one room would only be slow, but for all rooms at once.
            tails.retain(|_, tail| Arc::strong_count(tail) > 1);
        }
        Arc::clone(tails.entry(room.clone()).or_default())
    }
}

impl Log {
    /// Makes the indexes and the epoch when they are missing.
    pub(super) async fn open(database: &Database) -> Result<Self, StoreError> {
        let messages =
            database.collection_with_options("messages", concerns(ReadConcern::majority()));
        let guesses = database.collection_with_options("messages", concerns(ReadConcern::local()));
        let meta = database.collection_with_options("meta", concerns(ReadConcern::majority()));
        make_indexes(&messages).await?;
        let epoch = draw_epoch(&meta).await?;
        Ok(Self {
            documents: messages.clone_with_type(),
            messages,
            guesses,
            meta,
            epoch,
            tails: Tails::default(),
        })
    }

    /// Whether the database still holds the log that was opened.
    pub(super) async fn is_still_there(&self) -> Result<bool, StoreError> {
        let found = self
            .meta
            .find_one(doc! { "_id": "epoch" })
            .await
            .map_err(|why| failure(&why))?;
        Ok(found.is_some_and(|epoch| {
            epoch
                .get_str("value")
                .is_ok_and(|value| value == self.epoch)
        }))
    }

    /// The newest place of a room.
    pub(super) async fn tail(&self, room: &RoomId) -> Result<Place, StoreError> {
        end_of(&self.guesses, room, -1).await
    }

    /// The stored messages that have the keys of a batch's pending drafts.
    pub(super) async fn find(&self, batch: &Batch) -> Result<Vec<Message>, StoreError> {
        if batch.is_done() {
            return Ok(Vec::new());
        }
        let rows = self
            .messages
            .find(append::filter(batch))
            .await
            .map_err(|why| failure(&why))?;
        let rows: Vec<Row> = rows.try_collect().await.map_err(|why| failure(&why))?;
        rows.into_iter()
            .map(|row| row.into_message(batch.room()))
            .collect()
    }

    /// Ends that the page itself shows are not asked for again.
    pub(super) async fn page(&self, room: &RoomId, page: Page) -> Result<History, StoreError> {
        fold::finish_pending(self, room).await?;
        let (messages, has_more) = self.messages(room, page).await?;
        let (shows_first, shows_last) = match page {
            Page::Latest { .. } => (!has_more, true),
            Page::Before { .. } => (!has_more, false),
            Page::After { .. } => (false, !has_more),
        };
        let (first, last) = (messages.first(), messages.last());
        let first = match first.filter(|_| shows_first) {
            Some(message) => message.place(),
            None => end_of(&self.documents, room, 1).await?,
        };
        let last = match last.filter(|_| shows_last) {
            Some(message) => message.place(),
            None => end_of(&self.documents, room, -1).await?,
        };
        Ok(History {
            messages,
            first_seq: first.seq,
            last_seq: last.seq,
            last_n: last.n,
            has_more,
            epoch: self.epoch.clone(),
        })
    }

    /// MongoDB answers this sort with this group by jumping through the index from room to room (DISTINCT_SCAN), however long the logs
    /// are; with any other pair it reads them whole.
    pub(super) async fn tails(&self, rooms: &[RoomId]) -> Result<store::Tails, StoreError> {
        let names: Vec<&str> = rooms.iter().map(RoomId::as_str).collect();
        let ends = self.documents.aggregate([
            doc! { "$match": { "roomId": { "$in": names } } },
            doc! { "$sort": { "roomId": -1, "seq": -1 } },
            doc! { "$group": { "_id": "$roomId", "seq": { "$first": "$seq" } } },
        ]);
        let ends = ends.await.map_err(|why| failure(&why))?;
        let ends: Vec<Document> = ends.try_collect().await.map_err(|why| failure(&why))?;
        let mut found = HashMap::new();
        for end in &ends {
            let foreign =
                |why| StoreError::Broken(format!("a document of `messages` is not Berth's: {why}"));
            let seq = end.get_i64("seq").map_err(foreign)?;
            found.insert(end.get_str("_id").map_err(foreign)?, row::count(seq)?);
        }
        let tail = |room: &RoomId| found.get(room.as_str()).copied().unwrap_or(0);
        Ok(store::Tails {
            seqs: rooms.iter().map(tail).collect(),
            epoch: self.epoch.clone(),
        })
    }

    async fn messages(
        &self,
        room: &RoomId,
        page: Page,
    ) -> Result<(Vec<Message>, bool), StoreError> {
        let (range, direction, limit) = match page {
            Page::Latest { limit } => (doc! { "$gt": 0_i64 }, -1, limit),
            Page::Before { before, limit } => (doc! { "$lt": row::cursor(before) }, -1, limit),
            Page::After { after, limit } => (doc! { "$gt": row::cursor(after) }, 1, limit),
        };
        // One more than wanted is asked for: its presence is the answer to `has_more`.
        let wanted = limit.max(1);
        let rows = self
            .messages
            .find(doc! { "roomId": room.as_str(), "seq": range })
            .projection(doc! { "words": 0 })
            .sort(doc! { "seq": direction })
            .limit(i64::from(wanted) + 1)
            .await
            .map_err(|why| failure(&why))?;
        let rows: Vec<Row> = rows.try_collect().await.map_err(|why| failure(&why))?;
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let has_more = rows.len() > wanted;
        let messages = rows
            .into_iter()
            .take(wanted)
            .map(|row| row.into_message(room));
        let mut messages: Vec<Message> = messages.collect::<Result<_, _>>()?;
        if direction < 0 {
            messages.reverse();
        }
        Ok((messages, has_more))
    }
}

/// A write is acked when a majority has it in its journal: what is acked survives a failover and a power cut. Reads go to the
/// primary, so that everybody finds what was acked to anybody.
fn concerns(read: ReadConcern) -> CollectionOptions {
    let write = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build();
    CollectionOptions::builder()
        .read_concern(read)
        .write_concern(write)
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build()
}

async fn make_indexes(messages: &Collection<Row>) -> Result<(), StoreError> {
    let unique = || IndexOptions::builder().unique(true);
    let by_seq = IndexModel::builder()
        .keys(doc! { "roomId": 1, "seq": 1 })
        .options(unique().build())
        .build();
    let once = IndexModel::builder()
        .keys(doc! { "roomId": 1, "senderId": 1, "clientMsgId": 1 })
        .options(
            unique()
                .partial_filter_expression(doc! { "clientMsgId": { "$exists": true } })
                .build(),
        )
        .build();
    // What was done to a message, and what is not yet shown by one.
    let changes = IndexModel::builder()
        .keys(doc! { "roomId": 1, "refSeq": 1, "seq": 1 })
        .options(
            IndexOptions::builder()
                .partial_filter_expression(doc! { "refSeq": { "$exists": true } })
                .build(),
        )
        .build();
    let pending = IndexModel::builder()
        .keys(doc! { "roomId": 1, "pending": 1, "refSeq": 1 })
        .options(
            IndexOptions::builder()
                .partial_filter_expression(doc! { "pending": true })
                .build(),
        )
        .build();
    // What is found is in the order of the ids; the room is there so that others' documents are not fetched.
    let words = IndexModel::builder()
        .keys(doc! { "words": 1, "_id": -1, "roomId": 1 })
        .options(
            IndexOptions::builder()
                .partial_filter_expression(doc! { "words": { "$exists": true } })
                .build(),
        )
        .build();
    match messages
        .create_indexes([by_seq, once, changes, pending, words])
        .await
    {
        Ok(_) => Ok(()),
        Err(why) => match &*why.kind {
            ErrorKind::Command(refused) if FOREIGN_DATA.contains(&refused.code) => {
                Err(StoreError::Broken(format!(
                    "the collection `messages` cannot have Berth's unique indexes ({}); \
                 choose a database of its own in the URI's path",
                    refused.message
                )))
            }
            _ => Err(failure(&why)),
        },
    }
}

/// Whoever comes first draws it. A wiped database has another one.
async fn draw_epoch(meta: &Collection<Document>) -> Result<String, StoreError> {
    let draw = doc! { "$setOnInsert": { "value": Uuid::new_v4().to_string() } };
    let epoch = meta
        .find_one_and_update(doc! { "_id": "epoch" }, draw)
        .upsert(true)
        .return_document(ReturnDocument::After)
        .await
        .map_err(|why| failure(&why))?;
    let value = epoch.as_ref().and_then(|epoch| epoch.get_str("value").ok());
    value
        .map(str::to_owned)
        .ok_or_else(|| StoreError::Broken("the epoch has no value".to_owned()))
}

/// The first (`direction` 1) or last (-1) place of a room, or the default for an empty log.
async fn end_of(
    messages: &Collection<Document>,
    room: &RoomId,
    direction: i32,
) -> Result<Place, StoreError> {
    let end = messages
        .find_one(doc! { "roomId": room.as_str() })
        .sort(doc! { "seq": direction })
        .projection(doc! { "_id": 0, "seq": 1, "n": 1 })
        .await
        .map_err(|why| failure(&why))?;
    let Some(end) = end else {
        return Ok(Place::default());
    };
    let seq = end.get_i64("seq").map_err(|why| {
        StoreError::Broken(format!("a document of `messages` is not Berth's: {why}"))
    })?;
    row::place(seq, end.get_i64("n").ok())
}

/// Whether the cause may be gone a moment later: a connection that broke, an election.
pub(super) fn may_pass(error: &Error) -> bool {
    error.contains_label(RETRYABLE_WRITE_ERROR)
        || matches!(
            *error.kind,
            ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. }
        )
}

/// The driver's error as the store's.
pub(super) fn failure(error: &Error) -> StoreError {
    match &*error.kind {
        ErrorKind::BsonDeserialization(_)
        | ErrorKind::BsonSerialization(_)
        | ErrorKind::Bson(_)
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::InvalidResponse { .. } => StoreError::Broken(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}
