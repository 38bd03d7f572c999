//! Receives the messages of the other servers.
//! Owns the subscribing connection and the proof that its subscriptions work.
//!
//! The client library does not look at Redis's answers to SUBSCRIBE. So after the subscriptions a
//! channel of this process alone is subscribed, and a message is sent to it by the publishing
//! connection: Redis takes a connection's commands in order, so when that message arrives, what was
//! subscribed before it works. The same message, repeated, is how a dead connection is noticed that
//! nobody closed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{EventInterface, PubsubInterface};
use fred::types::{Message, Value};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::bus::{Inbox, Subscription};
use crate::counts::Counters;
use crate::redis::connection::{Connection, Dialer, stopped};
use crate::redis::queue;
use crate::redis::status::{Role, Status};

/// Messages between the library and our own queue. The library allocates this many in seven kinds
/// of channels, so it is small; they are only moved on, which takes less than reading them took.
const HANDOVER_MESSAGES_MAX: usize = 4096;
/// How often subscriptions are probed that are new, or suspected not to work.
const PROBE_INTERVAL_NEW: Duration = Duration::from_millis(100);

pub(crate) struct Received {
    channel: String,
    payload: Bytes,
}

impl queue::Sized for Received {
    fn bytes(&self) -> usize {
        self.channel.len() + self.payload.len()
    }
}

/// Delivers what was received, apart from receiving it: a delivery to many clients takes a while.
pub(crate) async fn deliver(mut received: queue::Receiver<Received>, inbox: Arc<dyn Inbox>) {
    while let Some(Received { channel, payload }) = received.recv().await {
        inbox.receive(&channel, payload);
    }
}

pub(crate) struct Subscriber {
    pub(crate) dialer: Dialer,
    pub(crate) probe_interval: Duration,
    pub(crate) wanted: watch::Receiver<BTreeSet<Subscription>>,
    pub(crate) publishing_client: watch::Receiver<Option<Client>>,
    pub(crate) received: queue::Sender<Received>,
    pub(crate) status: Arc<Status>,
    pub(crate) counters: Arc<Counters>,
}

/// What is subscribed on the present connection, and whether that has been proved.
struct Attachment {
    held: BTreeSet<Subscription>,
    /// A new one for every set of subscriptions.
    probe_channel: String,
    is_proved: bool,
    /// Since when there should have been a sign of life.
    waiting_since: Option<Instant>,
    /// The sign was overdue when last looked for. One more look decides: after this process itself
    /// was held up, the sign may be there and not yet read.
    is_suspect: bool,
}

impl Attachment {
    fn note_life(&mut self) {
        self.waiting_since = None;
        self.is_suspect = false;
    }
}

