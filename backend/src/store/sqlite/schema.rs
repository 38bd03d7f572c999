//! The tables of the message store.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use uuid::Uuid;

use crate::sqlite::SqliteError;

/// `messages` is the log of every room. The two unique indexes are the store's promises: one message per seq, and one per
/// `(room, sender, client_msg_id)`. `id` and the texts stay readable in the `sqlite3` shell.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS messages (
    room_id       TEXT    NOT NULL,
    seq           INTEGER NOT NULL,
    id            TEXT    NOT NULL,
    kind          TEXT    NOT NULL DEFAULT 'message',
    type          TEXT    NOT NULL,
    content       TEXT    NOT NULL,
    sender_id     TEXT    NOT NULL,
    sender_name   TEXT    NOT NULL,
    client_msg_id TEXT    NOT NULL,
    timestamp_ms  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS messages_by_seq ON messages (room_id, seq);
CREATE UNIQUE INDEX IF NOT EXISTS messages_once ON messages (room_id, sender_id, client_msg_id);
";

/// Gives a new file its epoch. After restoring a backup, `DELETE FROM meta WHERE key = 'epoch'` makes the next start draw another.
pub(super) fn ensure_epoch(connection: &mut Connection) -> Result<(), SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES ('epoch', ?1) ON CONFLICT (key) DO NOTHING",
        [Uuid::new_v4().to_string()],
    )?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn epoch(connection: &Connection) -> Result<String, SqliteError> {
    let epoch = connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'epoch'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    epoch.ok_or_else(|| SqliteError::Broken("the epoch is missing; restart to draw one".to_owned()))
}
