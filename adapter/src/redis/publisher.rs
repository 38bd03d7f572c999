//! Publishes the messages of this process in their order, a batch at a time.
//! Owns the publishing connection. A message is published at most once: when a connection ends, the
//! batch on it counts as dropped, because nobody can know how much of it Redis has seen.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::PubsubInterface;
use fred::types::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::counts::Counters;
use crate::redis::connection::{Connection, Dialer, stopped};
use crate::redis::queue;
use crate::redis::status::{Role, Status};

/// Messages in one batch. A batch costs one round trip, so this and the latency of the network
/// bound the rate: 256 per millisecond are more than Redis takes.
const BATCH_MESSAGES_MAX: usize = 256;
/// Bytes in one batch, so that it passes within the timeout of a command on a slow network.
const BATCH_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Outgoing {
    channel: String,
    payload: Bytes,
    queued_at: Instant,
}

impl Outgoing {
    pub(crate) fn new(channel: String, payload: Bytes) -> Self {
        Self {
            channel,
            payload,
            queued_at: Instant::now(),
        }
    }
}

impl queue::Sized for Outgoing {
    fn bytes(&self) -> usize {
        self.channel.len() + self.payload.len()
    }
}

pub(crate) struct Publisher {
    pub(crate) dialer: Dialer,
    pub(crate) age_max: Duration,
    pub(crate) queue: queue::Receiver<Outgoing>,
    /// Lends the connection to others while it is open.
    pub(crate) client: watch::Sender<Option<Client>>,
    pub(crate) status: Arc<Status>,
    pub(crate) counters: Arc<Counters>,
}

/// Why a connection is used no longer.
enum End {
    Lost(String),
    Stopped,
}

impl Publisher {
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut backoff = self.dialer.backoff();
        loop {
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = stopped(&mut stop) => return,
            };
            match connected {
                Ok(connection) => {
                    backoff.reset();
                    self.client.send_replace(Some(connection.client.clone()));
                    self.status.up(Role::Publisher);
                    let end = self.serve(connection, &mut stop).await;
                    self.client.send_replace(None);
                    match end {
                        End::Lost(why) => self.status.lost(Role::Publisher, &why),
                        End::Stopped => return self.status.closed(Role::Publisher),
                    }
                }
                Err(error) => self.status.failed(Role::Publisher, &error.to_string()),
            }
            if !backoff.wait(&mut stop).await {
                return;
            }
            self.forget_old();
        }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        // No message comes in on this connection.
        self.dialer.connect(self.dialer.client(1)?).await
    }

    async fn serve(&mut self, mut connection: Connection, stop: &mut watch::Receiver<bool>) -> End {
        loop {
            let first = tokio::select! {
                biased;
                why = connection.closed() => return End::Lost(why),
                first = self.queue.recv() => first,
                () = stopped(stop) => self.queue.try_recv(),
            };
            let Some(first) = first else {
                return End::Stopped;
            };
            let batch = self.batch(first);
            if let Err(error) = self.publish(&connection.client, batch).await {
                return End::Lost(error.to_string());
            }
        }
    }

    /// The message and what is queued behind it, without what has become too old.
    fn batch(&mut self, first: Outgoing) -> Vec<Outgoing> {
        let mut bytes = queue::Sized::bytes(&first);
        let mut batch = vec![first];
        while batch.len() < BATCH_MESSAGES_MAX && bytes < BATCH_BYTES_MAX {
            let Some(next) = self.queue.try_recv() else {
                break;
            };
            bytes += queue::Sized::bytes(&next);
            batch.push(next);
        }
        let taken = batch.len();
        batch.retain(|message| message.queued_at.elapsed() <= self.age_max);
        self.count_dropped(taken - batch.len());
        batch
    }

    async fn publish(&self, client: &Client, batch: Vec<Outgoing>) -> Result<(), Error> {
        let sent = batch.len();
        if sent == 0 {
            return Ok(());
        }
        let pipeline = client.pipeline();
        for message in batch {
            // Only queues the command; what Redis says to it comes below.
            pipeline
                .publish::<(), _, _>(message.channel, message.payload)
                .await?;
        }
        let answers = pipeline.try_all::<Value>().await;
        let published = answers.iter().filter(|answer| answer.is_ok()).count();
        self.counters.published.add(published as u64);
        self.count_dropped(sent - published.min(sent));
        match answers.into_iter().find_map(Result::err) {
            Some(error) if is_refusal(&error) => {
                tracing::warn!(%error, "Redis refused to publish");
                Ok(())
            }
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Without a connection, drops what would be too old by the time there is one, so that a long
    /// outage keeps little memory.
    fn forget_old(&mut self) {
        let mut forgotten = 0;
        let age_max = self.age_max;
        let is_old = |message: &Outgoing| message.queued_at.elapsed() > age_max;
        while self.queue.try_recv_if(is_old).is_some() {
            forgotten += 1;
        }
        self.count_dropped(forgotten);
    }

    fn count_dropped(&self, messages: usize) {
        if messages > 0 {
            self.counters.dropped.add(messages as u64);
        }
    }
}

/// The connection is fine, and Redis does not want this command.
fn is_refusal(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Protocol
    )
}
