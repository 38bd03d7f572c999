//! Pages of a room's log.

use rusqlite::{Connection, Transaction, params};

use super::{row, schema};
use crate::chat::message::Message;
use crate::chat::room::RoomId;
use crate::sqlite::SqliteError;
use crate::store::{History, Page, Tails};

/// Where the logs of these rooms end; one look into the index for each.
pub(super) fn tails(connection: &mut Connection, rooms: &[RoomId]) -> Result<Tails, SqliteError> {
    let snapshot = connection.transaction()?;
    let seqs = rooms.iter().map(|room| Ok(row::tail(&snapshot, room)?.seq));
    let seqs = seqs.collect::<Result<_, SqliteError>>()?;
    let epoch = schema::epoch(&snapshot)?;
    snapshot.commit()?;
    Ok(Tails { seqs, epoch })
}

/// Reads in one transaction, so that the page, the ends and the epoch belong together.
pub(super) fn page(
    connection: &mut Connection,
    room: &RoomId,
    page: Page,
) -> Result<History, SqliteError> {
    let snapshot = connection.transaction()?;
    let (mut messages, limit) = match page {
        Page::Latest { limit } => (newest_before(&snapshot, room, i64::MAX, limit)?, limit),
        Page::Before { before, limit } => (
            newest_before(&snapshot, room, row::cursor(before), limit)?,
            limit,
        ),
        Page::After { after, limit } => (
            oldest_after(&snapshot, room, row::cursor(after), limit)?,
            limit,
        ),
    };
    // One more than wanted was asked for: its presence is the answer to `has_more`.
    let wanted = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
    let has_more = messages.len() > wanted;
    messages.truncate(wanted);
    if !matches!(page, Page::After { .. }) {
        messages.reverse();
    }
    let last = row::tail(&snapshot, room)?;
    let history = History {
        messages,
        first_seq: first_seq(&snapshot, room)?,
        last_seq: last.seq,
        last_n: last.n,
        has_more,
        epoch: schema::epoch(&snapshot)?,
    };
    snapshot.commit()?;
    Ok(history)
}

fn newest_before(
    snapshot: &Transaction<'_>,
    room: &RoomId,
    before: i64,
    limit: u32,
) -> Result<Vec<Message>, SqliteError> {
    let sql = format!(
        "SELECT {} FROM messages WHERE room_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
        row::COLUMNS
    );
    list(snapshot, room, &sql, before, limit)
}

fn oldest_after(
    snapshot: &Transaction<'_>,
    room: &RoomId,
    after: i64,
    limit: u32,
) -> Result<Vec<Message>, SqliteError> {
    let sql = format!(
        "SELECT {} FROM messages WHERE room_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        row::COLUMNS
    );
    list(snapshot, room, &sql, after, limit)
}

fn list(
    snapshot: &Transaction<'_>,
    room: &RoomId,
    sql: &str,
    cursor: i64,
    limit: u32,
) -> Result<Vec<Message>, SqliteError> {
    let rows = i64::from(limit.max(1)) + 1;
    let mut statement = snapshot.prepare_cached(sql)?;
    let messages = statement.query_map(params![room.as_str(), cursor, rows], |line| {
        row::read(line, room)
    })?;
    Ok(messages.collect::<Result<_, _>>()?)
}

/// The oldest seq, or 0 for an empty log.
fn first_seq(snapshot: &Transaction<'_>, room: &RoomId) -> Result<u64, SqliteError> {
    let seq: Option<i64> = snapshot
        .prepare_cached("SELECT min(seq) FROM messages WHERE room_id = ?1")?
        .query_row([room.as_str()], |line| line.get(0))?;
    row::count(seq.unwrap_or(0))
}
