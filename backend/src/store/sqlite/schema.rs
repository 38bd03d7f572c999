//! The tables of the message store.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use uuid::Uuid;

use super::search;
use crate::sqlite::{self, SqliteError};

/// `messages` is the log of every room, as version 1 had it; [`upgrade`] adds the rest. `id` and the texts stay readable in the `sqlite3`
/// shell.
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
";

/// What version 2 added to `messages`, for new files as well: the kinds of entries, and what changes did to a message.
/// An `n` that is missing is the seq: until then, every entry was a message.
const COLUMNS_OF_VERSION_2: [(&str, &str); 7] = [
    ("n", "INTEGER"),
    ("ref_seq", "INTEGER"),
    ("reply_to", "INTEGER"),
    ("subject", "TEXT"),
    ("edited_at_ms", "INTEGER"),
    ("deleted_at_ms", "INTEGER"),
    ("reactions", "TEXT"),
];

/// The first two are the store's promises. The third finds what was done to a message.
const INDEXES: &str = "
CREATE UNIQUE INDEX IF NOT EXISTS messages_by_seq ON messages (room_id, seq);
CREATE UNIQUE INDEX IF NOT EXISTS messages_once ON messages (room_id, sender_id, client_msg_id);
CREATE INDEX IF NOT EXISTS messages_changes ON messages (room_id, ref_seq) WHERE ref_seq IS NOT NULL;
";

/// Brings a file of any version to this one. Safe to run again. No row is rewritten; of an older file the newest messages are taken up for
/// searching, and the writer goes on with that.
pub(super) fn upgrade(connection: &mut Connection) -> Result<(), SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for column in COLUMNS_OF_VERSION_2 {
        sqlite::ensure_column(&transaction, "messages", column)?;
    }
    transaction.execute_batch(INDEXES)?;
    transaction.execute_batch(search::TABLES)?;
    search::begin_taking_up(&transaction)?;
    search::take_up(&transaction)?;
    transaction.commit()?;
    Ok(())
}

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
