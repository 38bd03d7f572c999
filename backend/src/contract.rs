//! What the suites of the ports to stored data have in common: data of its own for each test, handles on it, and one test for each behaviour.
//! The suites themselves are beside their ports, in `contract`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;

/// Data of its own.
#[async_trait]
pub(crate) trait Data: Sized + Send + Sync {
    /// Data that nobody has written to.
    async fn fresh() -> Self;
    /// Removes the data.
    async fn clear(self);
}

/// Data that a port, such as `dyn Users`, is a way to.
#[async_trait]
pub(crate) trait Fixture<Port: ?Sized>: Data {
    /// A further handle on this data, as another process has one.
    async fn open(&self) -> Arc<Port>;
}

/// In memory, handles share one keeper.
#[async_trait]
impl<T: Default + Send + Sync> Data for Arc<T> {
    async fn fresh() -> Self {
        Self::default()
    }

    async fn clear(self) {}
}

/// A file, in a folder that goes away with it.
pub(crate) struct OwnFile(TempDir);

impl OwnFile {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("own.db")
    }
}

#[async_trait]
impl Data for OwnFile {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn clear(self) {
        self.0.close().unwrap();
    }
}

/// Makes one test per behaviour of a port's suite, `crate::PORT::contract`.
macro_rules! behaviours {
    ($port:ident, $fixture:ty: $($behaviour:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                use $crate::contract::Data as _;
                let fixture = <$fixture>::fresh().await;
                $crate::$port::contract::$behaviour(&fixture).await;
                fixture.clear().await;
            }
        )+
    };
}
pub(crate) use behaviours;
