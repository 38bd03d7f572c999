//! What every connection of one proxy shares.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::edge::Crowd;
use crate::lifecycle::Life;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::tls::Tls;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Metrics,
    pub(crate) tls: Tls,
    pub(crate) clock: Clock,
    pub(crate) crowd: Crowd,
    /// A place for each client that is being told that there is none.
    pub(crate) turned_away: Semaphore,
}

/// `Shared`, and the life of the proxy. Cloned once per connection.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) life: Life,
}
