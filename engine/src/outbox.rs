//! What a session's client is still to be sent, whichever transport it has. Everything goes through here, so that nothing overtakes.
//!
//! On a WebSocket a run of frames is written at once, by whoever sends, when nothing waits: no copy, no queue and no other task between.
//! What the kernel does not take waits here, bounded in bytes, and is written by the session's task. On the polling transport everything
//! waits for the client's next poll. **Frames that others send ([`Outbox::send`]) wait for the end of Socket.IO's handshake.**

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use engineioxide_core::TransportType;
use tokio::sync::Notify;

use crate::payload;
use crate::stream::Stream;

/// The server's half of Socket.IO's handshake in the main namespace: no client may hear anything of it before this.
const CONNECTED: &str = "0{";

/// Runs that one write takes along.
const SLICES: usize = 32;

/// What became of a run of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The kernel has it, or it waits in line.
    Yes,
    /// Too much waits already: the client reads too slowly.
    Full,
    /// The session is at its end.
    Gone,
}

/// Shared by a session and by whoever sends to its client.
#[derive(Debug)]
pub struct Outbox {
    bytes_max: usize,
    state: Mutex<State>,
    /// The last of the session has been written.
    ended: Notify,
}

#[derive(Debug)]
struct State {
    wire: Wire,
    /// Runs of frames in line. On a WebSocket a part of the first one may have been written.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// Runs that came before the end of Socket.IO's handshake; nothing when it has been.
    held: Option<Vec<Bytes>>,
    stage: Stage,
    /// The session's task.
    keeper: Option<Waker>,
}

#[derive(Debug)]
enum Wire {
    Polling(Poller),
    /// Nothing when the session has ended.
    WebSocket(Option<Arc<Stream>>),
}

/// The polling transport between two payloads.
#[derive(Debug, Default)]
struct Poller {
    /// A poll that waits.
    waker: Option<Waker>,
    is_polled: bool,
    /// A WebSocket has come, and polls are answered at once.
    is_upgrading: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// Nothing more is taken; what waits is still sent.
    Closing,
    /// The client is sent nothing more.
    Cut,
    Ended,
}

/// The session ended without a word, and a poll has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// What whoever keeps a polled session has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing more: it is a WebSocket's now.
    Elsewhere,
    /// The session is at its end.
    Closed,
}

/// Another poll waits already: a client may have one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PolledTwice;

impl Outbox {
    /// Without a stream the client polls. When `bytes_max` wait, nothing more is taken.
    #[must_use]
    pub fn new(stream: Option<Arc<Stream>>, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            state: Mutex::new(State {
                wire: match stream {
                    Some(stream) => Wire::WebSocket(Some(stream)),
                    None => Wire::Polling(Poller::default()),
                },
                waiting: VecDeque::new(),
                waiting_bytes: 0,
                held: Some(Vec::new()),
                stage: Stage::Open,
                keeper: None,
            }),
            ended: Notify::new(),
        })
    }

    /// Sends a run of whole frames behind those that were sent before, and behind Socket.IO's handshake: all of it or, when too much waits,
    /// nothing. Never blocks.
    pub fn send(&self, run: &Bytes) -> Sent {
        let mut state = self.state();
        if let Some(refusal) = state.refusal(self.bytes_max) {
            return refusal;
        }
        let Some(held) = &mut state.held else {
            return state.write(run);
        };
        held.push(run.clone());
        state.waiting_bytes += weight(run);
        Sent::Yes
    }

    /// Sends what the session itself says, whole packets that belong together, however much waits: whoever may be refused asks for
    /// [`Self::room`] first.
    pub(crate) fn say(&self, run: &Bytes) -> Sent {
        let mut state = self.state();
        match state.stage {
            Stage::Open => state.write(run),
            Stage::Closing | Stage::Cut | Stage::Ended => Sent::Gone,
        }
    }

    /// Says a message of Socket.IO; behind the handshake comes what was held.
    pub(crate) fn say_message(&self, message: &str, run: &Bytes) -> Sent {
        let mut state = self.state();
        if state.stage != Stage::Open {
            return Sent::Gone;
        }
        let mut sent = state.write(run);
        if message.starts_with(CONNECTED) {
            for run in state.held.take().unwrap_or_default() {
                state.waiting_bytes -= weight(&run);
                sent = state.write(&run);
            }
        }
        sent
    }

    /// Whether something may be sent now.
    pub(crate) fn room(&self) -> Sent {
        self.state().refusal(self.bytes_max).unwrap_or(Sent::Yes)
    }

    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state();
        state.stage == Stage::Open && state.waiting.is_empty()
    }

    /// Ends the session without a word, whatever its client does: it is a client that does not read.
    pub fn cut(&self) {
        let mut state = self.state();
        if state.stage == Stage::Ended {
            return;
        }
        state.stage = Stage::Cut;
        state.forget();
        if let Wire::WebSocket(Some(stream)) = &state.wire {
            stream.cut();
        }
        state.wake();
    }

    pub(crate) fn transport(&self) -> TransportType {
        match self.state().wire {
            Wire::Polling(_) => TransportType::Polling,
            Wire::WebSocket(_) => TransportType::Websocket,
        }
    }

    /// Nothing more is taken. True the first time.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state();
        let is_first = state.stage == Stage::Open;
        if is_first {
            state.stage = Stage::Closing;
            state.held = None;
        }
        state.wake();
        is_first
    }

    /// All has been written that will be.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.stage = Stage::Ended;
        state.forget();
        // The connection closes with its last owner, and this may live on.
        if let Wire::WebSocket(stream) = &mut state.wire {
            *stream = None;
        }
        state.wake();
        drop(state);
        self.ended.notify_waiters();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().stage != Stage::Open
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.state().stage == Stage::Cut
    }

    fn is_ended(&self) -> bool {
        self.state().stage == Stage::Ended
    }

    /// Until all has been written that will be.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.is_ended() {
                return;
            }
            ended.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A WebSocket, for the session's task.
