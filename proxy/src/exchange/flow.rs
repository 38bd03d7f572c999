//! One body on its way from one side to the other.
//!
//! Invariants: **nothing is held while nobody is slow**: bytes are read into the thread's scratch and written from
//! there, and only what a slow receiver does not take is kept, at most one scratch; **no byte behind the body's end
//! is passed on**.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::framing::Framing;
use super::pace::{Pace, Patience};
use crate::scratch;

/// Reads of one body before others get their turn.
const READS_PER_TURN_MAX: usize = 8;

/// Why a body did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The sender left or broke before the end.
    Sender,
    /// The receiver cannot be written to.
    Receiver,
    /// It is not framed as it should be.
    Malformed,
    /// Its content is larger than allowed.
    TooLarge,
    /// The sender was silent for too long.
    SenderStalled,
    /// The receiver took nothing for too long.
    ReceiverStalled,
    /// The sender sends, but too slowly.
    SenderSlow,
    /// The receiver takes, but too slowly.
    ReceiverSlow,
}

/// What one body may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Content of a chunked body, in bytes.
    pub(crate) content_bytes_max: u64,
    pub(crate) sender: Patience,
    pub(crate) receiver: Patience,
}

/// What was passed on so far, kept for the case that it has to be passed on again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bytes: Vec<u8>,
    is_incomplete: bool,
}

impl Memory {
    /// A larger body is passed on once only.
    const BYTES_MAX: usize = 64 * 1024;

    fn add(&mut self, bytes: &[u8]) {
        if self.is_incomplete {
            return;
        }
        if self.bytes.len() + bytes.len() > Self::BYTES_MAX {
            self.forget();
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// From now on nothing is remembered.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            bytes: Vec::new(),
            is_incomplete: true,
        };
    }

    /// Everything that was passed on, if it is all there.
    #[must_use]
    pub(crate) fn all(&self) -> Option<&[u8]> {
        (!self.is_incomplete).then_some(&self.bytes)
    }
}

#[derive(Debug)]
pub(crate) struct Flow {
    framing: Framing,
    allowance: Allowance,
    /// What the receiver did not take yet.
    spill: BytesMut,
    pub(crate) memory: Memory,
    /// What the sender sent behind the body's end.
    pub(crate) beyond: BytesMut,
    /// Bytes passed on.
    pub(crate) bytes: u64,
    /// The receiver is waited for, not the sender.
    is_blocked: bool,
    moved_at: Instant,
    sender_pace: Pace,
    receiver_pace: Pace,
}

impl Flow {
    #[must_use]
    pub(crate) fn new(framing: Framing, allowance: Allowance, now: Instant) -> Self {
        Self {
            framing,
            allowance,
            spill: BytesMut::new(),
            memory: Memory::default(),
            beyond: BytesMut::new(),
            bytes: 0,
            is_blocked: false,
            moved_at: now,
            sender_pace: Pace::default(),
            receiver_pace: Pace::default(),
        }
    }

