//! A client's connection that is encrypted: what rustls says about ends, in the words of a plain socket.
//!
//! Does not know certificates or handshakes: see `tls`. A write is done when rustls has the bytes, so **whoever waits
//! for an answer flushes first**.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::{Ending, Socket};

/// HTTP/2 over TLS, as handshakes call it.
pub(crate) const ALPN_H2: &[u8] = b"h2";

/// A plain socket with TLS on it.
#[derive(Debug)]
pub(crate) struct TlsSocket {
    stream: TlsStream<Socket>,
    ending: Ending,
}

impl TlsSocket {
    /// After the handshake.
    #[must_use]
    pub(crate) fn new(stream: TlsStream<Socket>) -> Self {
        Self {
            stream,
            ending: Ending::Whole,
        }
    }

    /// The socket that carries the encrypted bytes.
    #[must_use]
    pub(super) fn below(&self) -> &Socket {
        self.stream.get_ref().0
    }

    /// How an end looks from now on.
    pub(super) fn end_as(&mut self, ending: Ending) {
        self.ending = ending;
    }

    /// The client chose HTTP/2.
    #[must_use]
    pub(crate) fn is_h2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(ALPN_H2)
    }
}

impl Drop for TlsSocket {
    /// Says goodbye (`close_notify`) if that needs no waiting, so that a client does not take our end for a cut cable,
    /// unless it is one.
    fn drop(&mut self) {
        if self.ending == Ending::Broken {
            return;
        }
        let mut context = Context::from_waker(Waker::noop());
        let _told: Poll<io::Result<()>> = Pin::new(&mut self.stream).poll_shutdown(&mut context);
    }
}

impl AsyncRead for TlsSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.get_mut().stream).poll_read(context, buffer) {
            // Many clients leave without a goodbye. Requests and WebSocket messages have lengths of their own, so nothing
            // that was cut short can pass for whole.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(()))
            }
            polled => polled,
        }
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
