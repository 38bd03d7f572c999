//! Webhooks in an SQLite file of their own: cursors and leases do not wait for the messages' write lock, nor they for these.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{Cursor, Record, Standing, Webhook, WebhookId, Webhooks, WebhooksError};
use crate::chat::room::RoomId;
use crate::sqlite::{self, OpenFile, Options, SqliteError, Worker};

mod row;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS webhooks (
    id         TEXT    NOT NULL PRIMARY KEY,
    url        TEXT    NOT NULL,
    secrets    TEXT    NOT NULL,
    kinds      TEXT    NOT NULL,
    rooms      TEXT    NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS records (
    webhook_id       TEXT    NOT NULL PRIMARY KEY,
    is_begun         INTEGER NOT NULL DEFAULT 0,
    holder           TEXT,
    held_until_ms    INTEGER NOT NULL DEFAULT 0,
    state            TEXT    NOT NULL DEFAULT 'ok',
    failing_since_ms INTEGER,
    failures         INTEGER NOT NULL DEFAULT 0,
    error            TEXT,
    delivered_ms     INTEGER,
    resumed_ms       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS cursors (
    webhook_id TEXT    NOT NULL,
    room_id    TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    epoch      TEXT    NOT NULL,
    PRIMARY KEY (webhook_id, room_id)
) STRICT, WITHOUT ROWID;
";

/// The clock of this host, which all who have the file open share.
const NOW_MS: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// Webhooks in a file. Opening the same file again, also from another process, is fine.
pub struct SqliteWebhooks {
    worker: Worker,
    file: Arc<OpenFile>,
}

impl SqliteWebhooks {
    /// Opens the file; makes it, and its folder (mode 0700), when missing.
    ///
    /// # Errors
    /// [`WebhooksError`] with the file and the reason.
    pub fn open(path: &Path) -> Result<Self, WebhooksError> {
        let connection = sqlite::open(path, Options::default(), TABLES)?;
        let file = Arc::new(OpenFile::at(path)?);
        let worker = Worker::start("webhooks", connection)?;
        Ok(Self { worker, file })
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, WebhooksError> {
        let file = Arc::clone(&self.file);
        let done = self.worker.run(move |connection: &mut Connection| {
            file.check_in_place()?;
            work(connection)
        });
        Ok(done.await?)
    }

    /// Changes what is on record of a webhook, and makes the record when there is none.
    async fn change(
        &self,
        id: &WebhookId,
        work: impl FnOnce(&Connection, &str) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<(), WebhooksError> {
        let id = id.as_str().to_owned();
        self.write(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            make_record(&transaction, &id)?;
            work(&transaction, &id)?;
            Ok(transaction.commit()?)
        })
        .await
    }
}

fn make_record(connection: &Connection, id: &str) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("INSERT INTO records (webhook_id) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([id])
}

impl fmt::Debug for SqliteWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteWebhooks")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl From<SqliteError> for WebhooksError {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Locked(why) | SqliteError::Unavailable(why) => Self::Unavailable(why),
            SqliteError::Broken(why) => Self::Broken(why),
        }
    }
}

#[async_trait]
impl Webhooks for SqliteWebhooks {
    async fn create(&self, webhook: &Webhook) -> Result<(), WebhooksError> {
        let columns = row::columns(webhook)?;
        self.write(move |connection| {
            connection.execute(
                "INSERT INTO webhooks (id, url, secrets, kinds, rooms, created_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                columns,
            )?;
            Ok(())
        })
        .await
    }

