//! Copies bytes both ways between two sockets until one side ends it, it idles too long or the proxy stops.
//!
//! Invariants: **a silent tunnel holds no buffer** (bytes pass through the thread's scratch; only what a slow
//! receiver does not take is kept, at most one scratch per direction); **a stop is said between two frames**.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::frames::{CLOSE_SERVICE_RESTART, Frames};
use crate::lifecycle::{Life, Phase};
use crate::scratch;
use crate::socket::Socket;

/// How long a client may take to answer the goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// When one side has ended, how long the other may be silent. What it still has to say comes through, but a server
/// that overlooks the end of a client cannot hold the tunnel.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(1);
/// Reads of one direction before others get their turn.
const READS_PER_TURN_MAX: usize = 8;

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) reason: Reason,
    /// Bytes from the client to the server.
    pub(crate) received: u64,
    /// Bytes from the server to the client.
    pub(crate) sent: u64,
    /// The server said goodbye before it ended: it answered the client's Close frame or sent one of its own.
    pub(crate) is_clean: bool,
}

impl Ended {
    /// Whether the server just went away.
    #[must_use]
    pub(crate) fn server_dropped_it(&self) -> bool {
        matches!(self.reason, Reason::ServerClosed | Reason::ServerBroke) && !self.is_clean
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    ClientClosed,
    ServerClosed,
    ClientBroke,
    ServerBroke,
    Idle,
    Stopped,
}

impl Reason {
    /// The metric's label and the log's word.
    #[must_use]
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ServerClosed => "server_closed",
            Self::ClientBroke => "client_broke",
            Self::ServerBroke => "server_broke",
            Self::Idle => "idle",
            Self::Stopped => "stopped",
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    /// What the receiver did not take yet.
    spill: BytesMut,
    bytes: u64,
    /// The sender sends no more.
    is_ended: bool,
    /// The receiver was told so.
    is_shut: bool,
}

/// Which side broke, if one did.
enum Fault {
    Sender,
    Receiver,
}

/// A tunnel at work.
pub(crate) struct Relay {
    client: Socket,
    server: Socket,
    up: Flow,
    down: Flow,
    frames: Frames,
    first_end: Option<Reason>,
    is_closing: bool,
    has_said_goodbye: bool,
    active_at: Instant,
}

/// The timer is moved only when it fires, not with every message.
fn poll_idle(
    mut idle: Pin<&mut Sleep>,
    context: &mut Context<'_>,
    active_at: Instant,
    idle_timeout: Duration,
) -> Poll<()> {
    while idle.as_mut().poll(context).is_ready() {
        let until = active_at + idle_timeout;
        if until <= Instant::now() {
            return Poll::Ready(());
        }
        idle.as_mut().reset(until);
    }
    Poll::Pending
}

impl Relay {
    /// `from_client` and `from_server` are what each side sent before the relay begins.
    pub(crate) fn new(
        client: Socket,
        server: Socket,
        from_client: BytesMut,
        from_server: BytesMut,
    ) -> Self {
        let mut frames = Frames::default();
        frames.follow(&from_server);
        let flow = |spill: BytesMut| Flow {
            bytes: spill.len() as u64,
            spill,
            is_ended: false,
            is_shut: false,
        };
        Self {
            client,
            server,
            up: flow(from_client),
            down: flow(from_server),
            frames,
            first_end: None,
            is_closing: false,
            has_said_goodbye: false,
            active_at: Instant::now(),
        }
    }

    /// Relays until the end.
    pub(crate) async fn run(&mut self, idle_timeout: Duration, life: &mut Life) -> Ended {
        let idle = sleep(idle_timeout);
        tokio::pin!(idle);
        let closing = life.reached(Phase::Closing);
        tokio::pin!(closing);
        let reason = poll_fn(|context| {
            if !self.is_closing && closing.as_mut().poll(context).is_ready() {
                self.is_closing = true;
                idle.as_mut().reset(Instant::now() + GOODBYE_TIMEOUT);
            }
            let (before, was_whole) = (self.bytes(), self.first_end.is_none());
            if let Poll::Ready(reason) = self.poll(context) {
                return Poll::Ready(reason);
            }
            if self.is_closing {
                return idle.as_mut().poll(context).map(|()| Reason::Stopped);
            }
            if self.bytes() != before {
                self.active_at = Instant::now();
            }
            let Some(first_end) = self.first_end else {
                return poll_idle(idle.as_mut(), context, self.active_at, idle_timeout)
                    .map(|()| Reason::Idle);
            };
            if was_whole {
                self.active_at = Instant::now();
                idle.as_mut().reset(self.active_at + HALF_CLOSED_TIMEOUT);
            }
            poll_idle(idle.as_mut(), context, self.active_at, HALF_CLOSED_TIMEOUT)
                .map(|()| first_end)
        })
        .await;
        Ended {
            reason,
            received: self.up.bytes,
            sent: self.down.bytes,
            is_clean: self.frames.has_closed(),
        }
    }

