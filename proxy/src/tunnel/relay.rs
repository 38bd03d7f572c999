//! Copies bytes both ways between two sockets until one side ends it, it idles too long, it is too old or the proxy
//! stops.
//!
//! Invariants: **a silent tunnel holds no buffer** (bytes pass through the thread's scratch; only what a slow
//! receiver does not take is kept, at most one scratch per direction); **the proxy says goodbye between two frames**.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep};

use super::ended::{Ended, Leaving, Reason, Side, Traffic};
use super::flow::{self, Fault, Flow};
use super::frames::Frames;
use crate::heartbeat::{self, First};
use crate::lifecycle::Awaited;
use crate::socket::{Attentive, Socket};

/// How long a client may take to answer the goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the frame may take inside of which a tunnel becomes too old. A stop has no time for that.
const LAST_FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// When one side has ended, how long the other may be silent. What it still has to say comes through, but a server
/// that overlooks the end of a client cannot hold the tunnel.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a tunnel may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// On which neither side says anything.
    pub(crate) idle_timeout: Duration,
    /// The server's first words may name another one.
    pub(crate) is_told: bool,
    /// Whatever is said.
    pub(crate) max_age: Option<Duration>,
}

/// A tunnel at work.
pub(crate) struct Relay<S = Socket> {
    client: S,
    server: S,
    up: Flow,
    down: Flow,
    said_by_client: Frames,
    said_by_server: Frames,
    /// What the server has said, until its first words are whole. Boxed, because only few tunnels wait for them, and not
    /// for long.
    #[allow(
        clippy::box_collection,
        reason = "a tunnel lives for hours, this for a moment"
    )]
    first_words: Option<Box<Vec<u8>>>,
    first_close: Option<Side>,
    first_end: Option<Reason>,
    leaving: Option<Leaving>,
    has_said_goodbye: bool,
    active_at: Instant,
    idle_timeout: Duration,
    ends_at: Option<Instant>,
}

/// Moved only when it fires or when the end comes nearer, and asked of the runtime only then, not with every message.
struct Timer<'t> {
    sleep: Pin<&'t mut Sleep>,
    /// The runtime knows whom to wake.
    is_armed: bool,
}

impl<'t> Timer<'t> {
    fn new(sleep: Pin<&'t mut Sleep>) -> Self {
        Self {
            sleep,
            is_armed: false,
        }
    }

    fn set(&mut self, until: Instant) {
        self.sleep.as_mut().reset(until);
        self.is_armed = false;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_armed && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.is_armed = true;
        self.sleep.as_mut().poll(context)
    }