    async fn remove(&self, id: &WebhookId) -> Result<bool, WebhooksError> {
        let id = id.as_str().to_owned();
        self.write(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let removed = transaction.execute("DELETE FROM webhooks WHERE id = ?1", [&id])?;
            transaction.execute("DELETE FROM records WHERE webhook_id = ?1", [&id])?;
            transaction.execute("DELETE FROM cursors WHERE webhook_id = ?1", [&id])?;
            transaction.commit()?;
            Ok(removed == 1)
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Webhook>, WebhooksError> {
        let found = self.worker.run(|connection: &mut Connection| {
            let sql = "SELECT id, url, secrets, kinds, rooms, created_ms FROM webhooks ORDER BY id";
            let mut statement = connection.prepare_cached(sql)?;
            let lines = statement.query_map([], row::texts)?;
            Ok(lines.collect::<Result<Vec<_>, _>>()?)
        });
        found.await?.into_iter().map(row::webhook).collect()
    }

    async fn records(&self) -> Result<Vec<Record>, WebhooksError> {
        let found = self.worker.run(|connection: &mut Connection| {
            let sql = format!(
                "SELECT webhook_id, is_begun, iif(held_until_ms > {NOW_MS}, holder, NULL), state,
                   failing_since_ms, failures, error, delivered_ms, resumed_ms
                 FROM records ORDER BY webhook_id"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let lines = statement.query_map([], row::record)?;
            Ok(lines.collect::<Result<Vec<_>, _>>()?)
        });
        Ok(found.await?.into_iter().flatten().collect())
    }

    async fn begin(
        &self,
        id: &WebhookId,
        places: &[(RoomId, Cursor)],
    ) -> Result<(), WebhooksError> {
        let (id, places) = (id.as_str().to_owned(), places.to_vec());
        self.write(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql =
                "INSERT INTO cursors (webhook_id, room_id, seq, epoch) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT DO NOTHING";
            for (room, cursor) in &places {
                let values = params![id, room.as_str(), row::stored(cursor.seq), cursor.epoch];
                transaction.prepare_cached(sql)?.execute(values)?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }

    async fn set_begun(&self, id: &WebhookId) -> Result<(), WebhooksError> {
        self.change(id, |connection, id| {
            connection.execute(
                "UPDATE records SET is_begun = 1 WHERE webhook_id = ?1",
                [id],
            )
        })
        .await
    }

    async fn cursors(
        &self,
        id: &WebhookId,
        rooms: &[RoomId],
    ) -> Result<Vec<Option<Cursor>>, WebhooksError> {
        let (id, rooms) = (id.as_str().to_owned(), rooms.to_vec());
        let found = self.worker.run(move |connection: &mut Connection| {
            let sql = "SELECT seq, epoch FROM cursors WHERE webhook_id = ?1 AND room_id = ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let mut cursor = |room: &RoomId| {
                statement
                    .query_row([id.as_str(), room.as_str()], row::cursor)
                    .optional()
            };
            Ok(rooms.iter().map(&mut cursor).collect::<Result<_, _>>()?)
        });
        Ok(found.await?)
    }

    async fn move_cursor(
        &self,
        id: &WebhookId,
        room: &RoomId,
        cursor: &Cursor,
    ) -> Result<(), WebhooksError> {
        let (id, room, cursor) = (id.as_str().to_owned(), room.clone(), cursor.clone());
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO cursors (webhook_id, room_id, seq, epoch) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (webhook_id, room_id) DO UPDATE SET
                       seq = iif(epoch = excluded.epoch, max(seq, excluded.seq), excluded.seq),
                       epoch = excluded.epoch",
                )?
                .execute(params![
                    id,
                    room.as_str(),
                    row::stored(cursor.seq),
                    cursor.epoch
                ])?;
            Ok(())
        })
        .await
    }

    async fn claim(
        &self,
        ids: &[WebhookId],
        holder: &str,
        lease: Duration,
    ) -> Result<Vec<WebhookId>, WebhooksError> {
        let (ids, holder) = (ids.to_vec(), holder.to_owned());
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        self.write(move |connection| {
            // In one transaction: a renewal of all costs one sync.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let sql = format!(
                "UPDATE records SET holder = ?2, held_until_ms = {NOW_MS} + ?3
                 WHERE webhook_id = ?1 AND (holder = ?2 OR holder IS NULL OR held_until_ms <= {NOW_MS})"
            );
            let mut taken = Vec::new();
            for id in ids {
                make_record(&transaction, id.as_str())?;
                let mut statement = transaction.prepare_cached(&sql)?;
                if statement.execute(params![id.as_str(), holder, lease_ms])? == 1 {
                    taken.push(id);
                }
            }
            transaction.commit()?;
            Ok(taken)
        })
        .await
    }

    async fn release(&self, id: &WebhookId, holder: &str) -> Result<(), WebhooksError> {
        let holder = holder.to_owned();
        self.change(id, move |connection, id| {
            let sql = "UPDATE records SET holder = NULL WHERE webhook_id = ?1 AND holder = ?2";
            connection.execute(sql, [id, &holder])
        })
        .await
    }

    async fn set_standing(&self, id: &WebhookId, standing: &Standing) -> Result<(), WebhooksError> {
        let standing = standing.clone();
        self.change(id, move |connection, id| {
            connection
                .prepare_cached(
                    "UPDATE records SET state = ?2, failing_since_ms = ?3, failures = ?4, error = ?5,
                       delivered_ms = ?6
                     WHERE webhook_id = ?1",
                )?
                .execute(params![
                    id,
                    standing.state.as_str(),
                    standing.failing_since_ms,
                    row::stored(standing.failures),
                    standing.error,
                    standing.delivered_ms,
                ])
        })
        .await
    }

    async fn resume(&self, id: &WebhookId, now_ms: i64) -> Result<(), WebhooksError> {
        self.change(id, move |connection, id| {
            let sql = "UPDATE records SET resumed_ms = ?2 WHERE webhook_id = ?1";
            connection.execute(sql, params![id, now_ms])
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::{SqliteWebhooks, Webhooks};
    use crate::contract::{Fixture, OwnFile};
    use crate::webhooks::contract::webhooks_contract;

    #[async_trait]
    impl Fixture<dyn Webhooks> for OwnFile {
        async fn open(&self) -> Arc<dyn Webhooks> {
            Arc::new(SqliteWebhooks::open(&self.path()).unwrap())
        }
    }

    webhooks_contract!(OwnFile);
}
