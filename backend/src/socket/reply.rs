//! How an answer travels: as the ack when the client gave one, as an `error` event when it did not.

use std::sync::Arc;

use serde::Serialize;
use socketioxide::SendError;
use socketioxide::extract::AckSender;
use socketioxide::handler::FromMessageParts as _;
use socketioxide::socket::Socket;
use socketioxide_core::Value;

use super::Adapter;
use crate::chat::refusal::Refusal;
use crate::metrics::Metrics;
use crate::protocol::{self, Context, Done, Event, Refused};

/// The way back to whoever sent an event. Used once.
pub(super) struct Reply {
    pub(super) socket: Arc<Socket<Adapter>>,
    pub(super) ack_id: Option<i64>,
    pub(super) event: Event,
    pub(super) metrics: Metrics,
}

impl Reply {
    /// Whether somebody reads a positive answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.ack_id.is_some()
    }

    pub(super) fn done(self, body: impl Serialize) {
        self.ack(&Done::new(body));
    }

    /// Says no. `about` is the room and the clientMsgId, for those who have no ack to tell requests apart.
    pub(super) fn refuse(self, refusal: &Refusal, about: (Option<&str>, Option<&str>)) {
        self.metrics
            .chat
            .refusals_total
            .with_label_values(&[refusal.code.as_str()])
            .inc();
        tracing::debug!(event = self.event.as_str(), %refusal, "refused");
        if self.is_awaited() {
            return self.ack(&Refused::ack(refusal));
        }
        let (room_id, client_msg_id) = about;
        let context = Context {
            event: self.event.as_str(),
            room_id,
            client_msg_id,
        };
        let result = self
            .socket
            .emit(protocol::ERROR, &Refused::event(refusal, context));
        self.note(result);
    }

    fn ack(self, body: &impl Serialize) {
        // `()`: the extractor cannot fail, and the value is not looked at.
        let mut unused = Value::Bytes(bytes::Bytes::new());
        let sent = AckSender::from_message_parts(&self.socket, &mut unused, &self.ack_id);
        let result = match sent {
            Ok(sender) => sender.send(body),
            Err(never) => match never {},
        };
        self.note(result);
    }

    fn note(&self, result: Result<(), SendError>) {
        match result {
            Ok(()) => {}
            Err(SendError::Socket(error)) => {
                self.metrics
                    .chat
                    .dropped_total
                    .with_label_values(&[super::why(&error)])
                    .inc();
            }
            Err(SendError::Serialize(error)) => {
                tracing::error!(event = self.event.as_str(), %error, "an answer could not be written");
            }
        }
    }
}
