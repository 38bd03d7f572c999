//! What the keepers beside the log (of rooms, users and webhooks) have in common on MongoDB: each connects at its first use, what it answered
//! is there for everybody who asks later, and nobody waits for ever.

use std::fmt;
use std::time::Duration;

use mongodb::bson::Document;
use mongodb::options::{
    Acknowledgment, CollectionOptions, ConnectionString, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};
use mongodb::{Collection, Database};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::{bad_uri, database};
use crate::store::StoreError;

/// The longest a caller waits.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// MongoDB's code for a value that a unique index has already.
pub(crate) const DUPLICATE_KEY: i32 = 11_000;

/// A keeper's collections. MongoDB may be away at start; each call tries again.
pub(crate) struct Keeper<C> {
    uri: String,
    opened: OnceCell<C>,
}

impl<C> Keeper<C> {
    /// Checks the URI; connects at the first use.
    ///
    /// # Errors
    /// [`StoreError::Broken`] when the text is not a connection string.
    pub(crate) fn at(uri: &str) -> Result<Self, StoreError> {
        ConnectionString::parse(uri).map_err(|why| bad_uri(uri, &why))?;
        Ok(Self {
            uri: uri.to_owned(),
            opened: OnceCell::new(),
        })
    }

    /// The collections, as `open` names them and makes their indexes the first time.
    pub(crate) async fn opened<E, F>(&self, open: impl FnOnce(Durable) -> F + Send) -> Result<&C, E>
    where
        E: From<StoreError>,
        F: Future<Output = Result<C, E>> + Send,
    {
        let connect = || async {
            let database = database(&self.uri).await?;
            open(Durable(database)).await
        };
        self.opened.get_or_try_init(connect).await
    }
}

impl<C> fmt::Debug for Keeper<C> {
    /// Without the URI, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

/// A database of which a majority keeps what was answered, also through a failover.
pub(crate) struct Durable(Database);

impl Durable {
    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        let write = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .build();
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::majority())
            .write_concern(write)
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        self.0.collection_with_options(name, options)
    }
}

/// Within the time a caller waits.
pub(crate) async fn within<T, E: From<StoreError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(ANSWER_TIME_MAX, work).await.unwrap_or_else(|_| {
        let why = format!("MongoDB did not answer within {ANSWER_TIME_MAX:?}");
        Err(StoreError::Unavailable(why).into())
    })
}
