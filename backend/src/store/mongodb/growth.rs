//! Which rooms there are, where their logs end, and which of them have grown.

use futures_util::TryStreamExt as _;
use mongodb::bson::{self, Document, doc};

use super::log::{self, Log};
use super::row;
use crate::chat::room::RoomId;
use crate::store::{Ends, Grown, Mark, StoreError};

/// Between an entry's id, which holds the time of its admission, and its being seen in the store: the way through the append queue, and
/// clocks that differ. What takes longer is found by whoever looks through all rooms.
const LATENESS_MAX_MS: i64 = 10_000;

/// Entries that one question is about. In a flood the newest are left to the next questions.
const ENTRIES_MAX: i64 = 50_000;

/// This sort with this group lets MongoDB jump from room to room through the index, as in `Log::tails`.
pub(super) async fn ends(
    log: &Log,
    after: Option<&RoomId>,
    limit: u32,
) -> Result<Ends, StoreError> {
    let behind = after.map_or("", RoomId::as_str);
    let found = log.documents.aggregate([
        doc! { "$match": { "roomId": { "$gt": behind } } },
        doc! { "$sort": { "roomId": -1, "seq": -1 } },
        doc! { "$group": { "_id": "$roomId", "seq": { "$first": "$seq" } } },
        doc! { "$sort": { "_id": 1 } },
        doc! { "$limit": i64::from(limit) },
    ]);
    let found = found.await.map_err(|why| log::failure(&why))?;
    let found: Vec<Document> = found
        .try_collect()
        .await
        .map_err(|why| log::failure(&why))?;
    Ok(Ends {
        rooms: readable(&found)?,
        epoch: log.epoch.clone(),
    })
}

/// Ids are UUIDs of version 7: they begin with the milliseconds of the admission, and `_id` has an index. A mark is a time.
pub(super) async fn grown(
    log: &Log,
    since: Option<Mark>,
    now_ms: i64,
) -> Result<Grown, StoreError> {
    let settled_ms = now_ms.saturating_sub(LATENESS_MAX_MS);
    let Some(Mark(since_ms)) = since else {
        let mark = Mark(settled_ms);
        return Ok(Grown {
            rooms: Vec::new(),
            mark,
        });
    };
    let found = log.documents.aggregate([
        doc! { "$match": { "_id": { "$gte": first_id(since_ms) } } },
        doc! { "$sort": { "_id": 1 } },
        doc! { "$limit": ENTRIES_MAX },
        doc! { "$group": { "_id": "$roomId", "seq": { "$max": "$seq" }, "id": { "$max": "$_id" }, "count": { "$sum": 1 } } },
    ]);
    let found = found.await.map_err(|why| log::failure(&why))?;
    let found: Vec<Document> = found
        .try_collect()
        .await
        .map_err(|why| log::failure(&why))?;
    let counts = found.iter().filter_map(|room| room.get_i32("count").ok());
    let is_cut = counts.map(i64::from).sum::<i64>() >= ENTRIES_MAX;
    let newest_ms = found.iter().filter_map(time_of).max();
    let mark_ms = match newest_ms.filter(|_| is_cut) {
        Some(newest_ms) => newest_ms.min(settled_ms),
        None => settled_ms,
    };
    Ok(Grown {
        rooms: readable(&found)?,
        mark: Mark(mark_ms.max(since_ms)),
    })
}

/// The lowest id of this time.
fn first_id(ms: i64) -> bson::Uuid {
    let ms = u128::try_from(ms).unwrap_or(0);
    bson::Uuid::from_bytes((ms << 80).to_be_bytes())
}

fn time_of(room: &Document) -> Option<i64> {
    let bson::Bson::Binary(id) = room.get("id")? else {
        return None;
    };
    let bytes: [u8; 16] = id.bytes.as_slice().try_into().ok()?;
    i64::try_from(u128::from_be_bytes(bytes) >> 80).ok()
}

/// What is no name of a room today is somebody else's doing, and nobody reads there.
fn readable(found: &[Document]) -> Result<Vec<(RoomId, u64)>, StoreError> {
    let named = |end: &Document| RoomId::parse(end.get_str("_id").ok()?).ok();
    let foreign =
        |why| StoreError::Broken(format!("a document of `messages` is not Berth's: {why}"));
    found
        .iter()
        .filter_map(|end| Some((named(end)?, end)))
        .map(|(room, end)| Ok((room, row::count(end.get_i64("seq").map_err(foreign)?)?)))
        .collect()
}
