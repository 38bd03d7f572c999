//! A connection's stream, and a lane on it for whole WebSocket messages, past Engine.IO's queue and writer.
//!
//! A message to a room is one frame for all of its members, and goes to each in one write, by the task that delivers it: no copy, no queue and
//! no other task between. Messages that come together go together, as a run of frames. Engine.IO goes on to write its own frames (the handshake, pings, answers to namespaces that are not ours) to
//! the same stream, in between whole ones of ours. What the kernel does not take waits here, bounded in bytes, and is written by whoever
//! reads the connection.
//!
//! Only for connections that begin as WebSockets: on one that was polled before, earlier messages may still be in Engine.IO's queue.

pub(crate) mod frame;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

use crate::cut::Cut;
use frame::{Message, Messages, attachments};

/// The server's half of Socket.IO's handshake in the main namespace: no client may hear anything of it before this.
const CONNECTED: &[u8] = b"40";

/// Runs that one write takes along.
const SLICES: usize = 32;

/// What became of a run of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The kernel has it, or it waits in line.
    Yes,
    /// Too much waits already: the client reads too slowly.
    Full,
    /// The connection is at its end.
    Gone,
}

/// Shared by a connection and by whoever sends on it or may have to end it.
#[derive(Debug)]
pub struct Lane {
    cut: Cut,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stream: Option<TcpStream>,
    /// What the connection's own writer offered and the kernel did not take, of a frame that it began: nothing may come between.
    unsent: usize,
    /// Attachments that its writer owes to a packet: nothing may come between these either.
    attachments: usize,
    gate: Gate,
    /// Runs of frames in line. Of the first one a part may have been written, when no other writer is in the middle of one.
    waiting: VecDeque<Bytes>,
    /// What `waiting` weighs.
    waiting_bytes: usize,
}

/// When frames may begin to pass.
#[derive(Clone, Copy, Debug)]
enum Gate {
    /// It is not a WebSocket, or not one that we send on.
    Closed,
    /// Behind the handshake, which has been seen if so.
    Handshake {
        is_seen: bool,
        bytes_max: usize,
    },
    Open {
        bytes_max: usize,
    },
}

