//! How an answer travels: as the ack when the client gave one, as an `error` event when it did not.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};

use super::Adapter;
use super::connect::Client;
use super::evict::evict;
use super::members::why;
use crate::chat::refusal::Refusal;
use crate::metrics::Metrics;
use crate::protocol::{self, Context, Done, Event, Refused};

/// Pauses between attempts to put an answer into a full buffer: the writer empties it in about a millisecond when the client reads.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// After that the client has stopped reading, and its connection is closed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The room and the clientMsgId that a refusal is about.
pub(super) type About<'a> = (Option<&'a str>, Option<&'a str>);

/// The way back to whoever sent an event. Used once.
pub(super) struct Reply {
    pub(super) socket: Arc<Socket<Adapter>>,
    pub(super) client: Arc<Client>,
    pub(super) ack_id: Option<i64>,
    pub(super) event: Event,
    pub(super) metrics: Metrics,
}

impl Reply {
    /// Whether somebody reads a positive answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.ack_id.is_some()
    }

    /// Says yes, when somebody listens.
    pub(super) async fn done(self, body: impl Serialize + Send + Sync) {
        let body = Done::new(body);
        self.patiently(|reply| reply.ack(&body)).await;
    }

    /// Says no. `about` is the room and the clientMsgId, for those who have no ack to tell requests apart.
    pub(super) async fn refuse(self, refusal: &Refusal, about: About<'_>) {
        self.count(refusal);
        self.patiently(|reply| reply.say_no(refusal, about)).await;
    }

    /// Says no where nothing can be awaited: a client that reads nothing while it floods us misses it, and its connection is closed.
    pub(super) fn refuse_now(self, refusal: &Refusal) {
        self.count(refusal);
        self.note(self.say_no(refusal, (None, None)));
    }

    fn count(&self, refusal: &Refusal) {
        let code = refusal.code.as_str();
        self.metrics
            .chat
            .refusals_total
            .with_label_values(&[code])
            .inc();
        tracing::debug!(event = self.event.as_str(), %refusal, "refused");
    }

    /// A full buffer is waited for: the answers of a client that sends faster than it reads slow down its own sends, and nobody else's.
    async fn patiently(self, attempt: impl Fn(&Self) -> Result<(), SendError>) {
        let mut pause = PAUSE_MIN;
        let mut waited = Duration::ZERO;
        loop {
            let result = attempt(&self);
            let is_full = matches!(
                result,
                Err(SendError::Socket(SocketError::InternalChannelFull))
            );
            if !is_full || waited > PATIENCE || !self.socket.connected() {
                return self.note(result);
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn say_no(&self, refusal: &Refusal, about: About<'_>) -> Result<(), SendError> {
        if self.is_awaited() {
            return self.ack(&Refused::ack(refusal));
        }
        let (room_id, client_msg_id) = about;
        let context = Context {
            event: self.event.as_str(),
            room_id,
            client_msg_id,
        };
        let body = Refused::event(refusal, context);
        self.client.tell(protocol::ERROR, &body)
    }

    fn ack(&self, body: &impl Serialize) -> Result<(), SendError> {
        let Some(ack_id) = self.ack_id else {
            return Ok(());
        };
        self.client.answer(ack_id, body)
    }

    fn note(&self, result: Result<(), SendError>) {
        match result {
            Ok(()) => {}
            Err(SendError::Socket(error)) => {
                self.metrics
                    .chat
                    .dropped_total
                    .with_label_values(&[why(&error)])
                    .inc();
                if matches!(error, SocketError::InternalChannelFull) {
                    evict(&self.socket, &self.metrics);
                }
            }
            Err(SendError::Serialize(error)) => {
                tracing::error!(event = self.event.as_str(), %error, "an answer could not be written");
            }
        }
    }
}
