//! A Berth-owned SQLite file: opening it safely, and saying why it does not serve.
//!
//! Owns the pragmas, the file's identity (application id, schema version) and its rights. It does not know which tables the
//! message store or the sessions keep in it: they pass their own schema, and may share one file.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub(crate) use failure::SqliteError;
pub(crate) use file::OpenFile;
pub(crate) use worker::{QUEUE_JOBS_MAX, Worker, ask, spawn};

mod failure;
mod file;
#[cfg(test)]
mod tests;
mod worker;

/// `BRTH` in the file's header (`PRAGMA application_id`): tells our files from those of other programs.
const APPLICATION_ID: i64 = 0x4252_5448;

/// The layout of every table Berth keeps (`PRAGMA user_version`). A file with a higher one is left alone; one with a lower one is brought
/// up to date by the schemas that it is opened with, and then left alone by older programs.
///
/// 1: messages, sessions. 2: the log has entries of several kinds. 3: messages are found by their words. 4: rooms and members have versions.
const SCHEMA_VERSION: i64 = 4;

/// How long one statement waits for another process' lock: longer than any healthy commit, shorter than a sender's patience.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in the WAL from which on a commit also copies them into the file, which takes tens of milliseconds. A busy log writes the same
/// pages again and again: with SQLite's own 1000 they would be copied several times a second, and everybody's ack waits for that.
const WAL_PAGES: i64 = 8_000;

/// A WAL that grew in a burst is cut back to this at the next checkpoint, so that it does not hold the disk for ever.
const WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// How to open a file. Tests shorten the wait and shrink the file; programs use the default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) busy_timeout: Duration,
    /// Pages the file may have before it counts as full; none = as far as the disk goes.
    pub(crate) pages_max: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            busy_timeout: BUSY_TIMEOUT,
            pages_max: None,
        }
    }
}

/// Opens a file for reading and writing, making it and its folder (mode 0700) when they are missing.
///
/// `schema` must be safe to run again (`IF NOT EXISTS`). Blocks: bounded by a few times the busy timeout.
pub(crate) fn open(path: &Path, options: Options, schema: &str) -> Result<Connection, SqliteError> {
    file::create(path)?;
    open_created(path, options, schema).map_err(|why| why.at(path))
}

/// A further connection to a file that [`open`] has prepared.
pub(crate) fn open_reader(path: &Path, options: Options) -> Result<Connection, SqliteError> {
    let connection = connect(path, options).map_err(|why| why.at(path))?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Adds a column, `(name, declaration)`, to a table that was made without it.
pub(crate) fn ensure_column(
    transaction: &Transaction<'_>,
    table: &str,
    (name, declaration): (&str, &str),
) -> Result<(), SqliteError> {
    let is_there: bool = transaction.query_row(
        "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2",
        [table, name],
        |row| row.get(0),
    )?;
    if !is_there {
        transaction.execute_batch(&format!(
            "ALTER TABLE {table} ADD COLUMN {name} {declaration}"
        ))?;
    }
    Ok(())
}

fn open_created(path: &Path, options: Options, schema: &str) -> Result<Connection, SqliteError> {
    let mut connection = connect(path, options)?;
    // Looked at before anything is written: a foreign file must not even become WAL.
    check_owner(&connection)?;
    enter_wal(&connection, options.busy_timeout)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Again, now that nobody else can write: two programs may have found the same empty file.
    check_owner(&transaction)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.execute_batch(schema)?;
    transaction.commit()?;
    Ok(connection)
}

fn connect(path: &Path, options: Options) -> Result<Connection, SqliteError> {
    // No SQLITE_OPEN_URI: a path that starts with `file:` is a path.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    // A commit is on the disk before it is acked, also through a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", WAL_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_MAX, |_| Ok(()))?;
    if let Some(pages_max) = options.pages_max {
        connection.pragma_update_and_check(None, "max_page_count", pages_max, |_| Ok(()))?;
    }
    Ok(connection)
}

/// An empty file is ours to take; a file with another owner or a newer layout is not.
fn check_owner(connection: &Connection) -> Result<(), SqliteError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match number("application_id")? {
        0 if tables == 0 => Ok(()),
        APPLICATION_ID => match number("user_version")? {
            1..=SCHEMA_VERSION => Ok(()),
            other => Err(SqliteError::Broken(format!(
                "its layout has version {other}, this program knows version {SCHEMA_VERSION}; \
                 run the Berth that wrote it, or choose another file"
            ))),
        },
        other => Err(SqliteError::Broken(format!(
            "it belongs to another program (application id {other}); choose another file"
        ))),
    }
}

/// The switch to WAL needs the file alone for a moment and does not wait for locks by itself, so this waits.
fn enter_wal(connection: &Connection, busy_timeout: Duration) -> Result<(), SqliteError> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        let mode: Result<String, _> =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0));
        match mode.map_err(SqliteError::from) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(SqliteError::Broken(format!(
                    "its file system cannot carry a write-ahead log (journal mode stays {mode}); \
                     choose a folder on a local disk"
                )));
            }
            Err(SqliteError::Locked(_)) if waited < busy_timeout => {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            Err(why) => return Err(why),
        }
    }
}
