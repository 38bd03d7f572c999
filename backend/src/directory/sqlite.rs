//! Rooms and members in an SQLite file of their own: read marks do not wait for the messages' write lock.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{Directory, ReadMark};
use crate::chat::membership::{Access, Member, MemberChange, Room};
use crate::chat::room::RoomId;
use crate::sqlite::{self, OpenFile, Options, SqliteError, Worker};
use crate::store::StoreError;

mod row;

use row::{MEMBER_COLUMNS, ROOM_COLUMNS};

/// As version 3 had them; [`VERSIONS`] is what was added.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS rooms (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    access        TEXT    NOT NULL,
    created_by    TEXT,
    created_at_ms INTEGER NOT NULL,
    slow_mode_ms  INTEGER NOT NULL,
    read_only     INTEGER NOT NULL,
    members_max   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS members (
    room_id         TEXT    NOT NULL,
    user_id         TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    is_member       INTEGER NOT NULL,
    role            TEXT    NOT NULL,
    joined_at_ms    INTEGER NOT NULL,
    read_seq        INTEGER NOT NULL,
    read_n          INTEGER NOT NULL,
    muted_until_ms  INTEGER,
    banned_until_ms INTEGER,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS members_by_user ON members (user_id, room_id) WHERE is_member;
CREATE INDEX IF NOT EXISTS rooms_public ON rooms (id) WHERE access = 'public';
";

/// The column of both tables that says how often something was changed.
const VERSIONS: (&str, &str) = ("version", "INTEGER NOT NULL DEFAULT 0");

/// A directory in a file. Opening the same file again, also from another process, is fine.
pub struct SqliteDirectory {
    worker: Worker,
    file: Arc<OpenFile>,
}

impl fmt::Debug for SqliteDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteDirectory")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl SqliteDirectory {
    /// Opens the file; makes it, and its folder (mode 0700), when missing.
    ///
    /// # Errors
    /// [`StoreError`] with the file and the reason.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = sqlite::open(path, Options::default(), TABLES)?;
        upgrade(&mut connection)?;
        let file = Arc::new(OpenFile::at(path)?);
        let worker = Worker::start("directory", connection)?;
        Ok(Self { worker, file })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, StoreError> {
        Ok(self.worker.run(|connection| work(connection)).await?)
    }

    /// In one transaction, with the write lock from its start: what it reads stays so until it has written.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = Arc::clone(&self.file);
        let written = self.worker.run(move |connection| {
            // SQLite would go on writing into a file that was removed.
            file.check_in_place()?;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = work(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        });
        Ok(written.await?)
    }
}

/// Brings a file of any version to this one. Safe to run again, and no row is rewritten.
fn upgrade(connection: &mut Connection) -> Result<(), SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for table in ["rooms", "members"] {
        sqlite::ensure_column(&transaction, table, VERSIONS)?;
    }
    transaction.commit()?;
    Ok(())
}

