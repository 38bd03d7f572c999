//! Messages in MongoDB, which any number of backends on any number of hosts share.
//!
//! Owns the connection and when the log is ready to use. There is no lock and no leader: an append is an insert of `seq = tail + 1`,
//! and the unique index on `(roomId, seq)` rejects whoever comes second. MongoDB may be away at start; each call tries again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mongodb::options::{ClientOptions, ConnectionString};
use mongodb::{Client, Database};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::{Appended, Ends, Found, Grown, History, Mark, Page, Search, Store, StoreError, Tails};
use crate::chat::message::Draft;
use crate::chat::room::RoomId;
use crate::clock;
use batch::Batch;
use log::Log;

mod append;
mod batch;
mod fold;
mod growth;
pub(crate) mod keeper;
mod log;
mod row;
mod search;
#[cfg(test)]
pub(crate) mod tests;

/// The database when the URI names none.
const DATABASE: &str = "berth";

/// How long one operation looks for a server: long enough for an election to be noticed, short enough that senders hear about it.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections to one server. Appends are batched per room, so that more would only queue inside MongoDB.
const POOL_CONNECTIONS_MAX: u32 = 32;

/// The longest a caller waits for an outcome; then it is unknown.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// The longest that those who changed a message wait until it shows that. Readers finish what is left.
const FOLD_TIME_MAX: Duration = Duration::from_secs(1);

/// A store in MongoDB. The connection is shared; share the store in an `Arc`.
pub struct MongoStore {
    uri: String,
    database: OnceCell<Database>,
    /// The prepared log. Opening is done by one caller at a time.
    log: Mutex<Option<Arc<Log>>>,
    opening: tokio::sync::Mutex<()>,
    answer_time_max: Duration,
}

impl MongoStore {
    /// Checks the URI. Connects at the first use, so that a MongoDB that comes up later is fine; [`Store::ping`] tells.
    ///
    /// The database is the one in the URI's path, else `berth`. `serverSelectionTimeoutMS` and `maxPoolSize` of the URI win over
    /// the defaults of 2 s and 32.
    ///
    /// # Errors
    /// [`StoreError::Broken`] when the text is not a connection string.
    #[allow(
        clippy::unused_async,
        reason = "callers await it, so that it may come to look up names"
    )]
    pub async fn connect(uri: &str) -> Result<Self, StoreError> {
        Self::answering_within(uri, ANSWER_TIME_MAX)
    }

    fn answering_within(uri: &str, answer_time_max: Duration) -> Result<Self, StoreError> {
        ConnectionString::parse(uri).map_err(|why| bad_uri(uri, &why))?;
        Ok(Self {
            uri: uri.to_owned(),
            database: OnceCell::new(),
            log: Mutex::new(None),
            opening: tokio::sync::Mutex::default(),
            answer_time_max,
        })
    }

    /// The log, with its indexes in place and its epoch known.
    async fn log(&self) -> Result<Arc<Log>, StoreError> {
        if let Some(log) = self.opened() {
            return Ok(log);
        }
        let _opening = self.opening.lock().await;
        if let Some(log) = self.opened() {
            return Ok(log);
        }
        let database = self
            .database
            .get_or_try_init(|| database(&self.uri))
            .await?;
        let log = Arc::new(Log::open(database).await?);
        self.set_log(Some(Arc::clone(&log)));
        tokio::spawn(take_up(Arc::clone(&log)));
        Ok(log)
    }

    fn opened(&self) -> Option<Arc<Log>> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_log(&self, log: Option<Arc<Log>>) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = log;
    }

    async fn append_batch(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let log = self.log().await?;
        append::append(&log, batch).await
    }

    /// Before a change is answered, its message shows it. What cannot be done now is stored all the same, and done by the next reader.
    async fn show_changes(&self, room: &RoomId, targets: Vec<i64>) {
        if targets.is_empty() {
            return;
        }
        let fold = async {
            let log = self.log().await?;
            fold::fold_targets(&log, room, targets).await
        };
        let why = match timeout(FOLD_TIME_MAX, fold).await {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => self.too_late(),
        };
        tracing::debug!(%room, %why, "changes are left to the next reader");
    }

    /// Whoever wiped or restored the database took the indexes and our idea of each tail with it: the log is opened anew.
    async fn check(&self) -> Result<(), StoreError> {
        let log = self.log().await?;
        if log.is_still_there().await? {
            return Ok(());
        }
        tracing::warn!("the message log was replaced while in use; opening it anew");
        self.set_log(None);
        self.log().await.map(drop)
    }

    fn too_late(&self) -> StoreError {
        let limit = self.answer_time_max;
        StoreError::Unavailable(format!("MongoDB did not answer within {limit:?}"))
    }
}

