//! A connection, to a client or to a server, whatever it is made of.
//!
//! Invariant: **an idle `Socket` holds no buffer** of ours (rustls keeps one of 4 KiB per TLS connection).

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pingora::protocols::l4::ext::get_tcp_info;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

mod tls;

pub(crate) use tls::{ALPN_H2, TlsSocket};

// Linux' numbers (include/net/tcp_states.h); other systems tell none of them.
const ESTABLISHED: u8 = 1;
const FIN_WAIT1: u8 = 4;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// What the other side is to think of an end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything was said.
    Whole,
    /// Something is missing.
    Broken,
}

/// A connected socket, to a client or to a server.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// A client's connection on top of one of the others. Boxed, so that those stay small.
    Tls(Box<TlsSocket>),
}

impl Socket {
    /// Whether what passes is encrypted.
    #[must_use]
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The client chose HTTP/2 in its handshake (ALPN).
    #[must_use]
    pub(crate) fn is_h2(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.is_h2())
    }

    /// The other side has neither said anything nor left, as far as is known without asking the system.
    #[must_use]
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
            // Only clients speak TLS to us.
            Self::Tls(_) => return false,
        };
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// How the end looks if it comes from now on, whatever brings it about: where only the end of the connection tells
    /// the end of what is said on it, a break must not pass for it. A break of TLS is an end without goodbye
    /// (`close_notify`), that of TCP a reset, which takes along what has not arrived yet. Unix sockets know none.
    pub(crate) fn end_as(&mut self, ending: Ending) {
        let set = match (self, ending) {
            (Self::Tcp(stream), Ending::Broken) => stream.set_zero_linger(),
            #[allow(
                deprecated,
                reason = "nothing lingers: this takes back what is set above"
            )]
            (Self::Tcp(stream), Ending::Whole) => stream.set_linger(None),
            (Self::Unix(_), _) => Ok(()),
            (Self::Tls(stream), ending) => {
                stream.end_as(ending);
                Ok(())
            }
        };
        if let Err(error) = set {
            tracing::debug!(%error, "the end of a connection will look like any other");
        }
    }

    /// Whether the other side has ended its own, or the connection is broken, even if bytes are unread that came before.
    /// `false` where there is no telling.
    #[must_use]
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.tcp_state(), Some((CLOSE | CLOSE_WAIT | LAST_ACK, _)))
    }

    /// How many bytes the other side's system has taken, as long as others are on their way; `None`: it has them all,
    /// the end included, or there is no telling.
    #[must_use]
    pub(crate) fn under_way(&self) -> Option<u64> {
        let (state, bytes_acked) = self.tcp_state()?;
        let is_under_way = matches!(
            state,
            ESTABLISHED | FIN_WAIT1 | CLOSE_WAIT | LAST_ACK | CLOSING
        );
        is_under_way.then_some(bytes_acked)
    }

    /// Where the connection stands, and what the other side has acknowledged.
    fn tcp_state(&self) -> Option<(u8, u64)> {
        match self {
            Self::Tcp(stream) => {
                let info = get_tcp_info(stream.as_raw_fd()).ok()?;
                Some((info.tcpi_state, info.tcpi_bytes_acked))
            }
            // What is written is there at once.
            Self::Unix(_) => None,
            Self::Tls(stream) => stream.below().tcp_state(),
        }
    }
}

/// Writes everything and flushes, within `limit`. What the system takes at once, as it nearly always does, starts no
/// timer.
///
/// # Errors
/// The socket's, or `TimedOut`.
pub(crate) async fn write_within(
    socket: &mut Socket,
    bytes: &[u8],
    limit: Duration,
) -> io::Result<()> {
    let at_once = poll_fn(|context| Poll::Ready(write_at_once(context, socket, bytes)));
    let Some(written) = at_once.await? else {
        return Ok(());
    };
    let rest = bytes.get(written..).unwrap_or_default();
    let slowly = async {
        socket.write_all(rest).await?;
        socket.flush().await
    };
    // Boxed, as it is rare: whoever writes need not have room for it.
    Box::pin(timeout(limit, slowly)).await?
}

/// How many bytes were taken; `None`: all of them, and they have left.
fn write_at_once(
    context: &mut Context<'_>,
    socket: &mut Socket,
    bytes: &[u8],
) -> io::Result<Option<usize>> {
    let written = match Pin::new(&mut *socket).poll_write(context, bytes) {
        Poll::Ready(written) => written?,
        Poll::Pending => 0,
    };
    if written < bytes.len() {
        return Ok(Some(written));
    }
    match Pin::new(socket).poll_flush(context) {
        Poll::Ready(flushed) => flushed.map(|()| None),
        Poll::Pending => Ok(Some(written)),
    }
}

/// What can be known about a stream without reading it. Only saves work: whoever knows nothing may say so.
pub(crate) trait Attentive {
    /// Nothing has come since a read found nothing, and that read's task will be woken when something does.
    fn is_silent(&self) -> bool {
        false
    }

    /// Ready when a read may find something; else the task is woken then.
    fn poll_readable(&self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Attentive for Socket {
    fn is_silent(&self) -> bool {
        // The answer is known without the system; asked for a success, the runtime goes on believing what it knows.
        let known = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || Ok(())),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || Ok(())),
            // It may hold what was read and not asked for yet.
            Self::Tls(_) => return false,
        };
        known.is_err()
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        // An error shows in the read that follows.
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context).map(|_| ()),
            Self::Unix(stream) => stream.poll_read_ready(context).map(|_| ()),
            Self::Tls(_) => Poll::Ready(()),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(context, slices),
        }
    }

    /// All of them gather: the kernel does, and rustls makes one record of many slices.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;

    fn pair() -> (Socket, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Socket::Unix(ours), theirs)
    }

    async fn read(socket: &mut Socket) -> io::Result<usize> {
        socket.read(&mut [0; 8]).await
    }

    #[tokio::test]
    async fn a_socket_is_silent_from_a_read_in_vain_until_something_comes() {
        let (mut socket, mut peer) = pair();
        let in_vain = poll_fn(|context| Poll::Ready(socket.poll_readable(context).is_pending()));
        assert!(in_vain.await);
        assert!(socket.is_silent());
        peer.write_all(b"x").await.unwrap();
        poll_fn(|context| socket.poll_readable(context)).await;
        assert!(!socket.is_silent());
        assert_eq!(read(&mut socket).await.unwrap(), 1);
        assert!(socket.is_silent());
        drop(peer);
        poll_fn(|context| socket.poll_readable(context)).await;
        assert!(!socket.is_silent());
        assert_eq!(read(&mut socket).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_the_system_does_not_take_at_once_follows_in_time_or_not_at_all() {
        let (mut socket, _peer) = pair();
        let bytes = vec![7; 4 * 1024 * 1024];
        let late = write_within(&mut socket, &bytes, Duration::from_millis(10)).await;
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let (mut socket, mut peer) = pair();
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).await.unwrap();
            all
        });
        write_within(&mut socket, &bytes, Duration::from_secs(60))
            .await
            .unwrap();
        drop(socket);
        assert!(reading.await.unwrap() == bytes);
    }
}
