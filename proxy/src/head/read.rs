//! Reads the bytes of one head from a client, under a deadline and a size cap.
//!
//! While the client is silent nothing is held: bytes arrive in the thread's scratch and are copied out in the size in
//! which they came. Invariant: **a client cannot hold a connection by sending slowly**: the deadline is for the whole
//! head, not for a read.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::find_end;
use crate::alarm::Alarm;
use crate::refusal::Refusal;
use crate::scratch;

/// One read takes at most this much, so that a body that follows the head is left to whoever wants it.
const READ_BYTES_MAX: usize = 16 * 1024;

/// The bounds of one head.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub bytes_max: usize,
    /// How long a connection may be silent before the first byte.
    pub idle_timeout: Duration,
    /// How long the whole head may take from its first byte.
    pub head_timeout: Duration,
}

/// What came of reading.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    /// A head of this many bytes stands at the beginning of the buffer.
    Head(usize),
    /// The client left, or was silent for too long, without having said anything.
    Nothing,
    Refused(Refusal),
}

/// Reads until `bytes` begin with a whole head. Cancelling loses nothing: what was read is in `bytes`.
pub async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    bytes: &mut BytesMut,
    bounds: Bounds,
    alarm: &mut Alarm,
) -> Came {
    let mut deadline = None;
    loop {
        match ready_head(bytes, bounds.bytes_max) {
            Ok(Some(end)) => return Came::Head(end),
            Ok(None) => {}
            Err(refusal) => return Came::Refused(refusal),
        }
        let now = Instant::now();
        let until = if bytes.is_empty() {
            now + bounds.idle_timeout
        } else {
            *deadline.get_or_insert(now + bounds.head_timeout)
        };
        let read = poll_fn(|context| match poll_read_some(context, stream, bytes) {
            Poll::Pending => alarm.poll(context, until).map(|()| None),
            Poll::Ready(read) => Poll::Ready(Some(read)),
        });
        match read.await {
            Some(Ok(count)) if count > 0 => {}
            Some(Ok(_)) if !bytes.is_empty() => {
                return Came::Refused(Refusal::BadRequest("the head ends too early"));
            }
            None if !bytes.is_empty() => return Came::Refused(Refusal::HeadTimeout),
            Some(_) | None => return Came::Nothing,
        }
    }
}

fn ready_head(bytes: &mut BytesMut, bytes_max: usize) -> Result<Option<usize>, Refusal> {
    // Empty lines before a request are allowed (RFC 9112 §2.2); old clients end bodies with them.
    while bytes.starts_with(b"\r\n") {
        bytes.advance(2);
    }
    // TLS on a plain port, or any other protocol: say so now instead of waiting for an end that never comes.
    if bytes
        .first()
        .is_some_and(|first| !first.is_ascii_graphic() && *first != b'\r')
    {
        return Err(Refusal::BadRequest("this is not HTTP"));
    }
    match find_end(bytes)? {
        Some(end) if end > bytes_max => Err(Refusal::HeadTooLarge),
        None if bytes.len() > bytes_max => Err(Refusal::HeadTooLarge),
        found => Ok(found),
    }
}

/// Appends what one read brings; 0 is the end of the stream.
///
/// # Errors
/// The stream's.
pub async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    bytes: &mut BytesMut,
) -> io::Result<usize> {
    poll_fn(|context| poll_read_some(context, stream, bytes)).await
}

/// The same, to be polled.
pub fn poll_read_some<S: AsyncRead + Unpin>(
    context: &mut Context<'_>,
    stream: &mut S,
    bytes: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    scratch::lend(|scratch| {
        let room = scratch.get_mut(..READ_BYTES_MAX).unwrap_or_default();
        let mut buffer = ReadBuf::new(room);
        ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
        bytes.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, DuplexStream};

    const BOUNDS: Bounds = Bounds {
        bytes_max: 64,
        idle_timeout: Duration::from_secs(60),
        head_timeout: Duration::from_secs(10),
    };

    async fn read_bounded(stream: &mut DuplexStream, bytes: &mut BytesMut) -> Came {
        read(stream, bytes, BOUNDS, &mut Alarm::default()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_in_pieces_is_one_head() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let mut bytes = BytesMut::new();
        let write = async {
            for piece in ["\r\nGET / HT", "TP/1.1\r", "\n\r", "\nbody"] {
                client.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (came, ()) = tokio::join!(read_bounded(&mut server, &mut bytes), write);
        assert_eq!(came, Came::Head(18));
        assert_eq!(&bytes[..], b"GET / HTTP/1.1\r\n\r\nbody");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_head_is_ended_however_it_dribbles() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let mut bytes = BytesMut::new();
        let dribble = async {
            loop {
                if client.write_all(b"X").await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
        };
        let start = Instant::now();
        tokio::select! {
            came = read_bounded(&mut server, &mut bytes) => assert_eq!(came, Came::Refused(Refusal::HeadTimeout)),
            () = dribble => panic!("the dribble outlived the head"),
        }
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_nothing() {
        let (_client, mut server) = tokio::io::duplex(1024);
        assert_eq!(
            read(
                &mut server,
                &mut BytesMut::new(),
                BOUNDS,
                &mut Alarm::default()
            )
            .await,
            Came::Nothing
        );
    }

    #[tokio::test]
    async fn a_large_head_is_refused() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        client.write_all(&[b'A'; 65]).await.unwrap();
        let came = read(
            &mut server,
            &mut BytesMut::new(),
            BOUNDS,
            &mut Alarm::default(),
        )
        .await;
        assert_eq!(came, Came::Refused(Refusal::HeadTooLarge));
    }

    #[tokio::test]
    async fn another_protocol_is_refused_at_once() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        client.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
        let came = read(
            &mut server,
            &mut BytesMut::new(),
            BOUNDS,
            &mut Alarm::default(),
        )
        .await;
        assert_eq!(came, Came::Refused(Refusal::BadRequest("this is not HTTP")));
    }
}