impl Subscriber {
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut backoff = self.dialer.backoff();
        loop {
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = stopped(&mut stop) => return,
            };
            match connected {
                Ok((connection, messages)) => {
                    backoff.reset();
                    self.status.up(Role::Subscriber);
                    tokio::select! {
                        why = self.serve(connection, messages) => self.status.lost(Role::Subscriber, &why),
                        () = stopped(&mut stop) => return self.status.closed(Role::Subscriber),
                    }
                }
                Err(error) => self.status.failed(Role::Subscriber, &error.to_string()),
            }
            if !backoff.wait(&mut stop).await {
                return;
            }
        }
    }

    async fn connect(&self) -> Result<(Connection, broadcast::Receiver<Message>), Error> {
        let client = self.dialer.client(HANDOVER_MESSAGES_MAX)?;
        let messages = client.message_rx();
        Ok((self.dialer.connect(client).await?, messages))
    }

    /// Receives until the connection ends or proves dead, and says why.
    async fn serve(
        &mut self,
        mut connection: Connection,
        mut messages: broadcast::Receiver<Message>,
    ) -> String {
        let mut attachment = match self.attach(&connection.client, BTreeSet::new()).await {
            Ok(attachment) => attachment,
            Err(error) => return error.to_string(),
        };
        let probe_time = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(probe_time);
        loop {
            // Messages come last, so that many of them cannot hold up the rest.
            tokio::select! {
                biased;
                why = connection.closed() => return why,
                // An error means that the bus is gone, and the task with it.
                Ok(()) = self.wanted.changed() => {
                    attachment = match self.attach(&connection.client, attachment.held).await {
                        Ok(attachment) => attachment,
                        Err(error) => return error.to_string(),
                    };
                    probe_time.as_mut().reset(Instant::now());
                }
                () = &mut probe_time => {
                    if self.is_overdue(&attachment) {
                        if attachment.is_suspect {
                            return "no message came through the subscriptions".to_owned();
                        }
                        attachment.is_suspect = true;
                    }
                    self.probe(&mut attachment);
                    let is_settled = attachment.is_proved && !attachment.is_suspect;
                    let pause = if is_settled { self.probe_interval } else { PROBE_INTERVAL_NEW };
                    probe_time.as_mut().reset(Instant::now() + pause);
                }
                message = messages.recv() => match message {
                    Ok(message) => {
                        attachment.note_life();
                        self.take(message, &mut attachment);
                    }
                    Err(broadcast::error::RecvError::Lagged(lost)) => self.counters.lagged.add(lost),
                    Err(broadcast::error::RecvError::Closed) => return "the client ended".to_owned(),
                },
            }
        }
    }

    /// Subscribes to what is wanted and not held, and last to a new channel for probes.
    async fn attach(
        &mut self,
        client: &Client,
        held: BTreeSet<Subscription>,
    ) -> Result<Attachment, Error> {
        self.status.set_attached(false);
        let wanted = self.wanted.borrow_and_update().clone();
        for unwanted in held.difference(&wanted) {
            match (unwanted, unwanted.pattern()) {
                (_, Some(pattern)) => client.punsubscribe(pattern).await?,
                (Subscription::Exact(channel), None) => {
                    client.unsubscribe(channel.as_str()).await?
                }
                (Subscription::Prefix(_), None) => {}
            }
        }
        for new in wanted.difference(&held) {
            match (new, new.pattern()) {
                (_, Some(pattern)) => client.psubscribe(pattern).await?,
                (Subscription::Exact(channel), None) => client.subscribe(channel.as_str()).await?,
                (Subscription::Prefix(_), None) => {}
            }
        }
        let probe_channel = format!("socket.io-probe#{}#", socketioxide_core::Uid::new());
        client.subscribe(probe_channel.as_str()).await?;
        Ok(Attachment {
            held: wanted,
            probe_channel,
            is_proved: false,
            waiting_since: None,
            is_suspect: false,
        })
    }

    fn take(&self, message: Message, attachment: &mut Attachment) {
        if *message.channel == *attachment.probe_channel {
            attachment.is_proved = true;
            self.status.set_attached(true);
            return;
        }
        let payload = match message.value {
            Value::Bytes(payload) => payload,
            Value::String(payload) => payload.into_inner(),
            // Redis has no other kind of message.
            _ => return self.counters.malformed.add(1),
        };
        let channel = message.channel.to_string();
        if self
            .received
            .try_send(Received { channel, payload })
            .is_err()
        {
            self.counters.lagged.add(1);
        }
    }

    /// Sends a message to ourselves. Without a publishing connection nothing can be proved, and
    /// nothing is held against this one.
    fn probe(&self, attachment: &mut Attachment) {
        let Some(publisher) = self.publishing_client.borrow().clone() else {
            attachment.note_life();
            return;
        };
        attachment.waiting_since.get_or_insert_with(Instant::now);
        let channel = attachment.probe_channel.clone();
        tokio::spawn(async move {
            if let Err(error) = publisher.publish::<(), _, _>(channel, Bytes::new()).await {
                tracing::debug!(%error, "could not probe the subscriptions");
            }
        });
    }

    fn is_overdue(&self, attachment: &Attachment) -> bool {
        let is_overdue = |since: Instant| since.elapsed() > self.dialer.command_timeout();
        attachment.waiting_since.is_some_and(is_overdue)
    }
}
