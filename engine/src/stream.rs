//! A connection that several may write to: HTTP speaks on it first, and after an upgrade the session's task and whoever sends.

use std::any::Any;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// An accepted connection. It closes when its last owner lets go. Every request on it carries one in its extensions (`Arc<Stream>`): a
/// WebSocket is taken over by way of it.
pub struct Stream {
    pub(crate) tcp: TcpStream,
    /// Let go with the connection: what counts it.
    _held: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.tcp.fmt(f)
    }
}

impl Stream {
    /// `held` is let go when the connection closes.
    #[must_use]
    pub fn new(tcp: TcpStream, held: impl Any + Send + Sync) -> Arc<Self> {
        Arc::new(Self {
            tcp,
            _held: Box::new(held),
        })
    }

    /// Ends the connection at once: nothing can be read from it or written to it. What its client has not read is of no use to it, and the
    /// kernel need not keep it until the client has gone.
    pub(crate) fn cut(&self) {
        let socket = SockRef::from(&self.tcp);
        if let Err(error) = socket.set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "a cut connection lingers");
        }
        // Fails when it is closed already.
        drop(socket.shutdown(std::net::Shutdown::Both));
    }

    /// Says that nothing more will be sent.
    pub(crate) fn end(&self) {
        // Fails when it is closed already.
        drop(SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write));
    }
}

/// The connection as HTTP uses it.
#[derive(Debug)]
pub struct Shared(pub Arc<Stream>);

impl AsyncRead for Shared {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.tcp.poll_read_ready(cx))?;
            match self.0.tcp.try_read(into.initialize_unfilled()) {
                Ok(read) => {
                    into.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Shared {
    fn poll(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.tcp.poll_write_ready(cx))?;
            match write(&self.0.tcp) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |tcp| tcp.try_write(from))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |tcp| tcp.try_write_vectored(from))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.end();
        Poll::Ready(Ok(()))
    }
}
