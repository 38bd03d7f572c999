//! Asks servers, one after the other, until one has answered with a head.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::time::Instant;

use super::answer::{self, Answer, Parsed};
use super::kept::Connection;
use super::talk::Silence;
use super::{Exchange, refusal_of, say};
use crate::dial::dial;
use crate::headers::push_field;
use crate::outcome::{Outcome, is_idempotent};
use crate::refusal::Refusal;
use crate::socket::{Socket, write_within};

/// An answer whose head has come.
pub(super) struct Answered {
    pub(super) connection: Connection,
    pub(super) answer: Answer,
    /// What came behind the head.
    pub(super) rest: BytesMut,
}

/// Why a server did not answer.
pub(super) enum Failed {
    Try(Outcome, Option<io::Error>),
    Request(Refusal),
    ClientLeft,
}

impl Exchange<'_> {
    /// Asks servers until one answers.
    pub(super) async fn ask_around(&mut self, client: &mut Socket) -> Result<Answered, Failed> {
        let shared = &*self.context.shared;
        loop {
            self.tries
                .next(&self.order.request, shared)
                .map_err(Failed::Request)?;
            let failed = match self.ask(client).await {
                Ok(answered) => {
                    self.tries.settle(Outcome::Answered, shared);
                    return Ok(answered);
                }
                Err(failed) => failed,
            };
            let Failed::Try(outcome, error) = &failed else {
                self.tries.settle(Outcome::ClientGone, shared);
                return Err(failed);
            };
            self.tries.settle(*outcome, shared);
            let method = self.order.method();
            tracing::warn!(
                upstream = &*self.order.request.upstream.name,
                server = self.tries.server_name(),
                method = &*method,
                why = outcome.label(),
                error = error.as_ref().map(tracing::field::display),
                "try failed"
            );
            let is_whole = self.asking.body.memory.all().is_some();
            if !outcome.may_try_next(is_whole && is_idempotent(&method)) {
                return Err(failed);
            }
        }
    }

    /// Asks the server that was chosen, on a connection that was kept or on a new one.
    async fn ask(&mut self, client: &mut Socket) -> Result<Answered, Failed> {
        let upstream = &self.order.request.upstream;
        let Some(server) = self.tries.server() else {
            return Err(Failed::Request(Refusal::NoServer));
        };
        let came_at = self.asking.since();
        let kept = self.worker.kept.take(upstream, server, came_at);
        let was_kept = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection {
                socket: Box::pin(dial(&server.endpoint, upstream.connect_timeout))
                    .await
                    .map_err(|(outcome, error)| Failed::Try(outcome, error))?,
                uses: 0,
                state: Arc::clone(&server.state),
            },
        };
        connection.uses += 1;
        let is_last_use = connection.uses >= upstream.keepalive_requests;
        let write_timeout = upstream.write_timeout;
        // No time has passed since the request came, if it goes to its first server and need not wait for it.
        let is_at_once = was_kept && self.tries.count_of_tries() == 1;
        let now = if is_at_once { came_at } else { Instant::now() };
        self.asking.begin(now);
        let head_bytes = self.order.head.len();
        let words = self.words(is_last_use);
        let written = write_within(&mut connection.socket, words, write_timeout).await;
        // The next server gets the same head.
        self.order.head.truncate(head_bytes);
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(Failed::Try(Outcome::Timeout, None));
            }
            // It may have said why before it closed.
            Err(_) => self.asking.cut(),
        }
        let mut rest = BytesMut::new();
        match self
            .hear_head(client, &mut connection.socket, &mut rest)
            .await
        {
            Ok(answer) => Ok(Answered {
                connection,
                answer,
                rest,
            }),
            Err(Failed::Try(Outcome::Broken, error)) if was_kept && rest.is_empty() => {
                Err(Failed::Try(Outcome::StaleConnection, error))
            }
            Err(failed) => Err(failed),
        }
    }

    /// Completes the head for one server, and adds as much of the body as was passed on before.
    fn words(&mut self, is_last_use: bool) -> &[u8] {
        let words = &mut self.order.head;
        if is_last_use {
            push_field(words, "Connection", b"close");
        }
        words.extend_from_slice(b"\r\n");
        words.extend_from_slice(self.asking.body.memory.all().unwrap_or_default());
        words
    }

    /// Waits for the answer's head, and passes on those before it.
    async fn hear_head(
        &mut self,
        client: &mut Socket,
        server: &mut Socket,
        bytes: &mut BytesMut,
    ) -> Result<Answer, Failed> {
        let invalid = || Failed::Try(Outcome::InvalidAnswer, None);
        loop {
            if !bytes.is_empty() {
                match answer::parse(bytes, self.order.asked).map_err(|_| invalid())? {
                    Parsed::Partial if bytes.len() > answer::HEAD_BYTES_MAX => {
                        return Err(invalid());
                    }
                    Parsed::Partial => {}
                    Parsed::Interim { head, end } => {
                        bytes.advance(end);
                        // HTTP/1.0 does not know them (RFC 9110 §15.2).
                        if self.order.asked.is_http11
                            && say(client, &head, self.order.patience).await.is_err()
                        {
                            return Err(Failed::ClientLeft);
                        }
                        continue;
                    }
                    Parsed::Final { answer, end } => {
                        bytes.advance(end);
                        return Ok(answer);
                    }
                }
            }
            self.asking
                .hear(client, server, bytes)
                .await
                .map_err(failed_of)?;
        }
    }
}

pub(super) fn failed_of(silence: Silence) -> Failed {
    match silence {
        Silence::Body(fault) => Failed::Request(refusal_of(fault)),
        Silence::ClientLeft => Failed::ClientLeft,
        Silence::Ended(error) => Failed::Try(Outcome::Broken, error),
        Silence::TimedOut => Failed::Try(Outcome::Timeout, None),
    }
}