impl Outbox {
    /// Writes what waits. Ready when nothing is left; else, and when something comes, the task is woken.
    pub(crate) fn poll_write(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        state.keep_waker(cx);
        state.poll_write(cx)
    }

    /// Sends the last there is.
    pub(crate) fn say_last(&self, run: &Bytes) {
        let mut state = self.state();
        if matches!(state.stage, Stage::Open | Stage::Closing) {
            state.write(run);
        }
    }
}

/// The polling transport.
impl Outbox {
    /// A poll has come; [`Self::end_poll`] ends it.
    pub(crate) fn begin_poll(&self) -> Result<(), PolledTwice> {
        match &mut self.state().wire {
            Wire::Polling(poller) if poller.is_polled => Err(PolledTwice),
            Wire::Polling(poller) => {
                poller.is_polled = true;
                Ok(())
            }
            Wire::WebSocket(_) => Ok(()),
        }
    }

    /// The poll has been answered, or its client has gone.
    pub(crate) fn end_poll(&self) {
        let mut state = self.state();
        if let Wire::Polling(poller) = &mut state.wire {
            (poller.is_polled, poller.waker) = (false, None);
        }
        state.wake();
    }

    /// What waits now, as one payload.
    pub(crate) fn take_payload(&self, bytes_max: usize) -> String {
        self.state().take_payload(bytes_max)
    }

    /// Until whoever keeps the session while it is polled has something to do.
    pub(crate) fn poll_kept(&self, cx: &Context<'_>) -> Poll<Kept> {
        let mut state = self.state();
        match (&state.wire, state.stage) {
            (Wire::WebSocket(_), _) => Poll::Ready(Kept::Elsewhere),
            (Wire::Polling(_), Stage::Open) => {
                state.keep_waker(cx);
                Poll::Pending
            }
            (Wire::Polling(_), _) => Poll::Ready(Kept::Closed),
        }
    }

    /// Until no poll waits for its answer.
    pub(crate) fn poll_unpolled(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        match &state.wire {
            Wire::Polling(poller) if poller.is_polled => {
                state.keep_waker(cx);
                Poll::Pending
            }
            Wire::Polling(_) | Wire::WebSocket(_) => Poll::Ready(()),
        }
    }

    /// What waits, as one payload of about `bytes_max`.
    pub(crate) fn poll_payload(
        &self,
        cx: &Context<'_>,
        bytes_max: usize,
    ) -> Poll<Result<String, Gone>> {
        let mut state = self.state();
        let is_upgrading = match &mut state.wire {
            Wire::Polling(poller) => {
                poller.waker = Some(cx.waker().clone());
                poller.is_upgrading
            }
            // It has moved on.
            Wire::WebSocket(_) => true,
        };
        if is_upgrading {
            return Poll::Ready(Ok(payload::NOOP.to_owned()));
        }
        if state.waiting.is_empty() {
            return match state.stage {
                Stage::Open => Poll::Pending,
                Stage::Closing | Stage::Cut | Stage::Ended => Poll::Ready(Err(Gone)),
            };
        }
        Poll::Ready(Ok(state.take_payload(bytes_max)))
    }

