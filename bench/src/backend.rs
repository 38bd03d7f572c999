//! The server behind every proxy: a small HTTP answer, and a WebSocket echo. It does as little as it can, so that it is never what a
//! run measures. It reads no request bodies.
//!
//! `/greet…` as a WebSocket gets its first frame in the same segment as the 101: what a fast server does, and what loses
//! fresh WebSockets in a proxy that is not ready for it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::{frame, handshake, head};

/// Of the answer to every plain request.
const BODY: &[u8] = &[b'b'; 100];
const GREETING: &[u8] = b"welcome";
/// Holds a head, or a message of 64 KiB with its header, so that both are read at once.
const BUFFER_BYTES: usize = 68 * 1024;
/// Buffers that are kept for the next message. Connections that wait hold none.
const BUFFERS_KEPT_MAX: usize = 64;
/// Connections that the kernel keeps while all of them come at once.
const BACKLOG: i32 = 4096;
/// After an accept that failed, which here means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A listener that may share its address with those of other threads.
///
/// # Errors
/// When the address is taken or not ours.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves on this thread for as long as the program runs.
///
/// # Errors
/// When the runtime cannot be built.
pub fn serve(listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let buffers = Rc::new(Buffers::default());
    LocalSet::new().block_on(&runtime, async {
        let mut accepting = Vec::new();
        for listener in listeners {
            let listener = TcpListener::from_std(listener)?;
            let buffers = Rc::clone(&buffers);
            accepting.push(tokio::task::spawn_local(accept(listener, buffers)));
        }
        for task in accepting {
            task.await?;
        }
        Ok(())
    })
}

async fn accept(listener: TcpListener, buffers: Rc<Buffers>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let buffers = Rc::clone(&buffers);
        tokio::task::spawn_local(async move {
            // A connection that breaks is its client's to count.
            if let Err(Gone) = converse(stream, &buffers).await {}
        });
    }
}

/// The peer left, or said what this server does not understand.
struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

#[derive(Default)]
struct Buffers(RefCell<Vec<Vec<u8>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.borrow_mut().pop();
        kept.unwrap_or_else(|| vec![0; BUFFER_BYTES])
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.0.borrow_mut();
        if kept.len() < BUFFERS_KEPT_MAX {
            kept.push(buffer);
        }
    }
}

async fn converse(mut stream: TcpStream, buffers: &Buffers) -> Result<(), Gone> {
    stream.set_nodelay(true)?;
    let mut talk = Talk::Http;
    loop {
        let (mut buffer, filled) = first_bytes(&mut stream, buffers).await?;
        let result = answer_all(&mut stream, (&mut buffer, filled), &mut talk).await;
        buffers.give_back(buffer);
        result?;
    }
}

#[derive(Clone, Copy)]
enum Talk {
    Http,
    WebSocket,
}

/// Waits without a buffer.
async fn first_bytes(stream: &mut TcpStream, buffers: &Buffers) -> Result<(Vec<u8>, usize), Gone> {
    let read = poll_fn(|context| {
        let mut buffer = buffers.take();
        let mut room = ReadBuf::new(&mut buffer);
        let state = Pin::new(&mut *stream).poll_read(context, &mut room);
        let filled = room.filled().len();
        match state {
            Poll::Ready(Ok(())) if filled > 0 => Poll::Ready(Ok((buffer, filled))),
            Poll::Ready(_) => Poll::Ready(Err(Gone)),
            Poll::Pending => {
                buffers.give_back(buffer);
                Poll::Pending
            }
        }
    });
    read.await
}

/// Answers all that has come. Returns when there is nothing left to answer, so that the buffer serves another connection.
async fn answer_all(
    stream: &mut TcpStream,
    (buffer, mut filled): (&mut Vec<u8>, usize),
    talk: &mut Talk,
) -> Result<(), Gone> {
    loop {
        let mut used = 0;
        while let Some(count) = answer_one(stream, &mut buffer[used..filled], talk).await? {
            used += count;
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        if filled == 0 {
            return Ok(());
        }
        if filled == buffer.len() {
            buffer.resize(filled * 2, 0);
        }
        let count = stream.read(&mut buffer[filled..]).await?;
        if count == 0 {
            return Err(Gone);
        }
        filled += count;
    }
}

/// Answers the request or message at the start of `bytes`, and says how long it was; `None` if it is not whole yet.
async fn answer_one(
    stream: &mut TcpStream,
    bytes: &mut [u8],
    talk: &mut Talk,
) -> Result<Option<usize>, Gone> {
    match talk {
        Talk::Http => {
            let Some(end) = head::end(bytes) else {
                return Ok(None);
            };
            let (answer, next) = answer_head(&bytes[..end]);
            stream.write_all(&answer).await?;
            *talk = next;
            Ok(Some(end))
        }
        Talk::WebSocket => {
            let Some(header) = frame::read(bytes).map_err(|_| Gone)? else {
                return Ok(None);
            };
            if bytes.len() < header.frame_bytes() {
                return Ok(None);
            }
            stream.write_all(echo(bytes, header)?).await?;
            if header.opcode == frame::CLOSE {
                return Err(Gone);
            }
            Ok(Some(header.frame_bytes()))
        }
    }
}

fn answer_head(head: &[u8]) -> (Vec<u8>, Talk) {
    if let Some(key) = head::field(head, "sec-websocket-key") {
        let mut answer = handshake::answer(key);
        if head.starts_with(b"GET /greet") {
            let (header, used) = frame::server_header(frame::BINARY, GREETING.len());
            answer.extend_from_slice(&header[..used]);
            answer.extend_from_slice(GREETING);
        }
        return (answer, Talk::WebSocket);
    }
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        BODY.len()
    )
    .into_bytes();
    answer.extend_from_slice(BODY);
    (answer, Talk::Http)
}

/// Turns a client's frame into the server's in its place: that header is shorter by the mask, so it fits before the payload.
fn echo(bytes: &mut [u8], header: frame::Header) -> Result<&[u8], Gone> {
    let key = header.mask.ok_or(Gone)?;
    let frame = bytes.get_mut(..header.frame_bytes()).ok_or(Gone)?;
    frame::mask(&mut frame[header.header_bytes..], key);
    let opcode = match header.opcode {
        frame::PING => frame::PING + 1,
        other => other,
    };
    let (reply, used) = frame::server_header(opcode, header.payload_bytes);
    let start = header.header_bytes - used;
    frame[start..header.header_bytes].copy_from_slice(&reply[..used]);
    Ok(&frame[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_the_message_without_its_mask() {
        for length in [3, 300, 70_000] {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let mut bytes = frame::client_frame(frame::BINARY, &payload, [7, 1, 2, 3]);
            let header = frame::read(&bytes).unwrap().unwrap();
            let reply = echo(&mut bytes, header).ok().unwrap();
            let header = frame::read(reply).unwrap().unwrap();
            assert_eq!(header.mask, None);
            assert_eq!(reply[header.header_bytes..], payload);
        }
    }

    #[test]
    fn a_greeting_is_asked_for_by_the_path() {
        let ask = |path: &str| answer_head(&handshake::request("bench", path, "")).0;
        assert!(ask("/greet").ends_with(b"\r\n\r\n\x82\x07welcome"));
        assert!(ask("/echo").ends_with(b"\r\n\r\n"));
        let (plain, _) = answer_head(b"GET / HTTP/1.1\r\n\r\n");
        assert!(plain.ends_with(BODY));
    }
}
