//! The end of a client's connection: its last words, and that they arrive.
//!
//! A connection that is closed with bytes of the client unread, or that gets some later, is reset, and a reset takes
//! with it what the client's system was not given yet (RFC 9112 §9.6). So whatever the client still sends is read and
//! thrown away until its system has everything. How long that may take is what every answer may take (`Patience`);
//! what comes after it is bounded here.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

use crate::exchange::pace::{Pace, Patience};
use crate::scratch;
use crate::socket::Socket;

/// How long a client that has everything but may be sending may be silent (nginx's `lingering_timeout`).
const SILENCE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may go on sending (nginx's `lingering_time`): it has had its answer all the while.
const SENDING_TIMEOUT: Duration = Duration::from_secs(30);
/// How often is looked what the client's system has: nobody tells when it takes something.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Reads before others get their turn.
const READS_PER_TURN_MAX: usize = 8;

/// A connection whose system knows how far what was written has come.
pub(crate) trait Delivery {
    /// The bytes that the other side's system has, as long as there are others on their way; `None`: it has them all,
    /// the end included, or there is no telling.
    fn under_way(&self) -> Option<u64>;
}

impl Delivery for Socket {
    fn under_way(&self) -> Option<u64> {
        Self::under_way(self)
    }
}

/// What a client whose connection ends has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Its request and nothing else: it is let go as soon as it has everything.
    Over,
    /// More, or less: it may still be sending.
    MayGoOn,
}

/// Says the last words, ends this side, and stays until they have arrived.
pub(crate) async fn linger<S>(socket: &mut S, words: &[u8], talk: Talk, patience: Patience)
where
    S: AsyncRead + AsyncWrite + Delivery + Unpin,
{
    let now = Instant::now();
    let mut parting = Parting {
        socket,
        words,
        is_shut: false,
        is_talking: talk == Talk::MayGoOn,
        patience,
        pace: Pace::default(),
        taken: None,
        taken_at: now,
        heard_at: now,
        has_all_since: None,
    };
    // Many clients have everything by now, and most others leave by themselves when they see the end.
    let mut ended = poll_fn(|context| Poll::Ready(parting.poll(context))).await;
    loop {
        match ended {
            Poll::Ready(Ok(())) => return,
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "the client left before the end of its answer");
                return;
            }
            Poll::Pending => {}
        }
        let now = Instant::now();
        if parting.is_over(now) {
            return;
        }
        let look = poll_fn(|context| parting.poll(context));
        let look = timeout_at(now + LOOK_INTERVAL, look).await;
        ended = look.map_or(Poll::Pending, Poll::Ready);
    }
}

struct Parting<'s, S> {
    socket: &'s mut S,
    /// What was not written yet.
    words: &'s [u8],
    /// The client was told that this is the end.
    is_shut: bool,
    is_talking: bool,
    patience: Patience,
    pace: Pace,
    /// By the client's system so far, in bytes.
    taken: Option<u64>,
    taken_at: Instant,
    heard_at: Instant,
    has_all_since: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Delivery + Unpin> Parting<'_, S> {
    /// Ready when the client has ended its side.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whether it may read or not, what it sends must not wait.
        if let Poll::Ready(Err(error)) = self.poll_say(context) {
            return Poll::Ready(Err(error));
        }
        for _ in 0..READS_PER_TURN_MAX {
            let count = ready!(poll_discard(context, self.socket))?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            (self.is_talking, self.heard_at) = (true, Instant::now());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_say(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.words.is_empty() {
            let written = ready!(Pin::new(&mut *self.socket).poll_write(context, self.words))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.words = self.words.get(written..).unwrap_or_default();
        }
        if !self.is_shut {
            ready!(Pin::new(&mut *self.socket).poll_shutdown(context))?;
            self.is_shut = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether nothing is to be waited for any more.
    fn is_over(&mut self, now: Instant) -> bool {
        let under_way = self.socket.under_way();
        if !self.is_shut || under_way.is_some() {
            return self.is_too_slow(under_way, now);
        }
        let has_all_since = *self.has_all_since.get_or_insert(now);
        let silent_since = self.heard_at.max(has_all_since);
        !self.is_talking
            || now >= silent_since + SILENCE_TIMEOUT
            || now >= has_all_since + SENDING_TIMEOUT
    }

    /// Whether the client's system takes less than every answer has to be taken with.
    fn is_too_slow(&mut self, under_way: Option<u64>, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.taken, under_way).or(under_way);
        let bytes = under_way
            .zip(before)
            .map_or(0, |(now, before)| now.saturating_sub(before));
        if bytes > 0 {
            let waited = now.saturating_duration_since(self.taken_at);
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            self.pace.count(&self.patience, waited, bytes);
            self.taken_at = now;
        }
        let left = self.pace.left(&self.patience).min(self.patience.timeout);
        now >= self.taken_at + left
    }
}

/// Reads and throws away; 0 is the end.
fn poll_discard<S: AsyncRead + Unpin>(
    context: &mut Context<'_>,
    socket: &mut S,
) -> Poll<io::Result<usize>> {
    scratch::lend(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(socket).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    })
}

#[cfg(test)]
mod tests;
