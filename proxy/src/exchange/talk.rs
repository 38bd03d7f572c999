//! What happens between a client and one server at the same time: the request's body on its way up while the answer
//! comes down.
//!
//! Owns the waiting and its deadlines. A server may answer before it has the whole request, a client may leave before
//! the answer; either is noticed when it happens. Works on any pair of streams.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::flow::{Fault, Flow};
use crate::alarm::Alarm;
use crate::head::read::poll_read_some;

/// Of a request that is sent before the last one was answered; more waits in the kernel.
const BEYOND_BYTES_MAX: usize = 16 * 1024;
/// A client that has ended its side may still read (RFC 9112 §9.6), but most that do so are gone. Servers that went on
/// with the answer all the while are not hurried.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Sending,
    Sent,
    /// The server takes no more of it.
    Cut,
}

/// The client's side of an exchange.
#[derive(Debug)]
pub(crate) struct Asking {
    /// The request's body.
    pub(crate) body: Flow,
    stage: Stage,
    since: Instant,
    left_at: Option<Instant>,
    /// How long a server may be silent.
    read_timeout: Duration,
    /// The connection's.
    pub(crate) alarm: Alarm,
}

/// Why nothing is heard from a server.
#[derive(Debug)]
pub(crate) enum Silence {
    /// The request's body did not arrive.
    Body(Fault),
    ClientLeft,
    /// It closed or broke.
    Ended(Option<io::Error>),
    /// It took or said nothing for too long.
    TimedOut,
}

impl Asking {
    #[must_use]
    pub(crate) fn new(body: Flow, read_timeout: Duration, alarm: Alarm, now: Instant) -> Self {
        Self {
            body,
            stage: Stage::Sending,
            since: now,
            left_at: None,
            read_timeout,
            alarm,
        }
    }

    /// The request begins (again), at some server.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.since = now;
        self.body.begin_again(now);
        self.stage = if self.body.is_done() {
            Stage::Sent
        } else {
            Stage::Sending
        };
    }

    /// When the request began to be sent, or had been sent.
    #[must_use]
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// The whole request has left, and the client's connection stands behind its end.
    #[must_use]
    pub(crate) fn is_sent(&self) -> bool {
        self.stage == Stage::Sent && self.left_at.is_none()
    }

    /// The server takes no more; what it says about it may follow.
    pub(crate) fn cut(&mut self) {
        self.stage = Stage::Cut;
    }

    fn deadline(&self) -> Instant {
        let deadline = match self.stage {
            Stage::Sending => self.body.deadline(),
            Stage::Sent | Stage::Cut => self.since + self.read_timeout,
        };
        self.left_at.map_or(deadline, |left_at| {
            deadline.min(left_at.max(self.since) + HALF_CLOSED_TIMEOUT)
        })
    }

    fn timed_out(&self) -> Silence {
        match (self.stage, self.left_at) {
            (Stage::Sending, _) => match self.body.stalled() {
                Fault::ReceiverStalled => Silence::TimedOut,
                fault => Silence::Body(fault),
            },
            (_, Some(_)) => Silence::ClientLeft,
            (_, None) => Silence::TimedOut,
        }
    }

    /// Moves the body; behind its end, sees whether the client is still there.
    fn poll<C, S>(
        &mut self,
        context: &mut Context<'_>,
        client: &mut C,
        server: &mut S,
    ) -> Result<(), Silence>
    where
        C: AsyncRead + Unpin,
        S: AsyncWrite + Unpin,
    {
        if self.stage == Stage::Sending {
            match self.body.poll(context, client, server) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => {
                    self.stage = Stage::Sent;
                    self.since = Instant::now();
                }
                Poll::Ready(Err(Fault::Receiver)) => self.cut(),
                Poll::Ready(Err(Fault::Sender)) => return Err(Silence::ClientLeft),
                Poll::Ready(Err(fault)) => return Err(Silence::Body(fault)),
            }
        }
        if self.stage == Stage::Sent
            && self.left_at.is_none()
            && self.body.beyond.len() < BEYOND_BYTES_MAX
        {
            match poll_read_some(context, client, &mut self.body.beyond) {
                Poll::Pending | Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => self.left_at = Some(Instant::now()),
                Poll::Ready(Err(_)) => return Err(Silence::ClientLeft),
            }
        }
        Ok(())
    }

    /// Waits for the server's next bytes.
    ///
    /// # Errors
    /// When there will be none, or nobody to hear them.
    pub(crate) async fn hear<C, S>(
        &mut self,
        client: &mut C,
        server: &mut S,
        bytes: &mut BytesMut,
    ) -> Result<(), Silence>
    where
        C: AsyncRead + Unpin,
        S: AsyncRead + AsyncWrite + Unpin,
    {
        poll_fn(|context| {
            let is_sent = self.stage == Stage::Sent;
            if !is_sent {
                self.poll(context, client, server)?;
            }
            match poll_read_some(context, server, bytes) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Silence::Ended(None))),
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Silence::Ended(Some(error)))),
                Poll::Pending => {}
            }
            // Only behind the server, which most of the time has the news.
            if is_sent {
                self.poll(context, client, server)?;
            }
            let deadline = self.deadline();
            ready!(self.alarm.poll(context, deadline));
            Poll::Ready(Err(self.timed_out()))
        })
        .await
    }

    /// Passes the answer's body on to its end.
    ///
    /// # Errors
    /// When it does not get there. What becomes of the request's own body is no matter any more.
    pub(crate) async fn deliver<C, S>(
        &mut self,
        client: &mut C,
        server: &mut S,
        answer: &mut Flow,
    ) -> Result<(), Fault>
    where
        C: AsyncRead + AsyncWrite + Unpin,
        S: AsyncRead + AsyncWrite + Unpin,
    {
        answer.restart_clock(Instant::now());
        poll_fn(|context| {
            match self.poll(context, client, server) {
                Ok(()) => {}
                Err(Silence::ClientLeft) => return Poll::Ready(Err(Fault::Sender)),
                Err(_) => self.cut(),
            }
            if let Poll::Ready(done) = answer.poll(context, server, client) {
                return Poll::Ready(done);
            }
            let deadline = self.left_at.map_or(answer.deadline(), |left_at| {
                let silent_since = answer.moved_at().max(left_at);
                answer.deadline().min(silent_since + HALF_CLOSED_TIMEOUT)
            });
            ready!(self.alarm.poll(context, deadline));
            Poll::Ready(Err(answer.stalled()))
        })
        .await
    }
}

#[cfg(test)]
mod tests;
