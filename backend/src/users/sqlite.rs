//! Users in an SQLite file of their own: a login does not wait for the messages' write lock.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};

use super::{User, Username, Users, UsersError};
use crate::sqlite::{self, OpenFile, Options, SqliteError, Worker};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS users (
    id             TEXT    NOT NULL PRIMARY KEY,
    username       TEXT    NOT NULL,
    username_lower TEXT    NOT NULL UNIQUE,
    password_hash  TEXT    NOT NULL,
    display_name   TEXT    NOT NULL,
    roles          TEXT    NOT NULL,
    created_ms     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS banned (
    user_id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
";

const COLUMNS: &str = "id, username, password_hash, display_name, roles, created_ms";

/// Users in a file. Opening the same file again, also from another process, is fine.
pub struct SqliteUsers {
    worker: Worker,
    file: Arc<OpenFile>,
}

impl SqliteUsers {
    /// Opens the file; makes it, and its folder (mode 0700), when missing.
    ///
    /// # Errors
    /// [`UsersError`] with the file and the reason.
    pub fn open(path: &Path) -> Result<Self, UsersError> {
        let connection = sqlite::open(path, Options::default(), TABLES)?;
        let file = Arc::new(OpenFile::at(path)?);
        let worker = Worker::start("users", connection)?;
        Ok(Self { worker, file })
    }

    async fn find(&self, column: &'static str, value: String) -> Result<Option<User>, UsersError> {
        let found = self.worker.run(move |connection: &mut Connection| {
            let sql = format!("SELECT {COLUMNS} FROM users WHERE {column} = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_row([value], read).optional()?)
        });
        found.await?.transpose()
    }
}

/// A row as a user; what is no user in it is somebody else's doing.
fn read(row: &Row<'_>) -> rusqlite::Result<Result<User, UsersError>> {
    let (id, username, roles): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(4)?);
    let broken = |what: &str| UsersError::Broken(format!("{what} of user {id} is not Berth's"));
    let username = Username::parse(&username).map_err(|_| broken("the name"));
    let roles = serde_json::from_str(&roles).map_err(|_| broken("the roles"));
    let (password_hash, display_name, created_ms) = (row.get(2)?, row.get(3)?, row.get(5)?);
    Ok(match (username, roles) {
        (Ok(username), Ok(roles)) => Ok(User {
            id,
            username,
            password_hash,
            display_name,
            roles,
            created_ms,
        }),
        (Err(error), _) | (_, Err(error)) => Err(error),
    })
}

impl fmt::Debug for SqliteUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteUsers")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl From<SqliteError> for UsersError {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Locked(why) | SqliteError::Unavailable(why) => Self::Unavailable(why),
            SqliteError::Broken(why) => Self::Broken(why),
        }
    }
}

#[async_trait]
impl Users for SqliteUsers {
    async fn create(&self, user: &User) -> Result<(), UsersError> {
        let (file, user) = (Arc::clone(&self.file), user.clone());
        let roles = serde_json::Value::from(user.roles.clone()).to_string();
        let is_new = self.worker.run(move |connection: &mut Connection| {
            file.check_in_place()?;
            let inserted = connection
                .prepare_cached(
                    "INSERT INTO users (id, username, username_lower, password_hash, display_name, roles, created_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    user.id,
                    user.username.as_str(),
                    user.username.lower(),
                    user.password_hash,
                    user.display_name,
                    roles,
                    user.created_ms
                ]);
            match inserted {
                Ok(_) => Ok(true),
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    Ok(false)
                }
                Err(error) => Err(error.into()),
            }
        });
        if is_new.await? {
            Ok(())
        } else {
            Err(UsersError::Taken)
        }
    }

    async fn by_name(&self, name: &Username) -> Result<Option<User>, UsersError> {
        self.find("username_lower", name.lower()).await
    }

    async fn by_id(&self, id: &str) -> Result<Option<User>, UsersError> {
        self.find("id", id.to_owned()).await
    }

    async fn set_banned(&self, user_id: &str, is_banned: bool) -> Result<(), UsersError> {
        let (file, user_id) = (Arc::clone(&self.file), user_id.to_owned());
        let written = self.worker.run(move |connection: &mut Connection| {
            file.check_in_place()?;
            let sql = match is_banned {
                true => "INSERT OR IGNORE INTO banned (user_id) VALUES (?1)",
                false => "DELETE FROM banned WHERE user_id = ?1",
            };
            connection.prepare_cached(sql)?.execute([user_id])?;
            Ok(())
        });
        Ok(written.await?)
    }

    async fn banned(&self) -> Result<Vec<String>, UsersError> {
        let found = self.worker.run(|connection: &mut Connection| {
            let mut statement = connection.prepare_cached("SELECT user_id FROM banned")?;
            let found = statement.query_map([], |row| row.get(0))?;
            Ok(found.collect::<Result<_, _>>()?)
        });
        Ok(found.await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::{SqliteUsers, Users};
    use crate::contract::{Fixture, OwnFile};
    use crate::users::contract::users_contract;

    #[async_trait]
    impl Fixture<dyn Users> for OwnFile {
        async fn open(&self) -> Arc<dyn Users> {
            Arc::new(SqliteUsers::open(&self.path()).unwrap())
        }
    }

    users_contract!(OwnFile);
}
