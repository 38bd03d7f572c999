//! An entry as a row, both ways.
//!
//! What differs between the kinds shares columns: an emoji is its entry's content, and `type` says whether it was added or removed, or
//! which event a system entry tells of.

use rusqlite::{Connection, OptionalExtension, Row, types::Type};
use uuid::Uuid;

use crate::chat::message::{Entry, Marks, Message, Place, Sender};
use crate::chat::room::RoomId;
use crate::sqlite::SqliteError;

/// The columns that [`read`] expects, in its order.
pub(super) const COLUMNS: &str = "seq, id, type, content, sender_id, sender_name, client_msg_id, timestamp_ms, \
     coalesce(n, seq), kind, ref_seq, reply_to, subject, edited_at_ms, deleted_at_ms, reactions";

/// The `type` of a reaction.
const ADDED: &str = "added";
const REMOVED: &str = "removed";

/// The columns of an entry that depend on its kind.
pub(super) struct Parts<'a> {
    pub(super) entry_type: &'a str,
    pub(super) content: &'a str,
    pub(super) ref_seq: Option<i64>,
    pub(super) reply_to: Option<i64>,
    pub(super) subject: Option<&'a str>,
}

impl<'a> From<&'a Entry> for Parts<'a> {
    fn from(entry: &'a Entry) -> Self {
        let (entry_type, reply_to, subject) = match entry {
            Entry::Message {
                message_type,
                reply_to,
                ..
            } => (message_type.as_str(), reply_to.map(cursor), None),
            Entry::Reaction { added: true, .. } => (ADDED, None, None),
            Entry::Reaction { added: false, .. } => (REMOVED, None, None),
            Entry::System { event, subject, .. } => (event.as_str(), None, subject.as_deref()),
            Entry::Edit { .. } | Entry::Delete { .. } => ("", None, None),
        };
        Self {
            entry_type,
            content: entry.text(),
            ref_seq: entry.ref_seq().map(cursor),
            reply_to,
            subject,
        }
    }
}

pub(super) fn read(row: &Row<'_>, room: &RoomId) -> rusqlite::Result<Message> {
    let id: String = row.get(1)?;
    Ok(Message {
        seq: unsigned(row, 0)?,
        n: unsigned(row, 8)?,
        id: Uuid::parse_str(&id).map_err(|why| unreadable(1, why))?,
        room: room.clone(),
        entry: entry(row)?,
        sender: Sender {
            id: row.get(4)?,
            name: row.get(5)?,
        },
        client_msg_id: row.get(6)?,
        timestamp_ms: row.get(7)?,
        marks: marks(row)?,
    })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (entry_type, content): (String, String) = (row.get(2)?, row.get(3)?);
    let kind: String = row.get(9)?;
    Ok(match kind.as_str() {
        "message" => Entry::Message {
            message_type: entry_type,
            content,
            reply_to: match row.get::<_, Option<i64>>(11)? {
                Some(_) => Some(unsigned(row, 11)?),
                None => None,
            },
        },
        "edit" => Entry::Edit {
            ref_seq: unsigned(row, 10)?,
            content,
        },
        "delete" => Entry::Delete {
            ref_seq: unsigned(row, 10)?,
        },
        "reaction" => Entry::Reaction {
            ref_seq: unsigned(row, 10)?,
            emoji: content,
            added: entry_type == ADDED,
        },
        "system" => Entry::System {
            event: entry_type,
            content,
            subject: row.get(12)?,
        },
        _ => return Err(unreadable(9, format!("the kind {kind:?} is unknown"))),
    })
}

fn marks(row: &Row<'_>) -> rusqlite::Result<Marks> {
    let reactions: Option<String> = row.get(15)?;
    Ok(Marks {
        edited_at_ms: row.get(13)?,
        deleted_at_ms: row.get(14)?,
        reactions: match reactions {
            Some(json) => serde_json::from_str(&json).map_err(|why| unreadable(15, why))?,
            None => Vec::new(),
        },
    })
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn unreadable(
    column: usize,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
}

/// The newest place of a room.
pub(super) fn tail(connection: &Connection, room: &RoomId) -> Result<Place, SqliteError> {
    let tail: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT seq, coalesce(n, seq) FROM messages WHERE room_id = ?1 ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([room.as_str()], |line| Ok((line.get(0)?, line.get(1)?)))
        .optional()?;
    let (seq, n) = tail.unwrap_or_default();
    Ok(Place {
        seq: count(seq)?,
        n: count(n)?,
    })
}

/// A stored number as the program counts it.
pub(super) fn count(stored: i64) -> Result<u64, SqliteError> {
    u64::try_from(stored).map_err(|_| SqliteError::Broken(format!("{stored} is no seq")))
}

/// A client's cursor as SQLite can compare it: one beyond every seq stays beyond every seq.
pub(super) fn cursor(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
