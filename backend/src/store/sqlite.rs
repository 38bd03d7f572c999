//! Messages in one SQLite file, which several processes of a host may share.
//!
//! Owns the tables and the two threads: one writes (group commit), one reads, so that history never waits for a commit.
//! What a safe SQLite file is, `crate::sqlite` knows. `sqlite3 chat.db` shows everything in plain columns.

use std::path::Path;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{Appended, Ends, Found, Grown, History, Mark, Page, Search, Store, StoreError, Tails};
use crate::chat::message::Draft;
use crate::chat::room::RoomId;
use crate::sqlite::{self, OpenFile, Options, Worker, ask};

mod fold;
mod growth;
mod reader;
mod row;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod writer;

/// A store in a file. Cloning is not needed: share it in an `Arc`. Opening the same file again, also from another process, is fine.
#[derive(Debug)]
pub struct SqliteStore {
    writer: mpsc::Sender<writer::Job>,
    reader: Worker,
}

impl SqliteStore {
    /// Opens the file; makes it, and its folder (mode 0700), when missing. Blocks for milliseconds, at worst for some seconds
    /// while another process holds the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file cannot be opened or written now; [`StoreError::Broken`] when it is damaged,
    /// belongs to another program, or was written by a newer Berth.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default())
    }

    fn open_with(path: &Path, options: Options) -> Result<Self, StoreError> {
        let mut connection = sqlite::open(path, options, schema::TABLES)?;
        schema::upgrade(&mut connection)?;
        schema::ensure_epoch(&mut connection)?;
        let reader = Worker::start("store-reader", sqlite::open_reader(path, options)?)?;
        Ok(Self {
            writer: writer::start(connection, OpenFile::at(path)?)?,
            reader,
        })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, room: &RoomId, drafts: Vec<Draft>) -> Vec<Result<Appended, StoreError>> {
        let count = drafts.len();
        let room = room.clone();
        let asked = ask(&self.writer, |reply| writer::Job {
            room,
            drafts,
            reply,
        })
        .await;
        match asked.and_then(|answer| answer) {
            Ok(appended) => appended.into_iter().map(Ok).collect(),
            Err(why) => vec![Err(why.into()); count],
        }
    }

    async fn page(&self, room: &RoomId, page: Page) -> Result<History, StoreError> {
        let room = room.clone();
        Ok(self
            .reader
            .run(move |connection| reader::page(connection, &room, page))
            .await?)
    }

    async fn tails(&self, rooms: &[RoomId]) -> Result<Tails, StoreError> {
        let rooms = rooms.to_vec();
        Ok(self
            .reader
            .run(move |connection| reader::tails(connection, &rooms))
            .await?)
    }

    async fn ends(&self, after: Option<&RoomId>, limit: u32) -> Result<Ends, StoreError> {
        let after = after.map_or_else(String::new, |room| room.as_str().to_owned());
        Ok(self
            .reader
            .run(move |connection| growth::ends(connection, &after, limit))
            .await?)
    }

    async fn grown(&self, since: Option<Mark>) -> Result<Grown, StoreError> {
        Ok(self
            .reader
            .run(move |connection| growth::grown(connection, since))
            .await?)
    }

    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        Ok(self
            .reader
            .run(move |connection| search::search(connection, &search))
            .await?)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.writer.is_closed() {
            return Err(StoreError::Unavailable("the writer has ended".to_owned()));
        }
        Ok(self
            .reader
            .run(|connection| schema::epoch(connection).map(drop))
            .await?)
    }

    fn name(&self) -> &'static str {
        "sqlite"
    }
}
