//! The database itself, past the backends.

use std::path::Path;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use super::Entry;
use crate::record::RoomId;
use crate::rooms::Rooms;

/// # Errors
/// When the file cannot be read.
pub(super) fn sqlite(file: &Path, names: &Rooms, rooms: RoomId) -> rusqlite::Result<Vec<Entry>> {
    let database = rusqlite::Connection::open(file)?;
    let mut statement = database
        .prepare("SELECT seq, kind, content FROM messages WHERE room_id = ?1 ORDER BY seq")?;
    let mut log = Vec::new();
    for room in 0..rooms {
        let mut rows = statement.query([names.name(room)])?;
        while let Some(row) = rows.next()? {
            let seq = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            let (kind, content) = (row.get(1)?, row.get(2)?);
            log.push(Entry {
                room,
                seq,
                kind,
                content,
            });
        }
    }
    Ok(log)
}

/// # Errors
/// When MongoDB cannot be read.
pub(super) async fn mongodb(
    uri: &str,
    names: &Rooms,
    rooms: RoomId,
) -> mongodb::error::Result<Vec<Entry>> {
    let client = mongodb::Client::with_uri_str(uri).await?;
    let database = client
        .default_database()
        .ok_or_else(|| mongodb::error::Error::custom("the URI names no database".to_owned()))?;
    let messages = database.collection::<Document>("messages");
    let mut log = Vec::new();
    for room in 0..rooms {
        let mut found = messages
            .find(doc! { "roomId": names.name(room) })
            .sort(doc! { "seq": 1 })
            .await?;
        while let Some(row) = found.try_next().await? {
            let seq = row
                .get_i64("seq")
                .ok()
                .and_then(|seq| u64::try_from(seq).ok());
            let text = |key: &str| row.get_str(key).unwrap_or_default().to_owned();
            let (kind, content) = (text("kind"), text("content"));
            log.push(Entry {
                room,
                seq: seq.unwrap_or(0),
                kind,
                content,
            });
        }
    }
    client.shutdown().await;
    Ok(log)
}
