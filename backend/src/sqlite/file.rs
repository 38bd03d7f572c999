//! The file beneath a database: made privately, and still there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::SqliteError;

/// Which file a connection has open. A path may come to name another file; this notices.
#[derive(Debug)]
pub(crate) struct OpenFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl OpenFile {
    /// Call it right after opening.
    pub(crate) fn at(path: &Path) -> Result<Self, SqliteError> {
        let device_and_inode = identity(path).map_err(|why| unavailable(path, &why))?;
        Ok(Self {
            path: path.to_owned(),
            device_and_inode,
        })
    }

    /// Answers an error while the path names no file or another one. Moving the file back is enough.
    pub(crate) fn check_in_place(&self) -> Result<(), SqliteError> {
        match identity(&self.path) {
            Ok(found) if found == self.device_and_inode => Ok(()),
            Ok(_) => Err(unavailable(
                &self.path,
                &"replaced while open; restart to use the new file",
            )),
            Err(why) => Err(unavailable(&self.path, &why)),
        }
    }
}

/// Makes the missing folders (0700) and the file (0600; the WAL and its index inherit that).
pub(super) fn create(path: &Path) -> Result<(), SqliteError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    create_in(folder, path).map_err(|why| unavailable(path, &why))
}

fn create_in(folder: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        // SQLite syncs what it creates, but it did not create this entry.
        Ok(_) => File::open(folder)?.sync_all(),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(why) => Err(why),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn unavailable(path: &Path, why: &dyn std::fmt::Display) -> SqliteError {
    SqliteError::Unavailable(format!("{}: {why}", path.display()))
}