fn room(connection: &Connection, id: &RoomId) -> Result<Option<Room>, SqliteError> {
    let sql = format!("SELECT {ROOM_COLUMNS} FROM rooms WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([id.as_str()], row::room).optional()?)
}

fn member(
    connection: &Connection,
    room: &RoomId,
    user_id: &str,
) -> Result<Option<Member>, SqliteError> {
    let sql = format!("SELECT {MEMBER_COLUMNS} FROM members WHERE room_id = ?1 AND user_id = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([room.as_str(), user_id], row::member);
    Ok(found.optional()?)
}

fn put_room(connection: &Connection, room: &Room) -> Result<(), SqliteError> {
    let sql = format!(
        "INSERT INTO rooms ({ROOM_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, slow_mode_ms = excluded.slow_mode_ms,
           read_only = excluded.read_only, members_max = excluded.members_max,
           version = version + 1"
    );
    connection.prepare_cached(&sql)?.execute(params![
        room.id.as_str(),
        room.name,
        room.access.as_str(),
        room.created_by,
        room.created_at_ms,
        room.rules.slow_mode_ms,
        room.rules.read_only,
        room.rules.members_max,
        row::stored(room.version),
    ])?;
    Ok(())
}

fn put_member(connection: &Connection, room: &RoomId, member: &Member) -> Result<(), SqliteError> {
    let sql = format!(
        "INSERT OR REPLACE INTO members (room_id, {MEMBER_COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    );
    connection.prepare_cached(&sql)?.execute(params![
        room.as_str(),
        member.user_id,
        member.name,
        member.is_member,
        member.role.as_str(),
        member.joined_at_ms,
        row::stored(member.read.seq),
        row::stored(member.read.n),
        member.muted_until_ms,
        member.banned_until_ms,
        row::stored(member.version),
    ])?;
    Ok(())
}

fn mark(connection: &Connection, mark: &ReadMark) -> Result<(), SqliteError> {
    let unknown = || Member::unknown(&mark.user_id);
    let mut member = member(connection, &mark.room, &mark.user_id)?.unwrap_or_else(unknown);
    if member.read.seq < mark.read.seq {
        member.read = mark.read;
        put_member(connection, &mark.room, &member)?;
    }
    Ok(())
}

#[async_trait]
impl Directory for SqliteDirectory {
    async fn room_or_new(&self, wanted: &Room) -> Result<(Room, bool), StoreError> {
        let wanted = wanted.clone();
        self.write(move |connection| {
            if let Some(found) = room(connection, &wanted.id)? {
                return Ok((found, false));
            }
            put_room(connection, &wanted)?;
            Ok((wanted, true))
        })
        .await
    }

    async fn room(&self, id: &RoomId) -> Result<Option<Room>, StoreError> {
        let id = id.clone();
        self.read(move |connection| room(connection, &id)).await
    }

    async fn update_room(&self, wanted: &Room) -> Result<Option<Room>, StoreError> {
        let wanted = wanted.clone();
        self.write(move |connection| {
            if room(connection, &wanted.id)?.is_none() {
                return Ok(None);
            }
            put_room(connection, &wanted)?;
            room(connection, &wanted.id)
        })
        .await
    }

    async fn archive_room(&self, id: &RoomId) -> Result<bool, StoreError> {
        let id = id.clone();
        let access = Access::Archived.as_str();
        self.write(move |connection| {
            let mut statement = connection.prepare_cached(
                "UPDATE rooms SET access = ?2, version = version + 1 WHERE id = ?1",
            )?;
            Ok(statement.execute([id.as_str(), access])? == 1)
        })
        .await
    }

    async fn member(&self, room: &RoomId, user_id: &str) -> Result<Option<Member>, StoreError> {
        let (room, user_id) = (room.clone(), user_id.to_owned());
        self.read(move |connection| member(connection, &room, &user_id))
            .await
    }

    async fn change_member(
        &self,
        room: &RoomId,
        user_id: &str,
        change: &MemberChange,
    ) -> Result<Member, StoreError> {
        let (room, user_id, change) = (room.clone(), user_id.to_owned(), change.clone());
        self.write(move |connection| {
            let before = member(connection, &room, &user_id)?;
            let before = before.unwrap_or_else(|| Member::unknown(&user_id));
            let after = before.after(&change);
            put_member(connection, &room, &after)?;
            Ok(after)
        })
        .await
    }

    async fn mark_read(&self, marks: Vec<ReadMark>) -> Result<(), StoreError> {
        self.write(move |connection| marks.iter().try_for_each(|one| mark(connection, one)))
            .await
    }

    async fn members(
        &self,
        room: &RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let (room, after) = (room.clone(), after.unwrap_or_default().to_owned());
        self.read(move |connection| {
            let sql = format!(
                "SELECT {MEMBER_COLUMNS} FROM members
                 WHERE room_id = ?1 AND user_id > ?2 AND is_member ORDER BY user_id LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let found = statement.query_map(params![room.as_str(), after, limit], row::member)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn member_count(&self, room: &RoomId) -> Result<u64, StoreError> {
        let room = room.clone();
        self.read(move |connection| {
            let count: i64 = connection
                .prepare_cached("SELECT count(*) FROM members WHERE room_id = ?1 AND is_member")?
                .query_row([room.as_str()], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
        .await
    }

    async fn rooms_of(
        &self,
        user_id: &str,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<(Room, Member)>, StoreError> {
        let (user_id, after) = (user_id.to_owned(), text(after));
        self.read(move |connection| {
            let ids: Vec<String> = connection
                .prepare_cached(
                    "SELECT room_id FROM members
                     WHERE user_id = ?1 AND room_id > ?2 AND is_member ORDER BY room_id LIMIT ?3",
                )?
                .query_map(params![user_id, after, limit], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut found = Vec::new();
            for id in ids {
                let id = row::id(&id)?;
                if let (Some(room), Some(member)) =
                    (room(connection, &id)?, member(connection, &id, &user_id)?)
                {
                    found.push((room, member));
                }
            }
            Ok(found)
        })
        .await
    }

    async fn public_rooms(
        &self,
        named: Option<&str>,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<Room>, StoreError> {
        let (named, after) = (named.unwrap_or_default().to_owned(), text(after));
        let access = Access::Public.as_str();
        self.read(move |connection| {
            let sql = format!(
                "SELECT {ROOM_COLUMNS} FROM rooms WHERE access = '{access}' AND id > ?1
                 AND (?3 = '' OR instr(lower(name), lower(?3)) > 0) ORDER BY id LIMIT ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let found = statement.query_map(params![after, limit, named], row::room)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn text(after: Option<&RoomId>) -> String {
    after.map(|id| id.as_str().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::SqliteDirectory;
    use crate::chat::room::RoomId;
    use crate::contract::{Fixture, OwnFile};
    use crate::directory::Directory;
    use crate::directory::contract::directory_contract;
    use crate::sqlite::{self, Options};

    #[async_trait]
    impl Fixture<dyn Directory> for OwnFile {
        async fn open(&self) -> Arc<dyn Directory> {
            Arc::new(SqliteDirectory::open(&self.path()).unwrap())
        }
    }

    directory_contract!(OwnFile);

    #[tokio::test]
    async fn a_file_from_before_there_were_versions_counts_from_now_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rooms.db");
        let older = sqlite::open(&path, Options::default(), super::TABLES).unwrap();
        let row = "INSERT INTO rooms VALUES ('r', 'R', 'public', NULL, 0, 0, 0, 0)";
        older.execute(row, []).unwrap();
        drop(older);
        let directory = SqliteDirectory::open(&path).unwrap();
        let before = directory.room(&RoomId::parse("r").unwrap()).await;
        let before = before.unwrap().unwrap();
        assert_eq!(before.version, 0);
        let after = directory.update_room(&before).await.unwrap().unwrap();
        assert_eq!(after.version, 1);
    }
}