    fn bytes(&self) -> u64 {
        self.up.bytes + self.down.bytes
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Reason> {
        let up = self.poll_up(context);
        let down = self.poll_down(context);
        for (polled, sender, receiver) in [
            (&up, Reason::ClientBroke, Reason::ServerBroke),
            (&down, Reason::ServerBroke, Reason::ClientBroke),
        ] {
            match polled {
                Poll::Ready(Err(Fault::Sender)) => {
                    return Poll::Ready(self.first_end.unwrap_or(sender));
                }
                Poll::Ready(Err(Fault::Receiver)) => {
                    return Poll::Ready(self.first_end.unwrap_or(receiver));
                }
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        if self.up.is_ended {
            self.first_end.get_or_insert(Reason::ClientClosed);
        }
        if self.down.is_ended && !self.has_said_goodbye {
            self.first_end.get_or_insert(Reason::ServerClosed);
        }
        let has_ended = up.is_ready() && down.is_ready();
        match self.first_end {
            _ if has_ended && self.has_said_goodbye => Poll::Ready(Reason::Stopped),
            Some(reason) if has_ended => Poll::Ready(reason),
            _ => Poll::Pending,
        }
    }

    fn poll_up(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        poll_flow(
            context,
            &mut self.client,
            &mut self.server,
            &mut self.up,
            |_| None,
        )
    }

    fn poll_down(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let Self {
            client,
            server,
            down,
            frames,
            is_closing,
            has_said_goodbye,
            ..
        } = self;
        if *is_closing && !*has_said_goodbye && frames.is_between() && !down.is_ended {
            down.spill.extend_from_slice(&CLOSE_SERVICE_RESTART);
            (*has_said_goodbye, down.is_ended) = (true, true);
        }
        poll_flow(context, server, client, down, |chunk| {
            if !*is_closing {
                frames.follow(chunk);
                return None;
            }
            let whole = frames.follow_to_end_of_frame(chunk);
            frames.is_between().then(|| {
                *has_said_goodbye = true;
                whole
            })
        })
    }
}

/// Moves bytes of one direction until it has to wait or has ended.
///
/// `look` sees every chunk; when it names a length, that much is the last of this direction, followed by the goodbye.
fn poll_flow(
    context: &mut Context<'_>,
    from: &mut Socket,
    to: &mut Socket,
    flow: &mut Flow,
    mut look: impl FnMut(&[u8]) -> Option<usize>,
) -> Poll<Result<(), Fault>> {
    for _ in 0..READS_PER_TURN_MAX {
        if ready!(poll_spill(context, to, flow)).is_err() {
            return Poll::Ready(Err(Fault::Receiver));
        }
        // TLS may have taken bytes that the kernel did not take yet; nobody else would send them on.
        if ready!(Pin::new(&mut *to).poll_flush(context)).is_err() {
            return Poll::Ready(Err(Fault::Receiver));
        }
        if flow.is_ended {
            if !flow.is_shut {
                // A receiver that is gone already needs no goodbye.
                let _told = ready!(Pin::new(&mut *to).poll_shutdown(context));
                flow.is_shut = true;
            }
            return Poll::Ready(Ok(()));
        }
        let moved = scratch::lend(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut *from).poll_read(context, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Fault::Sender)),
                Poll::Ready(Ok(())) => {}
            }
            let mut chunk = buffer.filled();
            flow.is_ended = chunk.is_empty();
            let last = look(chunk);
            if let Some(length) = last {
                chunk = chunk.get(..length).unwrap_or(chunk);
                flow.is_ended = true;
            }
            flow.bytes += chunk.len() as u64;
            let written = match Pin::new(&mut *to).poll_write(context, chunk) {
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(_)) if !chunk.is_empty() => {
                    return Poll::Ready(Err(Fault::Receiver));
                }
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            };
            flow.spill
                .extend_from_slice(chunk.get(written..).unwrap_or_default());
            if last.is_some() {
                flow.spill.extend_from_slice(&CLOSE_SERVICE_RESTART);
            }
            Poll::Ready(Ok(()))
        });
        if let Err(fault) = ready!(moved) {
            return Poll::Ready(Err(fault));
        }
    }
    context.waker().wake_by_ref();
    Poll::Pending
}

fn poll_spill(context: &mut Context<'_>, to: &mut Socket, flow: &mut Flow) -> Poll<io::Result<()>> {
    while !flow.spill.is_empty() {
        let written = ready!(Pin::new(&mut *to).poll_write(context, &flow.spill))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        flow.spill.advance(written);
        if flow.spill.is_empty() {
            flow.spill = BytesMut::new();
        }
    }
    Poll::Ready(Ok(()))
}