impl Lane {
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self {
            cut: Cut::default(),
            state: Mutex::new(State {
                stream: Some(stream),
                unsent: 0,
                attachments: 0,
                gate: Gate::Closed,
                waiting: VecDeque::new(),
                waiting_bytes: 0,
            }),
        }
    }

    /// From now on frames are taken, and pass behind the handshake, which is still to come. At most `bytes_max` wait, or
    /// one run of them.
    pub fn open_after_handshake(&self, bytes_max: usize) {
        self.state().gate = Gate::Handshake {
            is_seen: false,
            bytes_max,
        };
    }

    /// Sends a run of whole frames behind those that were sent before, all of it or, when too much waits, nothing. Never blocks.
    pub fn send(&self, run: &Bytes) -> Sent {
        let mut state = self.state();
        let bytes_max = match state.gate {
            Gate::Closed => return Sent::Gone,
            Gate::Handshake { bytes_max, .. } | Gate::Open { bytes_max } => bytes_max,
        };
        let Some(stream) = state.stream.as_ref().filter(|_| !self.cut.is_cut()) else {
            return Sent::Gone;
        };
        let is_free = state.is_between() && state.waiting.is_empty();
        let written = match is_free.then(|| stream.try_write(run)) {
            Some(Ok(written)) if written == run.len() => return Sent::Yes,
            Some(Ok(written)) => written,
            Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Sent::Gone,
            None | Some(Err(_)) => 0,
        };
        if !state.waiting.is_empty() && state.waiting_bytes + weight(run) > bytes_max {
            return Sent::Full;
        }
        state.wait(run.slice(written..));
        drop(state);
        self.cut.wake_reader();
        Sent::Yes
    }

    /// Ends the connection: from now on, nothing can be read from it or written to it.
    pub fn cut(&self) {
        self.cut.cut();
    }

    /// Reads, and writes what waits: whoever reads is always there.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cut.check_read(cx)?;
        let mut state = self.state();
        if state.is_in_line() && state.write_waiting(Some(cx))? {
            self.cut.wake_writer();
        }
        Pin::new(state.stream()?).poll_read(cx, into)
    }

    /// Writes for the connection's own writer, which offers whole frames and, after a part of them was taken, the rest first.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.cut.check_write(cx)?;
        let mut state = self.state();
        if state.is_in_line() && !state.write_waiting(None)? {
            // Whoever reads writes it as soon as the kernel takes it, and wakes us then.
            self.cut.wake_reader();
            return Poll::Pending;
        }
        let written = match (Pin::new(state.stream()?), from) {
            (stream, [one]) => stream.poll_write(cx, one),
            (stream, several) => stream.poll_write_vectored(cx, several),
        };
        let Poll::Ready(written) = written? else {
            return Poll::Pending;
        };
        state.note_written(from, written);
        if state.is_in_line() && !state.write_waiting(None)? {
            self.cut.wake_reader();
        }
        Poll::Ready(Ok(written))
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.state().stream()?).poll_flush(cx)
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.state().stream()?).poll_shutdown(cx)
    }

    /// Closes the stream, whoever else may still hold this. What a cut client has not read is of no use to it, and the kernel need not keep
    /// it until the client has gone.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.forget_waiting();
        if let Some(stream) = state.stream.take()
            && self.cut.is_cut()
            && let Err(error) = SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO))
        {
            tracing::debug!(%error, "a cut connection lingers");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stream(&mut self) -> io::Result<&mut TcpStream> {
        let closed = || io::Error::from(io::ErrorKind::NotConnected);
        self.stream.as_mut().ok_or_else(closed)
    }

    /// Whether a frame of ours may come now: the connection's own writer has said all that belongs together.
    fn is_between(&self) -> bool {
        let is_open = matches!(self.gate, Gate::Open { .. });
        is_open && self.unsent == 0 && self.attachments == 0
    }

    /// Whether frames wait, and it is their turn.
    fn is_in_line(&self) -> bool {
        self.is_between() && !self.waiting.is_empty()
    }

    /// Writes what waits. True when nothing is left; else who gave a context is woken when there is more to do.
    fn write_waiting(&mut self, mut cx: Option<&mut Context<'_>>) -> io::Result<bool> {
        while !self.waiting.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            for (slice, run) in slices.iter_mut().zip(&self.waiting) {
                *slice = IoSlice::new(run);
            }
            let Some(stream) = &self.stream else {
                return Err(io::ErrorKind::NotConnected.into());
            };
            match stream.try_write_vectored(&slices) {
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let Some(cx) = cx.as_deref_mut() else {
                        return Ok(false);
                    };
                    if stream.poll_write_ready(cx)?.is_pending() {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.forget_waiting();
        Ok(true)
    }

    fn wait(&mut self, run: Bytes) {
        self.waiting_bytes += weight(&run);
        self.waiting.push_back(run);
    }

    fn forget_waiting(&mut self) {
        (self.waiting, self.waiting_bytes) = (VecDeque::new(), 0);
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.waiting.front_mut() {
            if written < first.len() {
                first.advance(written);
                self.waiting_bytes -= written;
                return;
            }
            written -= first.len();
            self.waiting_bytes -= weight(first);
            self.waiting.pop_front();
        }
    }

    /// Of what was offered, `written` bytes were taken. Notes where frames end, and what was among them.
    fn note_written(&mut self, offered: &[IoSlice<'_>], written: usize) {
        let known = self.unsent;
        let length: usize = offered.iter().map(|slice| slice.len()).sum();
        self.unsent = length.saturating_sub(written);
        // Before, it is not a WebSocket.
        if !matches!(self.gate, Gate::Closed)
            && let [offered] = offered
        {
            // What was offered before was looked at then.
            self.look_at(offered.get(known..).unwrap_or_default());
        }
        if let Gate::Handshake {
            is_seen: true,
            bytes_max,
        } = self.gate
            && self.unsent == 0
        {
            self.gate = Gate::Open { bytes_max };
        }
    }

    fn look_at(&mut self, frames: &[u8]) {
        for message in Messages::of(frames) {
            match message {
                Message::Text(text) => {
                    self.attachments = attachments(text);
                    if let Gate::Handshake { is_seen, .. } = &mut self.gate {
                        *is_seen |= text.starts_with(CONNECTED);
                    }
                }
                Message::Binary => self.attachments = self.attachments.saturating_sub(1),
            }
        }
    }
}

/// A run that waits, with its place in the line. What all of a room's members wait for is the same memory, and counts for each of them.
fn weight(run: &Bytes) -> usize {
    size_of::<Bytes>() + run.len()
}

#[cfg(test)]
mod tests;
