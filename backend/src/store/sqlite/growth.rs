//! Which rooms there are, where their logs end, and which of them have grown.

use rusqlite::{Connection, Row, params};

use super::{row, schema};
use crate::chat::room::RoomId;
use crate::sqlite::SqliteError;
use crate::store::{Ends, Grown, Mark};

/// Rows that one question is about. After a long silence the rest is left to the next one.
const ROWS_MAX: i64 = 50_000;

/// From room to room by one look into the index each, however long the logs are.
pub(super) fn ends(
    connection: &mut Connection,
    after: &str,
    limit: u32,
) -> Result<Ends, SqliteError> {
    let snapshot = connection.transaction()?;
    let rooms = snapshot
        .prepare_cached(
            "WITH RECURSIVE room(id) AS (
               SELECT min(room_id) FROM messages WHERE room_id > ?1
               UNION ALL
               SELECT (SELECT min(room_id) FROM messages WHERE room_id > room.id)
               FROM room WHERE room.id IS NOT NULL LIMIT ?2
             )
             SELECT id, (SELECT max(seq) FROM messages WHERE room_id = room.id)
             FROM room WHERE id IS NOT NULL",
        )?
        .query_map(params![after, limit], end)?
        .collect::<Result<Vec<_>, _>>()?;
    let epoch = schema::epoch(&snapshot)?;
    snapshot.commit()?;
    Ok(Ends {
        rooms: readable(rooms)?,
        epoch,
    })
}

/// There is one writer at a time, so the table's own row numbers rise in the order of the commits. `VACUUM` may number the rows anew, from
/// below: a mark that is above them all begins again at their end.
pub(super) fn grown(
    connection: &mut Connection,
    since: Option<Mark>,
) -> Result<Grown, SqliteError> {
    let snapshot = connection.transaction()?;
    let newest: i64 = snapshot
        .prepare_cached("SELECT coalesce(max(rowid), 0) FROM messages")?
        .query_row([], |line| line.get(0))?;
    let Mark(since) = since.unwrap_or(Mark(newest));
    let upto = newest.min(since.saturating_add(ROWS_MAX));
    let rooms = snapshot
        .prepare_cached(
            "SELECT room_id, max(seq) FROM messages WHERE rowid > ?1 AND rowid <= ?2 GROUP BY room_id",
        )?
        .query_map(params![since, upto], end)?
        .collect::<Result<Vec<_>, _>>()?;
    snapshot.commit()?;
    Ok(Grown {
        rooms: readable(rooms)?,
        mark: Mark(upto),
    })
}

fn end(line: &Row<'_>) -> rusqlite::Result<(String, i64)> {
    Ok((line.get(0)?, line.get(1)?))
}

/// What is no name of a room today is somebody else's doing, and nobody reads there.
fn readable(rooms: Vec<(String, i64)>) -> Result<Vec<(RoomId, u64)>, SqliteError> {
    rooms
        .into_iter()
        .filter_map(|(name, seq)| Some((RoomId::parse(&name).ok()?, seq)))
        .map(|(room, seq)| Ok((room, row::count(seq)?)))
        .collect()
}
