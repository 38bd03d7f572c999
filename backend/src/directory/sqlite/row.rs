//! Rooms and members as rows.

use rusqlite::{Row, types::Type};

use crate::chat::membership::{Access, Member, Role, Room, Rules};
use crate::chat::message::Place;
use crate::chat::room::RoomId;
use crate::sqlite::SqliteError;

/// The columns that [`room`] expects, in its order.
pub(super) const ROOM_COLUMNS: &str =
    "id, name, access, created_by, created_at_ms, slow_mode_ms, read_only, members_max, version";

/// The columns that [`member`] expects, in its order.
pub(super) const MEMBER_COLUMNS: &str = "user_id, name, is_member, role, joined_at_ms, read_seq, read_n, muted_until_ms, banned_until_ms, version";

pub(super) fn room(row: &Row<'_>) -> rusqlite::Result<Room> {
    let (id, access): (String, String) = (row.get(0)?, row.get(2)?);
    Ok(Room {
        id: RoomId::parse(&id).map_err(|why| unreadable(0, why.to_string()))?,
        name: row.get(1)?,
        access: Access::parse(&access).ok_or_else(|| unreadable(2, access))?,
        created_by: row.get(3)?,
        created_at_ms: row.get(4)?,
        rules: Rules {
            slow_mode_ms: row.get(5)?,
            read_only: row.get(6)?,
            members_max: row.get(7)?,
        },
        version: number(row, 8)?,
    })
}

pub(super) fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    let role: String = row.get(3)?;
    Ok(Member {
        user_id: row.get(0)?,
        name: row.get(1)?,
        is_member: row.get(2)?,
        role: Role::parse(&role).ok_or_else(|| unreadable(3, role))?,
        joined_at_ms: row.get(4)?,
        read: Place {
            seq: number(row, 5)?,
            n: number(row, 6)?,
        },
        muted_until_ms: row.get(7)?,
        banned_until_ms: row.get(8)?,
        version: number(row, 9)?,
    })
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    Ok(u64::try_from(number).unwrap_or_default())
}

pub(super) fn id(text: &str) -> Result<RoomId, SqliteError> {
    RoomId::parse(text).map_err(|why| SqliteError::Broken(why.to_string()))
}

/// A seq or a version as SQLite keeps it.
pub(super) fn stored(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn unreadable(column: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why.into())
}
