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
use crate::linger::Talk;
use crate::socket::Socket;

/// Of a request that is sent before the last one was answered; more waits in the kernel.
const BEYOND_BYTES_MAX: usize = 16 * 1024;
/// How often it is asked whether a client is still there that has sent so much: to read is no way to find out.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Reads of what stands behind a request before others get their turn.
const READS_PER_TURN_MAX: usize = 8;
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

/// Somebody whose leaving may be hidden behind what was said before.
pub(crate) trait Presence {
    /// Nothing more will be said, as far as the system knows.
    fn has_left(&self) -> bool;
}

impl Presence for Socket {
    fn has_left(&self) -> bool {
        Self::has_left(self)
    }
}

/// The client's side of an exchange.
#[derive(Debug)]
pub(crate) struct Asking {
    /// The request's body.
    pub(crate) body: Flow,
    stage: Stage,
    since: Instant,
    left_at: Option<Instant>,
    /// While nothing is read of the client.
    look_at: Option<Instant>,
    /// What was wrong with the request's body when the answer had begun.
    fault: Option<Fault>,
    /// There will be no further request: what stands behind this one is thrown away.
    is_last: bool,
    /// Something was.
    has_thrown_away: bool,
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
            look_at: None,
            fault: None,
            is_last: false,
            has_thrown_away: false,
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

    /// The server took only part of it, so nothing can follow on this connection.
    #[must_use]
    pub(crate) fn is_cut(&self) -> bool {
        self.stage == Stage::Cut
    }

    /// The server takes no more; what it says about it may follow.
    pub(crate) fn cut(&mut self) {
        self.stage = Stage::Cut;
    }

    /// What was wrong with the body, if that was found too late for a refusal.
    #[must_use]
    pub(crate) fn late_fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The connection ends with the answer. A client that first says all that it has to say, and then reads, still gets
    /// the whole of it.
    pub(crate) fn be_last(&mut self) {
        self.is_last = true;
    }

    /// What to expect of the client when its answer was the last one.
    #[must_use]
    pub(crate) fn talk(&self) -> Talk {
        let has_said_more = self.has_thrown_away || !self.body.beyond.is_empty();
        if self.stage == Stage::Sent && !has_said_more {
            Talk::Over
        } else {
            Talk::MayGoOn
        }
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
        match self.stage {
            Stage::Sent => self.poll_beyond(context, client),
            Stage::Cut if self.is_last => self.poll_beyond(context, client),
            Stage::Sending | Stage::Cut => Ok(()),
        }
    }

    /// Reads what stands behind the request, until it has to be waited for: only so is it noticed that a client leaves.
    fn poll_beyond<C>(&mut self, context: &mut Context<'_>, client: &mut C) -> Result<(), Silence>
    where
        C: AsyncRead + Unpin,
    {
        for _ in 0..READS_PER_TURN_MAX {
            if self.is_last && !self.body.beyond.is_empty() {
                self.has_thrown_away = true;
                self.body.beyond = BytesMut::new();
            }
            if self.left_at.is_some() {
                return Ok(());
            }
            if self.body.beyond.len() >= BEYOND_BYTES_MAX {
                self.look_at
                    .get_or_insert_with(|| Instant::now() + LOOK_INTERVAL);
                return Ok(());
            }
            match poll_read_some(context, client, &mut self.body.beyond) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => self.left_at = Some(Instant::now()),
                Poll::Ready(Err(_)) => return Err(Silence::ClientLeft),
            }
        }
        context.waker().wake_by_ref();
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
        C: AsyncRead + Presence + Unpin,
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
            ready!(self.poll_patience(context, client));
            Poll::Ready(Err(self.timed_out()))
        })
        .await
    }

    /// Ready when nobody is to be waited for any more.
    fn poll_patience<C: Presence>(&mut self, context: &mut Context<'_>, client: &C) -> Poll<()> {
        loop {
            let deadline = self.deadline();
            let look_at = self.look_at.filter(|look_at| *look_at < deadline);
            ready!(self.alarm.poll(context, look_at.unwrap_or(deadline)));
            let now = Instant::now();
            if look_at.is_none() {
                return Poll::Ready(());
            }
            self.look_at = Some(now + LOOK_INTERVAL);
            if client.has_left() {
                self.left_at = Some(now);
                self.look_at = None;
            }
        }
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
                Err(Silence::ClientLeft) => return Poll::Ready(Err(Fault::Receiver)),
                Err(Silence::Body(fault)) => {
                    self.fault = Some(fault);
                    self.cut();
                }
                Err(Silence::Ended(_) | Silence::TimedOut) => self.cut(),
            }
            if self.stage == Stage::Cut {
                self.be_last();
            }
            if let Poll::Ready(done) = answer.poll(context, server, client) {
                return Poll::Ready(done);
            }
            let deadline = answer.deadline();
            // A client that takes its time takes something; only while nobody says anything it may be gone.
            let gone_at = self
                .left_at
                .filter(|_| !answer.is_blocked())
                .map(|left_at| answer.moved_at().max(left_at) + HALF_CLOSED_TIMEOUT)
                .filter(|gone_at| *gone_at < deadline);
            ready!(self.alarm.poll(context, gone_at.unwrap_or(deadline)));
            Poll::Ready(Err(match gone_at {
                Some(_) => Fault::Receiver,
                None => answer.stalled(),
            }))
        })
        .await
    }
}

#[cfg(test)]
mod tests;
