//! A change and what it does to its message, in the transaction that stores the change: neither is ever seen without the other.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{row, search};
use crate::chat::fold;
use crate::chat::message::{Entry, Message};
use crate::sqlite::SqliteError;

/// Brings the message that `change` is about up to date.
pub(super) fn fold(transaction: &Transaction<'_>, change: &Message) -> Result<(), SqliteError> {
    let Some(ref_seq) = change.entry.ref_seq().map(row::cursor) else {
        return Ok(());
    };
    let room = &change.room;
    let sql = format!(
        "SELECT {} FROM messages WHERE room_id = ?1 AND seq = ?2",
        row::COLUMNS
    );
    let target = transaction
        .prepare_cached(&sql)?
        .query_row(params![room.as_str(), ref_seq], |line| {
            row::read(line, room)
        })
        .optional()?;
    let Some(mut target) = target else {
        return Ok(());
    };
    fold::apply(&mut target, change);
    save(transaction, &target)?;
    if matches!(change.entry, Entry::Edit { .. } | Entry::Delete { .. }) {
        search::renew(transaction, &target)?;
    }
    if target.marks.deleted_at_ms.is_some() {
        transaction
            .prepare_cached(
                "UPDATE messages SET content = ''
                 WHERE room_id = ?1 AND ref_seq = ?2 AND kind = 'edit'",
            )?
            .execute(params![room.as_str(), ref_seq])?;
    }
    Ok(())
}

fn save(transaction: &Transaction<'_>, message: &Message) -> Result<(), SqliteError> {
    let marks = &message.marks;
    let reactions = match marks.reactions.as_slice() {
        [] => None,
        reactions => Some(
            serde_json::to_string(reactions).map_err(|why| SqliteError::Broken(why.to_string()))?,
        ),
    };
    transaction
        .prepare_cached(
            "UPDATE messages SET content = ?3, edited_at_ms = ?4, deleted_at_ms = ?5, reactions = ?6
             WHERE room_id = ?1 AND seq = ?2",
        )?
        .execute(params![
            message.room.as_str(),
            row::cursor(message.seq),
            message.entry.text(),
            marks.edited_at_ms,
            marks.deleted_at_ms,
            reactions,
        ])?;
    Ok(())
}
