//! One connection to Redis, and the pauses between attempts to make one.
//!
//! The client library is told never to reconnect: it would resubscribe without looking at the
//! answers and retry commands that may have been carried out. Every connection here is a new one,
//! and whoever uses it sees it end.

use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::Builder;
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, TcpConfig, UnresponsiveConfig,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ClusterError;
use crate::redis::RedisOptions;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Dialer {
    config: Config,
    command_timeout: Duration,
    delay_min: Duration,
    delay_max: Duration,
}

/// An open connection. Dropping it closes it.
pub(crate) struct Connection {
    pub(crate) client: Client,
    task: JoinHandle<Result<(), Error>>,
}

impl Dialer {
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, ClusterError> {
        // The library takes any scheme for plain Redis.
        if !["redis", "valkey"]
            .iter()
            .any(|scheme| options.url.starts_with(scheme))
        {
            let why = "it does not begin with redis:// or rediss://".to_owned();
            return Err(ClusterError::BadAddress(why));
        }
        let config = Config::from_url(&options.url)
            .map_err(|error| ClusterError::BadAddress(error.details().to_owned()))?;
        Ok(Self {
            config,
            command_timeout: options.command_timeout,
            delay_min: options.reconnect_delay_min,
            delay_max: options.reconnect_delay_max,
        })
    }

    pub(crate) fn command_timeout(&self) -> Duration {
        self.command_timeout
    }

    /// A client that is not connected yet. It buffers `messages_max` received messages, and takes
    /// about a kilobyte for each whether it is used or not.
    pub(crate) fn client(&self, messages_max: usize) -> Result<Client, Error> {
        Builder::from_config(self.config.clone())
            .set_performance_config(PerformanceConfig {
                default_command_timeout: self.command_timeout,
                broadcast_channel_capacity: messages_max,
                ..PerformanceConfig::default()
            })
            .set_connection_config(ConnectionConfig {
                connection_timeout: self.command_timeout,
                internal_command_timeout: self.command_timeout,
                // Publishing twice would show a message twice.
                max_command_attempts: 1,
                unresponsive: UnresponsiveConfig {
                    max_timeout: Some(2 * self.command_timeout),
                    interval: self.command_timeout / 2,
                },
                tcp: TcpConfig {
                    nodelay: Some(true),
                    ..TcpConfig::default()
                },
                ..ConnectionConfig::default()
            })
            .build()
    }

    /// May be cancelled: nothing of an attempt is left behind.
    pub(crate) async fn connect(&self, client: Client) -> Result<Connection, Error> {
        let connected = client.wait_for_connect();
        tokio::pin!(connected);
        // The first poll starts listening, so that the news cannot come before.
        let mut connection = tokio::select! {
            biased;
            early = &mut connected => return Err(early.err().unwrap_or_else(Error::new_canceled)),
            connection = async { Connection { task: client.connect(), client: client.clone() } } => connection,
        };
        // The library's own timeouts are per step; all steps together get two of them.
        tokio::select! {
            biased;
            outcome = &mut connected => outcome.map(|()| connection),
            why = connection.closed() => Err(Error::new(ErrorKind::IO, why)),
            () = tokio::time::sleep(2 * self.command_timeout) => {
                Err(Error::new(ErrorKind::Timeout, "connecting took too long"))
            }
        }
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff {
            next: self.delay_min,
            min: self.delay_min,
            max: self.delay_max,
        }
    }
}

impl Connection {
    /// Ends when the connection does, and says why. May be cancelled.
    pub(crate) async fn closed(&mut self) -> String {
        match (&mut self.task).await {
            Ok(Ok(())) => "the connection was closed".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Pauses that double from the shortest to the longest.
pub(crate) struct Backoff {
    next: Duration,
    min: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }

    fn take(&mut self) -> Duration {
        let delay = self.next.min(self.max);
        self.next = delay.saturating_mul(2);
        delay
    }

    /// Waits for the next attempt; `false` when the program stops first.
    pub(crate) async fn wait(&mut self, stop: &mut watch::Receiver<bool>) -> bool {
        let delay = self.take();
        tokio::select! {
            () = tokio::time::sleep(delay) => true,
            () = stopped(stop) => false,
        }
    }
}

/// Ends when the bus is closed or dropped.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the bus was dropped, which is a stop as well.
    if stop.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("the cluster was dropped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again() {
        let dialer = Dialer::new(&RedisOptions::new("redis://localhost")).unwrap();
        let mut backoff = dialer.backoff();
        let delays_ms: Vec<_> = (0..7).map(|_| backoff.take().as_millis()).collect();
        assert_eq!(delays_ms, [100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.reset();
        assert_eq!(backoff.take().as_millis(), 100);
    }

    #[test]
    fn an_address_that_makes_no_sense_is_refused() {
        for url in ["", "localhost:6379", "http://localhost", "redis://"] {
            assert!(Dialer::new(&RedisOptions::new(url)).is_err(), "{url}");
        }
    }
}