    /// A WebSocket has come. Until the upgrade ends, everything waits, and polls are answered with nothing. False where it cannot begin.
    pub(crate) fn begin_upgrade(&self) -> bool {
        let mut state = self.state();
        let is_open = state.stage == Stage::Open;
        match &mut state.wire {
            Wire::Polling(poller) if is_open && !poller.is_upgrading => {
                poller.is_upgrading = true;
                if let Some(waker) = poller.waker.take() {
                    waker.wake();
                }
                true
            }
            _ => false,
        }
    }

    /// The WebSocket did not make it: polling goes on.
    pub(crate) fn give_up_upgrade(&self) {
        if let Wire::Polling(poller) = &mut self.state().wire {
            poller.is_upgrading = false;
        }
    }

    /// From now on everything goes by the WebSocket, first what waits. False when the session is at its end.
    pub(crate) fn upgrade(&self, stream: Arc<Stream>) -> bool {
        let mut state = self.state();
        let is_open = state.stage == Stage::Open;
        if is_open {
            state.wire = Wire::WebSocket(Some(stream));
        }
        // Whoever kept the session while it was polled.
        state.wake();
        is_open
    }
}

impl State {
    fn refusal(&self, bytes_max: usize) -> Option<Sent> {
        match self.stage {
            Stage::Open if self.waiting_bytes >= bytes_max => Some(Sent::Full),
            Stage::Open => None,
            Stage::Closing | Stage::Cut | Stage::Ended => Some(Sent::Gone),
        }
    }

    fn write(&mut self, run: &Bytes) -> Sent {
        let mut written = 0;
        match &mut self.wire {
            Wire::WebSocket(Some(stream)) if self.waiting.is_empty() => {
                match stream.tcp.try_write(run) {
                    Ok(bytes) if bytes == run.len() => return Sent::Yes,
                    Ok(bytes) => written = bytes,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Sent::Gone,
                }
            }
            Wire::WebSocket(_) => {}
            Wire::Polling(poller) => {
                if let Some(waker) = poller.waker.take() {
                    waker.wake();
                }
            }
        }
        let rest = run.slice(written..);
        self.waiting_bytes += weight(&rest);
        self.waiting.push_back(rest);
        if matches!(self.wire, Wire::WebSocket(_)) {
            self.wake();
        }
        Sent::Yes
    }

    fn poll_write(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let Wire::WebSocket(Some(stream)) = &self.wire else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            let mut slices = [IoSlice::new(&[]); SLICES];
            for (slice, run) in slices.iter_mut().zip(&self.waiting) {
                *slice = IoSlice::new(run);
            }
            match stream.tcp.try_write_vectored(&slices) {
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut cx = Context::from_waker(cx.waker());
                    std::task::ready!(stream.tcp.poll_write_ready(&mut cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // A burst is over; idle sessions keep no buffer.
        self.waiting = VecDeque::new();
        Poll::Ready(Ok(()))
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

    fn take_payload(&mut self, bytes_max: usize) -> String {
        let payload = payload::take(&mut self.waiting, bytes_max);
        let held = self.held.iter().flatten();
        self.waiting_bytes = self.waiting.iter().chain(held).map(weight).sum();
        payload
    }

    fn forget(&mut self) {
        (self.waiting, self.held, self.waiting_bytes) = (VecDeque::new(), None, 0);
    }

    fn keep_waker(&mut self, cx: &Context<'_>) {
        match &mut self.keeper {
            Some(keeper) => keeper.clone_from(cx.waker()),
            None => self.keeper = Some(cx.waker().clone()),
        }
    }

    fn wake(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.wake_by_ref();
        }
        if let Wire::Polling(Poller {
            waker: Some(waker), ..
        }) = &self.wire
        {
            waker.wake_by_ref();
        }
    }
}

/// A run that waits, with its place in the line. What all of a room's members wait for is the same memory, and counts for each of them.
fn weight(run: &Bytes) -> usize {
    size_of::<Bytes>() + run.len()
}

#[cfg(test)]
mod tests;
