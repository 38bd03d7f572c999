//! One direction of a tunnel: what is read from one side is written to the other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::scratch;
use crate::socket::Attentive;

/// Reads of one direction before others get their turn.
const READS_PER_TURN_MAX: usize = 8;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// What the receiver did not take yet.
    pub(super) spill: BytesMut,
    pub(super) bytes: u64,
    /// The sender sends no more.
    pub(super) is_ended: bool,
    /// The receiver was told so.
    pub(super) is_shut: bool,
    /// Nothing is held, and the last read found nothing: until the sender is heard there is nothing to do.
    is_waiting: bool,
}

/// Which side broke, if one did.
pub(super) enum Fault {
    Sender,
    Receiver,
}

impl Flow {
    /// `spill` was sent before the tunnel began.
    pub(super) fn beginning_with(spill: BytesMut) -> Self {
        Self {
            bytes: spill.len() as u64,
            spill,
            is_ended: false,
            is_shut: false,
            is_waiting: false,
        }
    }
}

/// Moves bytes of one direction until it has to wait or has ended.
///
/// `look` sees every chunk; when it names a length, that much is the last of this direction, followed by the goodbye.
pub(super) fn poll<S: AsyncRead + AsyncWrite + Attentive + Unpin>(
    context: &mut Context<'_>,
    from: &mut S,
    to: &mut S,
    flow: &mut Flow,
    mut look: impl FnMut(&[u8]) -> Option<(usize, &'static [u8])>,
) -> Poll<Result<(), Fault>> {
    if flow.is_waiting && flow.spill.is_empty() && !flow.is_ended && from.is_silent() {
        return Poll::Pending;
    }
    flow.is_waiting = false;
    for turn in 0..READS_PER_TURN_MAX {
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
        // Behind a read there is rarely more; to ask costs less than to read in vain.
        if turn > 0 && from.poll_readable(context).is_pending() {
            flow.is_waiting = true;
            return Poll::Pending;
        }
        let moved = scratch::lend(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut *from).poll_read(context, &mut buffer) {
                Poll::Pending => {
                    flow.is_waiting = true;
                    return Poll::Pending;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Fault::Sender)),
                Poll::Ready(Ok(())) => {}
            }
            let mut chunk = buffer.filled();
            flow.is_ended = chunk.is_empty();
            let last = look(chunk);
            if let Some((length, _)) = last {
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
            if let Some((_, goodbye)) = last {
                flow.spill.extend_from_slice(goodbye);
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

fn poll_spill<S: AsyncWrite + Unpin>(
    context: &mut Context<'_>,
    to: &mut S,
    flow: &mut Flow,
) -> Poll<io::Result<()>> {
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
