//! Messages by their words: the terms of `chat::search`, kept in each message's document and found by an index.

use futures_util::TryStreamExt as _;
use mongodb::bson::{self, Bson, Document, doc};

use super::fold;
use super::log::{self, Log};
use super::row::Row;
use crate::chat::room::RoomId;
use crate::chat::search::{Needle, terms};
use crate::store::{Found, Search, SearchMark, StoreError};

/// Messages that one question looks at, found or not.
const EXAMINED_MAX: i64 = 2_000;

/// Messages that are taken up in one round, of a log that was written before there was a search.
const TAKEN_UP_AT_ONCE: i64 = 500;

/// The newest first: ids begin with the time.
pub(super) async fn search(log: &Log, search: &Search) -> Result<Found, StoreError> {
    finish_pending(log, search.room.as_ref()).await?;
    let mut found = log
        .messages
        .find(question(search))
        .sort(doc! { "_id": -1 })
        .limit(EXAMINED_MAX)
        .projection(doc! { "words": 0 })
        .await
        .map_err(|why| log::failure(&why))?;
    let wanted = usize::try_from(search.limit.max(1)).unwrap_or(usize::MAX);
    let (mut messages, mut examined, mut last) = (Vec::new(), 0, None);
    while messages.len() < wanted
        && let Some(row) = found.try_next().await.map_err(|why| log::failure(&why))?
    {
        examined += 1;
        last = Some(SearchMark(u128::from_be_bytes(row.id.bytes())));
        // What is no name of a room today is somebody else's doing.
        let Ok(room) = RoomId::parse(row.room_id()) else {
            continue;
        };
        let message = row.into_message(&room)?;
        messages.extend(Some(message).filter(|message| search.finds(message)));
    }
    let is_end = messages.len() < wanted && examined < EXAMINED_MAX;
    let next = last.filter(|_| !is_end);
    Ok(Found { messages, next })
}

/// What was changed before the question is shown, and found, as changed. There is hardly ever anything to do.
async fn finish_pending(log: &Log, room: Option<&RoomId>) -> Result<(), StoreError> {
    if let Some(room) = room {
        return fold::finish_pending(log, room).await;
    }
    let rooms = log
        .documents
        .distinct("roomId", doc! { "pending": true })
        .await
        .map_err(|why| log::failure(&why))?;
    for room in rooms.iter().filter_map(Bson::as_str) {
        if let Ok(room) = RoomId::parse(room) {
            fold::finish_pending(log, &room).await?;
        }
    }
    Ok(())
}

fn question(search: &Search) -> Document {
    let needles = search.query.needles();
    let words = needles.iter().map(|needle| match needle {
        Needle::Whole(term) => doc! { "words": term },
        // Letters and digits alone: nothing in it is syntax.
        Needle::Beginning(term) => doc! { "words": { "$regex": format!("^{term}") } },
    });
    let mut question = doc! { "$and": words.collect::<Vec<Document>>() };
    if let Some(room) = &search.room {
        question.insert("roomId", room.as_str());
    }
    if let Some(SearchMark(before)) = search.before {
        let before = bson::Uuid::from_bytes(before.to_be_bytes());
        question.insert("_id", doc! { "$lt": before });
    }
    question
}

/// The terms of a message's text, as its document has them.
pub(super) fn words(content: &str) -> Vec<String> {
    terms(content).into_iter().collect()
}

/// Takes up the messages of a log that was written before there was a search, once for each database. Whoever comes second does the same.
pub(super) async fn take_up(log: &Log) -> Result<(), StoreError> {
    let done = doc! { "_id": "search" };
    let failure = |why| log::failure(&why);
    if log
        .meta
        .find_one(done.clone())
        .await
        .map_err(failure)?
        .is_some()
    {
        return Ok(());
    }
    let mut behind = Bson::MinKey;
    loop {
        let missing = doc! { "_id": { "$gt": behind.clone() }, "kind": "message", "words": { "$exists": false } };
        let rows = log.messages.find(missing).sort(doc! { "_id": 1 });
        let rows = rows.limit(TAKEN_UP_AT_ONCE).await.map_err(failure)?;
        let rows: Vec<Row> = rows.try_collect().await.map_err(failure)?;
        let Some(last) = rows.last() else {
            break;
        };
        behind = last.id.into();
        for row in &rows {
            // Unless it was changed meanwhile: then it has its words.
            let one =
                doc! { "_id": row.id, "words": { "$exists": false }, "content": row.content() };
            let update = doc! { "$set": { "words": words(row.content()) } };
            log.documents
                .update_one(one, update)
                .await
                .map_err(failure)?;
        }
    }
    let kept = log
        .meta
        .update_one(done, doc! { "$set": { "value": "whole" } });
    kept.upsert(true).await.map_err(failure)?;
    Ok(())
}
