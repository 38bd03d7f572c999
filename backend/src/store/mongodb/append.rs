//! Optimistic append: insert behind the tail we know, and let the unique indexes say who was faster.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, InsertManyError};
use rand::Rng;

use super::batch::Batch;
use super::log::{self, Log};
use crate::store::StoreError;

/// MongoDB's code for a unique index that says no.
const DUPLICATE_KEY: i32 = 11_000;

/// The longest pause between attempts. Rivals of a busy room each need some commits of a few milliseconds.
const PAUSE_MS_MAX: u64 = 64;

/// What became of an ordered insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    All,
    /// Somebody else has the seq of the row behind the first `stored`.
    SeqTaken {
        stored: usize,
    },
    /// The row behind the first `stored` exists already: as `(sender, clientMsgId)`, or as our own from an attempt before.
    Exists {
        stored: usize,
    },
    /// MongoDB does not take the row behind the first `stored`, whatever its seq.
    Refused {
        stored: usize,
        why: String,
    },
    /// It may have been carried out, wholly or in part.
    Unknown(String),
    /// It failed, and trying again soon would fail too.
    Failed(StoreError),
}

/// Appends until every draft is settled. Bounded by the caller's time limit; dropping it at any point is safe.
pub(super) async fn append(log: &Log, batch: &mut Batch) -> Result<(), StoreError> {
    // Rivals in this process queue here instead of spoiling each other's inserts.
    let known_tail = log.tails.of(batch.room());
    let mut known_tail = known_tail.lock().await;
    let mut failures = 0;
    while !batch.is_done() {
        // Until the answer is in, the tail is not known: this future may be dropped while it waits.
        let tail = match known_tail.take() {
            Some(tail) => tail,
            None => log.tail(batch.room()).await?,
        };
        let inserted = match log.messages.insert_many(batch.rows(tail)?).await {
            Ok(_) => Inserted::All,
            Err(why) => judge(&why),
        };
        match inserted {
            Inserted::All => *known_tail = Some(batch.stored(usize::MAX, tail)),
            Inserted::SeqTaken { stored } => {
                batch.stored(stored, tail);
                pause(&mut failures).await;
            }
            Inserted::Exists { stored } => {
                let tail = batch.stored(stored, tail);
                if batch.found(&log.find(batch).await?) {
                    *known_tail = Some(tail);
                } else {
                    // It is there, but no majority has it yet; acking it now could turn out a lie.
                    pause(&mut failures).await;
                }
            }
            Inserted::Refused { stored, why } => {
                *known_tail = Some(batch.stored(stored, tail));
                batch.refuse_first(StoreError::Broken(why));
            }
            Inserted::Unknown(why) => {
                tracing::debug!(why, "an insert's outcome is unknown; trying again");
                batch.set_uncertain();
                pause(&mut failures).await;
            }
            Inserted::Failed(why) => return Err(why),
        }
    }
    Ok(())
}

/// The documents that have the keys of the pending drafts.
pub(super) fn filter(batch: &Batch) -> Document {
    let keys: Vec<Document> = batch
        .pending()
        .map(|draft| doc! { "senderId": &draft.sender.id, "clientMsgId": &draft.client_msg_id })
        .collect();
    doc! { "roomId": batch.room().as_str(), "$or": keys }
}

/// What an error of an ordered insert means for its rows.
fn judge(error: &Error) -> Inserted {
    match &*error.kind {
        ErrorKind::InsertMany(InsertManyError {
            write_errors,
            write_concern_error: None,
            ..
        }) => {
            let Some(first) = write_errors.as_ref().and_then(|errors| errors.first()) else {
                return Inserted::Unknown(error.to_string());
            };
            let stored = first.index;
            match (first.code, conflicting_index(&first.message)) {
                (DUPLICATE_KEY, Some(log::INDEX_BY_SEQ)) => Inserted::SeqTaken { stored },
                (DUPLICATE_KEY, _) => Inserted::Exists { stored },
                _ => Inserted::Refused {
                    stored,
                    why: first.message.clone(),
                },
            }
        }
        // The rows are there, but not on a majority: a failover may take them back.
        ErrorKind::InsertMany(_) => Inserted::Unknown(error.to_string()),
        _ if log::may_pass(error) => Inserted::Unknown(error.to_string()),
        _ => Inserted::Failed(log::failure(error)),
    }
}

/// The index's name in `E11000 duplicate key error collection: db.messages index: NAME dup key: { … }`. What users wrote comes
/// behind it, and neither database nor collection names have spaces.
fn conflicting_index(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once(" index: ")?;
    rest.split_once(" dup key").map(|(name, _)| name)
}

/// Waits a random time, doubling in the mean, so that rivals do not meet again.
async fn pause(failures: &mut u32) {
    let most = (1_u64 << (*failures).min(6)).min(PAUSE_MS_MAX);
    *failures += 1;
    let pause = rand::rng().random_range(0..=most * 1000);
    tokio::time::sleep(Duration::from_micros(pause)).await;
}

#[cfg(test)]
mod tests {
    use super::conflicting_index;

    #[test]
    fn the_index_is_the_servers_word_not_the_users() {
        let message = |index: &str, key: &str| {
            format!(
                "E11000 duplicate key error collection: chat.messages index: {index} dup key: {{ {key} }}"
            )
        };
        let forged = "roomId: \"x index: roomId_1_seq_1 dup key\", seq: 1";
        for index in [
            "roomId_1_seq_1",
            "_id_",
            "roomId_1_senderId_1_clientMsgId_1",
        ] {
            assert_eq!(conflicting_index(&message(index, "seq: 1")), Some(index));
            assert_eq!(conflicting_index(&message(index, forged)), Some(index));
        }
        assert_eq!(conflicting_index("E11000 something else"), None);
    }
}
