//! Reads a WebSocket's connection. It has no buffer of its own: what the kernel gives goes through one that all connections of a thread share.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::frame::reader::{Reader, Said, Violation};
use crate::stream::Stream;

/// What one read may bring.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// How a WebSocket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By either side, in order.
    Closed,
    Broken,
    Violated(Violation),
    /// Not a packet of Engine.IO.
    BadPacket,
    /// The heartbeat was not answered.
    Dead,
}

/// The connection of one WebSocket.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Arc<Stream>,
    reader: Reader,
    /// Was read, and is still to be looked at.
    unread: Bytes,
}

impl Connection {
    /// `early` was read by HTTP already. Messages are of `bytes_max` at most.
    pub(super) fn new(stream: Arc<Stream>, early: &[u8], bytes_max: usize) -> Self {
        Self {
            stream,
            reader: Reader::new(bytes_max),
            // A copy: what it is a part of, even when it is empty, is HTTP's buffer of 8 KiB.
            unread: Bytes::copy_from_slice(early),
        }
    }

    pub(super) fn stream(&self) -> Arc<Stream> {
        Arc::clone(&self.stream)
    }

    /// What is said next.
    pub(super) async fn next(&mut self) -> Result<Said, End> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Said, End>> {
        loop {
            if !self.unread.is_empty() {
                let mut input = &self.unread[..];
                let said = self.reader.next(&mut input).map_err(End::Violated)?;
                self.unread = match input.is_empty() {
                    true => Bytes::new(),
                    false => self.unread.slice_ref(input),
                };
                if let Some(said) = said {
                    return Poll::Ready(Ok(said));
                }
            }
            if let Some(said) = ready!(self.poll_read(cx))? {
                return Poll::Ready(Ok(said));
            }
        }
    }

    /// Reads once. What came behind the first that is said is kept.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Said>, End>> {
        READ.with_borrow_mut(|into| {
            let mut input = match ready!(self.poll_bytes(cx, into)) {
                Ok(0) => return Poll::Ready(Err(End::Closed)),
                Ok(read) => &into[..read],
                Err(_) => return Poll::Ready(Err(End::Broken)),
            };
            let said = self.reader.next(&mut input).map_err(End::Violated)?;
            if !input.is_empty() {
                self.unread = Bytes::copy_from_slice(input);
            }
            Poll::Ready(Ok(said))
        })
    }

    fn poll_bytes(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.tcp.try_read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.stream.tcp.poll_read_ready(cx))?;
                }
                read => return Poll::Ready(read),
            }
        }
    }

    /// Whether something came, whatever it is.
    pub(super) async fn next_bytes(&self) -> bool {
        let read = poll_fn(|cx| READ.with_borrow_mut(|into| self.poll_bytes(cx, into)));
        read.await.is_ok_and(|read| read > 0)
    }

    /// Writes before others do.
    pub(super) async fn write(&self, mut frame: &[u8]) -> Result<(), End> {
        while !frame.is_empty() {
            match self.stream.tcp.try_write(frame) {
                Ok(written) => frame = &frame[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writable = self.stream.tcp.writable().await;
                    writable.map_err(|_| End::Broken)?;
                }
                Err(_) => return Err(End::Broken),
            }
        }
        Ok(())
    }

    /// Nothing more is sent.
    pub(super) fn end(&self) {
        self.stream.end();
    }
}