    fn poll_until(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        if until < self.sleep.deadline() {
            self.set(until);
        }
        while self.poll(context).is_ready() {
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.set(until);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Attentive + Unpin> Relay<S> {
    /// `from_client` and `from_server` are what each side sent before the relay begins.
    pub(crate) fn new(
        (client, server): (S, S),
        from_client: BytesMut,
        from_server: BytesMut,
        bounds: Bounds,
    ) -> Self {
        let now = Instant::now();
        let mut relay = Self {
            client,
            server,
            up: Flow::beginning_with(from_client),
            down: Flow::beginning_with(from_server),
            said_by_client: Frames::default(),
            said_by_server: Frames::default(),
            first_words: bounds.is_told.then(Box::default),
            first_close: None,
            first_end: None,
            leaving: None,
            has_said_goodbye: false,
            active_at: now,
            idle_timeout: bounds.idle_timeout,
            ends_at: bounds.max_age.map(|age| now + age),
        };
        relay.said_by_client.follow(&relay.up.spill);
        relay.said_by_server.follow(&relay.down.spill);
        relay
    }

    /// Relays until the end, or until `closing`. `learn` is told the silence that the server's first words allow.
    pub(crate) async fn run(&mut self, closing: &mut Awaited, learn: impl Fn(Duration)) -> Ended {
        if let Some(silence) = listen(&mut self.first_words, &self.down.spill) {
            self.allow(silence, &learn);
        }
        let sleep = sleep(self.idle_timeout);
        tokio::pin!(sleep);
        let mut timer = Timer::new(sleep);
        let reason = poll_fn(|context| {
            if self.leaving != Some(Leaving::Stopped)
                && Pin::new(&mut *closing).poll(context).is_ready()
            {
                self.leaving = Some(Leaving::Stopped);
                timer.set(Instant::now() + GOODBYE_TIMEOUT);
            }
            self.poll_to_end(context, &mut timer, &learn)
        })
        .await;
        Ended {
            reason,
            received: Traffic {
                bytes: self.up.bytes,
                messages: self.said_by_client.messages(),
            },
            sent: Traffic {
                bytes: self.down.bytes,
                messages: self.said_by_server.messages(),
            },
            is_clean: self.said_by_server.has_closed(),
            closed_by: match reason.side() {
                Side::Proxy => Side::Proxy,
                side => self.first_close.unwrap_or(side),
            },
            close_code: self.close_code(),
        }
    }

    /// Of the first Close frame.
    fn close_code(&self) -> Option<u16> {
        match self.first_close {
            Some(Side::Client) => self.said_by_client.close_code(),
            Some(Side::Server) => self.said_by_server.close_code(),
            Some(Side::Proxy) => self.leaving.map(Leaving::code),
            None => None,
        }
    }

    /// The server's heartbeat decides how long silence may last.
    fn allow(&mut self, silence: Duration, learn: impl Fn(Duration)) {
        self.idle_timeout = silence + heartbeat::MARGIN;
        learn(silence);
    }

    fn poll_to_end(
        &mut self,
        context: &mut Context<'_>,
        timer: &mut Timer<'_>,
        learn: &impl Fn(Duration),
    ) -> Poll<Reason> {
        loop {
            let (before, was_whole) = (self.bytes(), self.first_end.is_none());
            let had_said_goodbye = self.has_said_goodbye;
            if let Poll::Ready(reason) = self.poll(context, learn) {
                return Poll::Ready(reason);
            }
            if let Some(leaving) = self.leaving {
                if leaving == Leaving::TooOld && self.has_said_goodbye && !had_said_goodbye {
                    timer.set(Instant::now() + GOODBYE_TIMEOUT);
                }
                return timer.poll(context).map(|()| leaving.reason());
            }
            if self.bytes() != before || (was_whole && self.first_end.is_some()) {
                self.active_at = Instant::now();
            }
            let patience = if self.first_end.is_some() {
                HALF_CLOSED_TIMEOUT
            } else {
                self.idle_timeout
            };
            let until = self.active_at + patience;
            let ends_at = self.ends_at.filter(|ends_at| *ends_at < until);
            ready!(timer.poll_until(context, ends_at.unwrap_or(until)));
            if ends_at.is_none() {
                return Poll::Ready(self.first_end.unwrap_or(Reason::Idle));
            }
            // Once more around, to say so.
            self.leaving = Some(Leaving::TooOld);
            timer.set(Instant::now() + LAST_FRAME_TIMEOUT);
        }
    }

    fn bytes(&self) -> u64 {
        self.up.bytes + self.down.bytes
    }

    fn poll(&mut self, context: &mut Context<'_>, learn: &impl Fn(Duration)) -> Poll<Reason> {
        let up = self.poll_up(context);
        self.note_close(Side::Client);
        let down = self.poll_down(context, learn);
        self.note_close(Side::Server);
        self.note_close(Side::Proxy);
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
        match (self.first_end, self.leaving) {
            (_, Some(leaving)) if has_ended && self.has_said_goodbye => {
                Poll::Ready(leaving.reason())
            }
            (Some(reason), _) if has_ended => Poll::Ready(reason),
            _ => Poll::Pending,
        }
    }

    /// Remembers who said goodbye first.
    fn note_close(&mut self, side: Side) {
        let has_closed = match side {
            Side::Client => self.said_by_client.has_closed(),
            Side::Server => self.said_by_server.has_closed(),
            Side::Proxy => self.has_said_goodbye,
        };
        if self.first_close.is_none() && has_closed {
            self.first_close = Some(side);
        }
    }

    fn poll_up(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let said = &mut self.said_by_client;
        flow::poll(
            context,
            &mut self.client,
            &mut self.server,
            &mut self.up,
            |chunk| {
                said.follow(chunk);
                None
            },
        )
    }

    fn poll_down(
        &mut self,
        context: &mut Context<'_>,
        learn: &impl Fn(Duration),
    ) -> Poll<Result<(), Fault>> {
        let Self {
            client,
            server,
            down,
            said_by_server: said,
            first_words,
            leaving,
            has_said_goodbye,
            ..
        } = self;
        if let Some(leaving) = leaving
            && !*has_said_goodbye
            && said.is_between()
            && !down.is_ended
        {
            down.spill.extend_from_slice(leaving.goodbye());
            (*has_said_goodbye, down.is_ended) = (true, true);
        }
        let mut heard = None;
        let polled = flow::poll(context, server, client, down, |chunk| {
            if first_words.is_some() {
                heard = heard.or(listen(first_words, chunk));
            }
            let Some(leaving) = leaving else {
                said.follow(chunk);
                return None;
            };
            let whole = said.follow_to_end_of_frame(chunk);
            said.is_between().then(|| {
                *has_said_goodbye = true;
                (whole, leaving.goodbye())
            })
        });
        if let Some(silence) = heard {
            self.allow(silence, learn);
        }
        polled
    }
}

/// Gathers a server's first words until they are whole, and tells the silence that they allow.
#[allow(clippy::box_collection, reason = "as in the relay")]
fn listen(first_words: &mut Option<Box<Vec<u8>>>, chunk: &[u8]) -> Option<Duration> {
    let words = first_words.as_mut()?;
    // Beyond that nothing is waited for.
    let room = heartbeat::FRAME_BYTES_MAX.saturating_sub(words.len());
    words.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
    match heartbeat::in_frame(words) {
        First::Partial => None,
        First::Silence(silence) => {
            *first_words = None;
            Some(silence)
        }
        First::SomethingElse => {
            *first_words = None;
            None
        }
    }
}

#[cfg(test)]
mod tests;