impl fmt::Debug for MongoStore {
    /// Without the URI, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("open", &self.opened().is_some())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn append(&self, room: &RoomId, drafts: Vec<Draft>) -> Vec<Result<Appended, StoreError>> {
        // The batch outlives the time limit: what was settled before it stays settled.
        let mut batch = Batch::new(room.clone(), drafts);
        let ended = if batch.is_done() {
            Ok(())
        } else {
            match timeout(self.answer_time_max, self.append_batch(&mut batch)).await {
                Ok(ended) => ended,
                Err(_) => Err(self.too_late()),
            }
        };
        self.show_changes(room, batch.targets()).await;
        batch.into_outcomes(ended.err())
    }

    async fn page(&self, room: &RoomId, page: Page) -> Result<History, StoreError> {
        let read = async { self.log().await?.page(room, page).await };
        timeout(self.answer_time_max, read)
            .await
            .map_err(|_| self.too_late())?
    }

    async fn tails(&self, rooms: &[RoomId]) -> Result<Tails, StoreError> {
        let read = async { self.log().await?.tails(rooms).await };
        timeout(self.answer_time_max, read)
            .await
            .map_err(|_| self.too_late())?
    }

    async fn ends(&self, after: Option<&RoomId>, limit: u32) -> Result<Ends, StoreError> {
        let read = async { growth::ends(&*self.log().await?, after, limit).await };
        timeout(self.answer_time_max, read)
            .await
            .map_err(|_| self.too_late())?
    }

    async fn grown(&self, since: Option<Mark>) -> Result<Grown, StoreError> {
        let now_ms = clock::unix_ms();
        let read = async { growth::grown(&*self.log().await?, since, now_ms).await };
        timeout(self.answer_time_max, read)
            .await
            .map_err(|_| self.too_late())?
    }

    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        let read = async { search::search(&*self.log().await?, &search).await };
        timeout(self.answer_time_max, read)
            .await
            .map_err(|_| self.too_late())?
    }

    async fn ping(&self) -> Result<(), StoreError> {
        timeout(self.answer_time_max, self.check())
            .await
            .map_err(|_| self.too_late())?
    }

    fn name(&self) -> &'static str {
        "mongodb"
    }
}

/// Beside everything else: until it is done, a search misses some of what is old. The next start goes on where it was left.
async fn take_up(log: Arc<Log>) {
    if let Err(why) = search::take_up(&log).await {
        tracing::warn!(%why, "older messages were not all taken up for searching");
    }
}

/// Resolves the URI's names (`mongodb+srv` asks DNS) and makes the client. No server is spoken to yet.
pub(crate) async fn database(uri: &str) -> Result<Database, StoreError> {
    let mut options = ClientOptions::parse(uri)
        .await
        .map_err(|why| log::failure(&why))?;
    options
        .server_selection_timeout
        .get_or_insert(SERVER_SELECTION_TIMEOUT);
    options
        .connect_timeout
        .get_or_insert(SERVER_SELECTION_TIMEOUT);
    options.max_pool_size.get_or_insert(POOL_CONNECTIONS_MAX);
    options.app_name.get_or_insert_with(|| "berth".to_owned());
    let name = options
        .default_database
        .clone()
        .unwrap_or_else(|| DATABASE.to_owned());
    let client = Client::with_options(options).map_err(|why| log::failure(&why))?;
    Ok(client.database(&name))
}

/// The driver's words may quote the URI, so they are left out where it may hold a password.
pub(crate) fn bad_uri(uri: &str, why: &mongodb::error::Error) -> StoreError {
    StoreError::Broken(if uri.contains('@') {
        "not a MongoDB connection string; special characters in its user name and password must be \
         percent-encoded"
            .to_owned()
    } else {
        format!("not a MongoDB connection string: {why}")
    })
}