    /// All of it has left.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.framing.is_done() && self.spill.is_empty()
    }

    /// When the side that is waited for has had its time.
    #[must_use]
    pub(crate) fn deadline(&self) -> Instant {
        let (patience, pace) = self.waited_for();
        self.moved_at + pace.left(patience).min(patience.timeout)
    }

    fn waited_for(&self) -> (&Patience, &Pace) {
        if self.is_blocked {
            (&self.allowance.receiver, &self.receiver_pace)
        } else {
            (&self.allowance.sender, &self.sender_pace)
        }
    }

    /// The receiver is waited for.
    #[must_use]
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    #[must_use]
    pub(crate) fn moved_at(&self) -> Instant {
        self.moved_at
    }

    /// The receiver is another one, which gets what is remembered: what the one before did not take is part of it.
    pub(crate) fn begin_again(&mut self, now: Instant) {
        self.spill = BytesMut::new();
        self.restart_clock(now);
    }

    /// Time counts from `now` on.
    pub(crate) fn restart_clock(&mut self, now: Instant) {
        self.moved_at = now;
    }

    /// What it means that the deadline has passed.
    #[must_use]
    pub(crate) fn stalled(&self) -> Fault {
        let (patience, _) = self.waited_for();
        let is_silent = self.moved_at + patience.timeout <= Instant::now();
        match (self.is_blocked, is_silent) {
            (true, true) => Fault::ReceiverStalled,
            (true, false) => Fault::ReceiverSlow,
            (false, true) => Fault::SenderStalled,
            (false, false) => Fault::SenderSlow,
        }
    }

    /// The side that was waited for has moved so many bytes.
    fn count(&mut self, bytes: usize) {
        let now = Instant::now();
        let waited = now.saturating_duration_since(self.moved_at);
        self.moved_at = now;
        if self.is_blocked {
            self.receiver_pace
                .count(&self.allowance.receiver, waited, bytes);
        } else {
            self.sender_pace
                .count(&self.allowance.sender, waited, bytes);
        }
    }

    /// Takes bytes that were read elsewhere and gives those that go on; what is not the body's is in `beyond`.
    ///
    /// # Errors
    /// When they are malformed or too many.
    pub(crate) fn admit<'b>(&mut self, bytes: &'b mut [u8]) -> Result<&'b [u8], Fault> {
        let passed = self.framing.filter(bytes).map_err(|_| Fault::Malformed)?;
        if self.framing.announced_bytes() > self.allowance.content_bytes_max {
            return Err(Fault::TooLarge);
        }
        self.bytes += passed.kept as u64;
        self.beyond
            .extend_from_slice(bytes.get(passed.used..).unwrap_or_default());
        let kept = bytes.get(..passed.kept).unwrap_or_default();
        self.memory.add(kept);
        Ok(kept)
    }

    /// Moves the body until one side has to be waited for or all of it has left.
    pub(crate) fn poll<F, T>(
        &mut self,
        context: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
    ) -> Poll<Result<(), Fault>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        for _ in 0..READS_PER_TURN_MAX {
            self.is_blocked = true;
            ready!(self.poll_spill(context, to)).map_err(|_| Fault::Receiver)?;
            // TLS may hold back what the system did not take.
            ready!(Pin::new(&mut *to).poll_flush(context)).map_err(|_| Fault::Receiver)?;
            if self.framing.is_done() {
                return Poll::Ready(Ok(()));
            }
            self.is_blocked = false;
            let is_ended = ready!(self.poll_move(context, from, to))?;
            if is_ended {
                return Poll::Ready(if self.framing.may_end() {
                    self.framing = Framing::NONE;
                    Ok(())
                } else {
                    Err(Fault::Sender)
                });
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// One read and one write. Tells whether the sender has ended.
    fn poll_move<F, T>(
        &mut self,
        context: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
    ) -> Poll<Result<bool, Fault>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        scratch::lend(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(from).poll_read(context, &mut buffer)).map_err(|_| Fault::Sender)?;
            let read = buffer.filled_mut();
            self.count(read.len());
            if read.is_empty() {
                return Poll::Ready(Ok(true));
            }
            let kept = self.admit(read)?;
            let written = if kept.is_empty() {
                0
            } else {
                match Pin::new(to).poll_write(context, kept) {
                    Poll::Ready(written) => written.map_err(|_| Fault::Receiver)?,
                    Poll::Pending => 0,
                }
            };
            self.spill
                .extend_from_slice(kept.get(written..).unwrap_or_default());
            self.receiver_pace
                .count(&self.allowance.receiver, Duration::ZERO, written);
            Poll::Ready(Ok(false))
        })
    }

    fn poll_spill<T: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        to: &mut T,
    ) -> Poll<io::Result<()>> {
        while !self.spill.is_empty() {
            let written = ready!(Pin::new(&mut *to).poll_write(context, &self.spill))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.spill.advance(written);
            self.count(written);
        }
        self.spill = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}
