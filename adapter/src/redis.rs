//! The bus on Redis. For now it checks the address and leaves the server on its own.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::ClusterError;
use crate::bus::{Bus, Inbox, NoBus, Subscription};
use crate::cluster::Link;
use crate::counts::Counters;

/// How to reach Redis.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user:password@]host:port[/database]`, `rediss://` for TLS.
    pub url: String,
}

impl RedisOptions {
    /// The defaults for this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }
}

pub(crate) struct RedisBus {
    bus: NoBus,
}

impl RedisBus {
    pub(crate) fn start(
        options: RedisOptions,
        _inbox: Arc<dyn Inbox>,
        _counters: Arc<Counters>,
    ) -> Result<Self, ClusterError> {
        fred::types::config::Config::from_url(&options.url)
            .map_err(|error| ClusterError::BadAddress(error.to_string()))?;
        Ok(Self { bus: NoBus::new() })
    }
}

impl Bus for RedisBus {
    fn publish(&self, channel: String, payload: Bytes) {
        self.bus.publish(channel, payload);
    }

    fn subscribe(&self, wanted: Vec<Subscription>) {
        let patterns: Vec<_> = wanted.iter().filter_map(Subscription::pattern).collect();
        tracing::debug!(?patterns, "subscribing");
        self.bus.subscribe(wanted);
    }

    fn unsubscribe(&self, unwanted: Vec<Subscription>) {
        self.bus.unsubscribe(unwanted);
    }

    fn subscribers(&self, channel: String) -> BoxFuture<'_, Result<u16, ClusterError>> {
        self.bus.subscribers(channel)
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.bus.link()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.bus.close()
    }
}
