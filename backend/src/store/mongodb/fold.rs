//! Brings messages up to date with the changes that the log has of them.
//!
//! A change and its message are two documents, and without transactions a crash can come between them. So a change is inserted with
//! `pending`, which goes away only after its message shows it. Whoever reads a room looks for pending changes first (a tiny partial
//! index, nearly always empty) and finishes what another left behind. The fold is one of `seq`s in order, each applied once: a message
//! keeps the newest change that it shows (`folded`), and an update counts only if nobody has moved that meanwhile.

use futures_util::{TryStreamExt as _, stream};
use mongodb::bson::{self, Document, doc};

use super::log::{self, Log};
use super::row::{self, Row};
use super::search;
use crate::chat::fold;
use crate::chat::message::Message;
use crate::chat::room::RoomId;
use crate::store::StoreError;

/// Messages that are brought up to date at the same time, for one call.
const TARGETS_AT_ONCE: usize = 8;

/// Pending changes that one reader finishes at once. More can only be there after an outage, and the next round takes them.
const PENDING_PER_ROUND: u16 = 1_000;

/// Finishes what whoever appended could not. Nothing is pending afterwards but what came meanwhile.
pub(super) async fn finish_pending(log: &Log, room: &RoomId) -> Result<(), StoreError> {
    loop {
        let pending = log
            .documents
            .find(doc! { "roomId": room.as_str(), "pending": true })
            .projection(doc! { "_id": 0, "refSeq": 1 })
            .limit(i64::from(PENDING_PER_ROUND))
            .await
            .map_err(|why| log::failure(&why))?;
        let pending: Vec<Document> = pending
            .try_collect()
            .await
            .map_err(|why| log::failure(&why))?;
        let targets = pending
            .iter()
            .filter_map(|change| change.get_i64("refSeq").ok());
        fold_targets(log, room, targets.collect()).await?;
        if pending.len() < usize::from(PENDING_PER_ROUND) {
            return Ok(());
        }
    }
}

/// Brings these messages up to date.
pub(super) async fn fold_targets(
    log: &Log,
    room: &RoomId,
    mut targets: Vec<i64>,
) -> Result<(), StoreError> {
    targets.sort_unstable();
    targets.dedup();
    stream::iter(targets.into_iter().map(Ok))
        .try_for_each_concurrent(TARGETS_AT_ONCE, |target| fold_one(log, room, target))
        .await
}

async fn fold_one(log: &Log, room: &RoomId, target: i64) -> Result<(), StoreError> {
    loop {
        let found = log
            .messages
            .find_one(doc! { "roomId": room.as_str(), "seq": target })
            .await
            .map_err(|why| log::failure(&why))?;
        let shown = found.as_ref().and_then(|row| row.folded);
        let changes = changes_after(log, room, target, shown.unwrap_or(0)).await?;
        let newest = match changes.last() {
            Some(change) => row::stored(change.seq)?,
            None => shown.unwrap_or(0),
        };
        if let Some(row) = found {
            let mut message = row.into_message(room)?;
            for change in &changes {
                fold::apply(&mut message, change);
            }
            if !changes.is_empty() && !save(log, &message, shown, newest).await? {
                continue;
            }
            // Also when nothing is new: who saved it may have died before this.
            if message.marks.deleted_at_ms.is_some() {
                forget_edits(log, room, target).await?;
            }
        }
        // No further than what was seen: a change that came meanwhile is still pending.
        return settle(log, room, target, newest).await;
    }
}

async fn changes_after(
    log: &Log,
    room: &RoomId,
    target: i64,
    shown: i64,
) -> Result<Vec<Message>, StoreError> {
    let rows = log
        .messages
        .find(doc! { "roomId": room.as_str(), "refSeq": target, "seq": { "$gt": shown } })
        .sort(doc! { "seq": 1 })
        .await
        .map_err(|why| log::failure(&why))?;
    let rows: Vec<Row> = rows.try_collect().await.map_err(|why| log::failure(&why))?;
    rows.into_iter().map(|row| row.into_message(room)).collect()
}

/// Writes what a message shows, unless somebody else was faster.
async fn save(
    log: &Log,
    message: &Message,
    shown: Option<i64>,
    newest: i64,
) -> Result<bool, StoreError> {
    let marks = &message.marks;
    let date = |ms: Option<i64>| ms.map(bson::DateTime::from_millis);
    let reactions = bson::serialize_to_bson(&marks.reactions)
        .map_err(|why| StoreError::Broken(why.to_string()))?;
    // `null` also finds what is missing.
    let unmoved =
        doc! { "roomId": message.room.as_str(), "seq": row::stored(message.seq)?, "folded": shown };
    let update = doc! { "$set": {
        "content": message.entry.text(),
        "editedAt": date(marks.edited_at_ms),
        "deletedAt": date(marks.deleted_at_ms),
        "reactions": reactions,
        "folded": newest,
        "words": search::words(message.entry.text()),
    } };
    let updated = log
        .messages
        .update_one(unmoved, update)
        .await
        .map_err(|why| log::failure(&why))?;
    Ok(updated.matched_count == 1)
}

/// A deleted message's content is gone wherever it was.
async fn forget_edits(log: &Log, room: &RoomId, target: i64) -> Result<(), StoreError> {
    let edits = doc! { "roomId": room.as_str(), "refSeq": target, "kind": "edit" };
    log.messages
        .update_many(edits, doc! { "$set": { "content": "" } })
        .await
        .map_err(|why| log::failure(&why))?;
    Ok(())
}

async fn settle(log: &Log, room: &RoomId, target: i64, newest: i64) -> Result<(), StoreError> {
    let shown = doc! { "roomId": room.as_str(), "pending": true, "refSeq": target, "seq": { "$lte": newest } };
    log.messages
        .update_many(shown, doc! { "$unset": { "pending": "" } })
        .await
        .map_err(|why| log::failure(&why))?;
    Ok(())
}
