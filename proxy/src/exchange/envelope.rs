//! The session id's envelope in the answer to an Engine.IO handshake: the one body that is changed on its way.
//!
//! Owns when an answer is held back and how its head changes with it. What an envelope is: `affinity::sid`.

use super::ask::{Answered, Failed, failed_of};
use super::flow::Flow;
use super::kept::Connection;
use super::{End, Exchange};
use crate::affinity::sid::{ANSWER_BYTES_MAX, Reading};
use crate::headers::push_field;
use crate::outcome::Outcome;
use crate::socket::Socket;

impl Exchange<'_> {
    /// Holds back what may be the answer to an Engine.IO handshake until it is whole, and wraps its session id. What
    /// turns out to be something else goes as it came.
    pub(super) async fn hold(
        &mut self,
        client: &mut Socket,
        answered: &mut Answered,
        body: &mut Flow,
    ) -> Result<Vec<u8>, End> {
        let Answered {
            connection: Connection { socket: server, .. },
            answer,
            rest,
            ..
        } = answered;
        let mut held = Vec::new();
        loop {
            let piece = body.admit(rest);
            held.extend_from_slice(
                piece.map_err(|_| End::Refused(Outcome::InvalidAnswer.refusal()))?,
            );
            rest.clear();
            if body.is_done() {
                break;
            }
            if held.len() > ANSWER_BYTES_MAX {
                // Its end is the end of the connection: the head that said otherwise is not sent.
                return Ok(held);
            }
            match self
                .asking
                .hear(client, server, rest)
                .await
                .map_err(failed_of)
            {
                Ok(()) => {}
                Err(Failed::Try(outcome, _)) => return Err(End::Refused(outcome.refusal())),
                Err(Failed::Request(refusal)) => return Err(End::Refused(refusal)),
                Err(Failed::ClientLeft) => return Err(End::Cut),
            }
        }
        if held.len() <= ANSWER_BYTES_MAX
            && let Some(wrapped) = self.wrap(&held)
        {
            held = wrapped;
        }
        answer.is_measured = true;
        push_field(
            &mut answer.head,
            "Content-Length",
            held.len().to_string().as_bytes(),
        );
        Ok(held)
    }

    fn wrap(&self, body: &[u8]) -> Option<Vec<u8>> {
        let request = &self.order.request;
        let Reading::Handshake { revision, .. } = request.sid else {
            return None;
        };
        let envelope = request.upstream.sid.as_ref()?;
        let wrapped = envelope.wrap(body, revision, self.tries.tag()?)?;
        let metrics = &self.context.shared.metrics;
        metrics.session_began(&request.upstream.name, revision, "polling");
        Some(wrapped)
    }
}
