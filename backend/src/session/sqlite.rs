//! Session records in an SQLite file: its own, or the message store's.
//!
//! Sessions live through restarts, and several processes of a host may share them. A file of its own keeps logins from waiting for
//! the messages' write lock.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::memory::end_ms;
use super::record::Lifetime;
use super::{Session, SessionError, SessionTtl, Sessions, now_ms};
use crate::sqlite::{self, OpenFile, Options, SqliteError, Worker};

/// Expired records are removed at the first save after that long; until then they only take space.
const SWEEP_INTERVAL_MS: i64 = 60_000;

/// Every request touches its session, and each write waits for the disk: an end that would move by less than this part of the
/// record's life is left where it is.
const TOUCH_PART: i64 = 20;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sessions (
    sid     TEXT    NOT NULL PRIMARY KEY,
    record  TEXT    NOT NULL,
    ends_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS sessions_by_end ON sessions (ends_ms);
";

/// Session records in a file. Opening the same file again, also from another process, is fine.
pub struct SqliteSessions {
    worker: Worker,
    file: Arc<OpenFile>,
    ttl: SessionTtl,
    now_ms: Box<dyn Fn() -> i64 + Send + Sync>,
    next_sweep_ms: AtomicI64,
}

impl SqliteSessions {
    /// Opens the file; makes it, and its folder (mode 0700), when missing. Blocks for milliseconds, at worst for some seconds
    /// while another process holds the file.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`] with the file and the reason.
    pub fn open(path: &Path) -> Result<Self, SessionError> {
        Self::open_with(path, Options::default(), now_ms)
    }

    /// Keeps records without an end of their own for that long.
    #[must_use]
    pub fn with_ttl(self, ttl: SessionTtl) -> Self {
        Self { ttl, ..self }
    }

    fn open_with(
        path: &Path,
        options: Options,
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Result<Self, SessionError> {
        let connection = sqlite::open(path, options, TABLES)?;
        let file = Arc::new(OpenFile::at(path)?);
        let worker = Worker::start("sessions", connection)?;
        let ttl = SessionTtl::default();
        Ok(Self {
            worker,
            file,
            ttl,
            now_ms: Box::new(now_ms),
            next_sweep_ms: AtomicI64::new(0),
        })
    }

    async fn write<F>(&self, work: F) -> Result<(), SessionError>
    where
        F: FnOnce(&Connection) -> Result<(), SqliteError> + Send + 'static,
    {
        let file = Arc::clone(&self.file);
        let write = move |connection: &mut Connection| {
            file.check_in_place()?;
            work(connection)
        };
        Ok(self.worker.run(write).await?)
    }

    /// Whether this save also sweeps. Two at once may both answer yes, which costs nothing.
    fn sweep_is_due(&self, now_ms: i64) -> bool {
        let due = self.next_sweep_ms.load(Ordering::Relaxed) <= now_ms;
        if due {
            self.next_sweep_ms
                .store(now_ms.saturating_add(SWEEP_INTERVAL_MS), Ordering::Relaxed);
        }
        due
    }
}

impl fmt::Debug for SqliteSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSessions")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Sessions for SqliteSessions {
    async fn load(&self, sid: &str) -> Result<Option<Session>, SessionError> {
        let (sid, now_ms) = (sid.to_owned(), (self.now_ms)());
        let record = self.worker.run(move |connection| {
            let sql = "SELECT record FROM sessions WHERE sid = ?1 AND ends_ms > ?2";
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement
                .query_row(params![sid, now_ms], |row| row.get::<_, String>(0))
                .optional()?)
        });
        record.await?.map(|text| Session::parse(&text)).transpose()
    }

    async fn save(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        let now_ms = (self.now_ms)();
        let session = session.checked()?.renewed(now_ms);
        let Lifetime::Seconds(seconds) = session.lifetime(now_ms, self.ttl) else {
            return self.destroy(sid).await;
        };
        let (sid, record, ends_ms) = (sid.to_owned(), session.to_json(), end_ms(now_ms, seconds));
        let sweep = self.sweep_is_due(now_ms);
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO sessions (sid, record, ends_ms) VALUES (?1, ?2, ?3)
                     ON CONFLICT (sid) DO UPDATE SET record = ?2, ends_ms = ?3",
                )?
                .execute(params![sid, record, ends_ms])?;
            if sweep {
                connection.execute("DELETE FROM sessions WHERE ends_ms <= ?1", [now_ms])?;
            }
            Ok(())
        })
        .await
    }

    async fn touch(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        let now_ms = (self.now_ms)();
        let lifetime = session.renewed(now_ms).lifetime(now_ms, self.ttl);
        let Lifetime::Seconds(seconds) = lifetime else {
            return self.destroy(sid).await;
        };
        let (sid, ends_ms) = (sid.to_owned(), end_ms(now_ms, seconds));
        self.write(move |connection| {
            let kept_ms: Option<i64> = connection
                .prepare_cached("SELECT ends_ms FROM sessions WHERE sid = ?1 AND ends_ms > ?2")?
                .query_row(params![sid, now_ms], |row| row.get(0))
                .optional()?;
            let part = (ends_ms - now_ms) / TOUCH_PART;
            if kept_ms.is_some_and(|kept_ms| kept_ms.abs_diff(ends_ms) >= part.unsigned_abs()) {
                connection
                    .prepare_cached("UPDATE sessions SET ends_ms = ?2 WHERE sid = ?1")?
                    .execute(params![sid, ends_ms])?;
            }
            Ok(())
        })
        .await
    }

    async fn destroy(&self, sid: &str) -> Result<(), SessionError> {
        let sid = sid.to_owned();
        self.write(move |connection| {
            connection
                .prepare_cached("DELETE FROM sessions WHERE sid = ?1")?
                .execute([sid])?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::{SWEEP_INTERVAL_MS, SessionError, Sessions, SqliteSessions};
    use crate::session::contract::{
        Fixture, TestClock, clocked_contract, record, session_contract,
    };
    use crate::sqlite::Options;
    use crate::store::sqlite::SqliteStore;

    struct OwnFile(TempDir, TestClock);

    #[async_trait]
    impl Fixture for OwnFile {
        async fn fresh() -> Self {
            Self(tempfile::tempdir().unwrap(), TestClock::default())
        }

        async fn open(&self) -> Arc<dyn Sessions> {
            let (path, clock) = (self.0.path().join("sessions.db"), self.1.clone());
            let options = Options {
                busy_timeout: Duration::from_secs(5),
                pages_max: None,
            };
            Arc::new(SqliteSessions::open_with(&path, options, move || clock.now_ms()).unwrap())
        }

        fn clock(&self) -> Option<&TestClock> {
            Some(&self.1)
        }

        async fn clear(self) {
            self.0.close().unwrap();
        }
    }

    session_contract!(OwnFile);
    clocked_contract!(OwnFile);

    #[tokio::test]
    async fn expired_records_are_swept() {
        let fixture = OwnFile::fresh().await;
        let sessions = fixture.open().await;
        let short = record(r#"{"originalMaxAge":1000}"#);
        sessions.save("old", &short).await.unwrap();
        fixture.1.advance_ms(SWEEP_INTERVAL_MS);
        sessions.save("new", &short).await.unwrap();
        let file = Connection::open(fixture.0.path().join("sessions.db")).unwrap();
        let sids: String = file
            .query_row("SELECT group_concat(sid) FROM sessions", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(sids, "new");
    }

    #[tokio::test]
    async fn touching_writes_only_what_matters() {
        let fixture = OwnFile::fresh().await;
        let sessions = fixture.open().await;
        let file = Connection::open(fixture.0.path().join("sessions.db")).unwrap();
        let end = || -> i64 {
            file.query_row("SELECT ends_ms FROM sessions", [], |row| row.get(0))
                .unwrap()
        };
        let minute = record(r#"{"originalMaxAge":60000}"#);
        sessions.save("sid", &minute).await.unwrap();
        let saved = end();
        fixture.1.advance_ms(2_999);
        sessions.touch("sid", &minute).await.unwrap();
        assert_eq!(end(), saved);
        fixture.1.advance_ms(1);
        sessions.touch("sid", &minute).await.unwrap();
        assert_eq!(end(), saved + 3_000);
    }

    #[tokio::test]
    async fn the_messages_file_can_be_shared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        let store = SqliteStore::open(&path).unwrap();
        let sessions = SqliteSessions::open(&path).unwrap();
        let kept = record("{}");
        sessions.save("sid", &kept).await.unwrap();
        assert_eq!(sessions.load("sid").await, Ok(Some(kept)));
        drop(store);
        SqliteStore::open(&path).unwrap();
    }

    #[tokio::test]
    async fn a_locked_file_is_unavailable_and_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let options = Options {
            busy_timeout: Duration::from_millis(20),
            pages_max: None,
        };
        let sessions = SqliteSessions::open_with(&path, options, || 0).unwrap();
        let kept = record("{}");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let refused = sessions.save("sid", &kept).await;
        assert!(
            matches!(refused, Err(SessionError::Unavailable(_))),
            "{refused:?}"
        );
        assert_eq!(sessions.load("sid").await, Ok(None));
        other.execute_batch("ROLLBACK").unwrap();
        sessions.save("sid", &kept).await.unwrap();
        assert_eq!(sessions.load("sid").await, Ok(Some(kept)));
    }
}
