//! A message as a row, both ways.

use rusqlite::{Row, types::Type};
use uuid::Uuid;

use crate::chat::message::{Message, Sender};
use crate::chat::room::RoomId;

/// The columns that [`read`] expects, in its order.
pub(super) const COLUMNS: &str =
    "seq, id, type, content, sender_id, sender_name, client_msg_id, timestamp_ms";

pub(super) fn read(row: &Row<'_>, room: &RoomId) -> rusqlite::Result<Message> {
    let seq: i64 = row.get(0)?;
    let id: String = row.get(1)?;
    Ok(Message {
        seq: u64::try_from(seq).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, seq))?,
        id: Uuid::parse_str(&id).map_err(|why| {
            rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(why))
        })?,
        room: room.clone(),
        kind: row.get(2)?,
        content: row.get(3)?,
        sender: Sender {
            id: row.get(4)?,
            name: row.get(5)?,
        },
        client_msg_id: row.get(6)?,
        timestamp_ms: row.get(7)?,
    })
}

/// A client's cursor as SQLite can compare it: one beyond every seq stays beyond every seq.
pub(super) fn cursor(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
