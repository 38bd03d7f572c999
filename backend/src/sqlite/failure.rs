//! What went wrong in SQLite, sorted by what a caller can do about it.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::session::SessionError;
use crate::store::StoreError;

/// Why an SQLite file did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SqliteError {
    /// Another process held the lock for the whole busy timeout. Other work would only wait as long again.
    #[error("{0}")]
    Locked(String),
    /// Full disk, read-only file, failing device: goes away when its cause does.
    #[error("{0}")]
    Unavailable(String),
    /// Damaged or foreign data, or a bug: trying again does not help.
    #[error("{0}")]
    Broken(String),
}

impl SqliteError {
    /// The same failure, saying which file.
    pub(super) fn at(self, path: &Path) -> Self {
        let place = path.display();
        match self {
            Self::Locked(why) => Self::Locked(format!("{place}: {why}")),
            Self::Unavailable(why) => Self::Unavailable(format!("{place}: {why}")),
            Self::Broken(why) => Self::Broken(format!("{place}: {why}")),
        }
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(text),
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DiskFull
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OperationInterrupted
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure,
            ) => Self::Unavailable(text),
            Some(_) | None => Self::Broken(text),
        }
    }
}

impl From<SqliteError> for StoreError {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Locked(why) | SqliteError::Unavailable(why) => Self::Unavailable(why),
            SqliteError::Broken(why) => Self::Broken(why),
        }
    }
}

impl From<SqliteError> for SessionError {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Locked(why) | SqliteError::Unavailable(why) | SqliteError::Broken(why) => {
                Self::Unavailable(why)
            }
        }
    }
}
