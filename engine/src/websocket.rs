//! WebSockets: the handshake, the upgrade of a session that was polled, and the one task that a session then has.
//! (RFC 6455; [protocol](https://socket.io/docs/v4/engine-io-protocol/#upgrade))

mod connection;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use engineioxide_core::{Sid, Str};
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sha1::{Digest as _, Sha1};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

use crate::answer::{self, Answer};
use crate::clock;
use crate::frame;
use crate::frame::reader::Said;
use crate::handler::EngineIoHandler;
use crate::outbox::{Outbox, Sent};
use crate::request::Refused;
use crate::sessions::Sessions;
use crate::socket::{DisconnectReason, Socket};
use crate::stream::{Shared, Stream};

use connection::{Connection, End};

/// What the key of a handshake is joined with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How long the last words of a session may take: what waits for its client, and the client's own goodbye.
const FAREWELL: Duration = Duration::from_secs(5);

/// A normal end (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;

/// Takes over the connection of a request, for a new session or for one that was polled.
pub(crate) fn accept<H: EngineIoHandler, B>(
    sessions: Arc<Sessions<H>>,
    id: Option<Sid>,
    request: Request<B>,
) -> Answer {
    let (mut head, _) = request.into_parts();
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY).map(accepted);
    let stream = head.extensions.remove::<Arc<Stream>>();
    let (Some(accepted), Some(upgrade)) = (key, head.extensions.remove::<OnUpgrade>()) else {
        return answer::refused(Refused::BadRequest);
    };
    let mut polled = None;
    if let Some(id) = id {
        let Some(socket) = sessions.get(id) else {
            return answer::refused(Refused::UnknownSession);
        };
        if !socket.outbox().begin_upgrade() {
            return answer::refused(Refused::BadRequest);
        }
        polled = Some(socket);
    }
    tokio::spawn(async move {
        let connection = taken_over(upgrade, stream, sessions.config.ws_max_message_size).await;
        match (connection, polled) {
            (Some(connection), None) => begin(sessions, head, connection).await,
            (Some(connection), Some(socket)) => upgrade_to(sessions, socket, connection).await,
            (None, Some(socket)) => socket.outbox().give_up_upgrade(),
            (None, None) => {}
        }
    });
    switching(accepted)
}

fn switching(accepted: Option<HeaderValue>) -> Answer {
    let mut answer = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(accepted) = accepted {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
    }
    answer
}

/// The answer to a handshake's key (RFC 6455 §4.2.2).
fn accepted(key: &HeaderValue) -> Option<HeaderValue> {
    let digest = Sha1::new()
        .chain_update(key.as_bytes())
        .chain_update(GUID)
        .finalize();
    HeaderValue::from_str(&BASE64.encode(digest)).ok()
}

/// The connection, when HTTP has let go of it: one that is a [`Stream`], or a plain one.
async fn taken_over(
    upgrade: OnUpgrade,
    stream: Option<Arc<Stream>>,
    bytes_max: usize,
) -> Option<Connection> {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "a WebSocket did not begin");
            return None;
        }
    };
    let (stream, early) = match (stream, upgraded.downcast::<TokioIo<Shared>>()) {
        (Some(stream), Ok(parts)) => (stream, parts.read_buf),
        (_, Err(upgraded)) => match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => (Stream::new(parts.io.into_inner(), ()), parts.read_buf),
            Err(_) => {
                tracing::error!("a WebSocket on what is no TCP connection");
                return None;
            }
        },
        (None, Ok(_)) => {
            tracing::error!("a request whose extensions have no `Stream`");
            return None;
        }
    };
    Some(Connection::new(stream, &early, bytes_max))
}

async fn begin<H: EngineIoHandler>(
    sessions: Arc<Sessions<H>>,
    head: Parts,
    connection: Connection,
) {
    let socket = sessions.begin(head, Some(connection.stream()));
    carry(sessions, socket, connection).await;
}

/// The client tries the WebSocket first, and says when it has moved to it. If it does not, polling goes on.
async fn upgrade_to<H: EngineIoHandler>(
    sessions: Arc<Sessions<H>>,
    socket: Arc<Socket<H::Data>>,
    mut connection: Connection,
) {
    let tried = timeout(sessions.config.upgrade_timeout, tried(&mut connection));
    let outbox = socket.outbox();
    if !matches!(tried.await, Ok(Ok(()))) {
        outbox.give_up_upgrade();
        return;
    }
    if outbox.upgrade(connection.stream()) {
        carry(sessions, socket, connection).await;
    }
}

async fn tried(connection: &mut Connection) -> Result<(), End> {
    loop {
        match connection.next().await? {
            Said::Text(text) if text == "2probe" => {
                connection.write(&frame::text(&["3probe"])).await?;
            }
            Said::Text(text) if text == "5" => return Ok(()),
            Said::Ping(payload) => connection.write(&frame::pong(&payload)).await?,
            Said::Pong => {}
            Said::Text(_) | Said::Binary(_) | Said::Close => return Err(End::Closed),
        }
    }
}

/// Ends a session with its task, also when its handler panics.
struct Carried<H: EngineIoHandler> {
    sessions: Arc<Sessions<H>>,
    socket: Arc<Socket<H::Data>>,
}

impl<H: EngineIoHandler> Drop for Carried<H> {
    fn drop(&mut self) {
        self.sessions
            .close(self.socket.id, DisconnectReason::TransportError);
        self.socket.outbox().end();
    }
}

/// The session's task: reads, writes what waits, pings, and says goodbye.
async fn carry<H: EngineIoHandler>(
    sessions: Arc<Sessions<H>>,
    socket: Arc<Socket<H::Data>>,
    mut connection: Connection,
) {
    let carried = Carried { sessions, socket };
    let (sessions, socket) = (&*carried.sessions, &carried.socket);
    let end = talk(sessions, socket, &mut connection).await;
    let (reason, code) = match end {
        End::Closed => (DisconnectReason::TransportClose, Some(NORMAL)),
        End::Broken => (DisconnectReason::TransportError, None),
        End::Violated(violation) => (DisconnectReason::TransportError, Some(violation.code())),
        End::BadPacket => (DisconnectReason::PacketParsingError, Some(NORMAL)),
        End::Dead => (DisconnectReason::HeartbeatTimeout, Some(NORMAL)),
    };
    let outbox = socket.outbox();
    let is_cut = outbox.is_cut();
    sessions.close(socket.id, reason);
    if let (Some(code), false) = (code, is_cut) {
        let last_words = farewell(outbox, &mut connection, code);
        // Who does not listen is left.
        drop(timeout(FAREWELL, last_words).await);
    }
}

async fn talk<H: EngineIoHandler>(
    sessions: &Sessions<H>,
    socket: &Arc<Socket<H::Data>>,
    connection: &mut Connection,
) -> End {
    let outbox = socket.outbox();
    let mut timer = pin!(sleep_until(socket.next_beat(clock::now()).into()));
    loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(Err(_)) = outbox.poll_write(cx) {
                return Poll::Ready(Some(Err(End::Broken)));
            }
            if outbox.is_closed() {
                return Poll::Ready(Some(Err(End::Closed)));
            }
            match connection.poll_next(cx) {
                Poll::Ready(next) => Poll::Ready(Some(next)),
                Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
            }
        });
        match next.await {
            Some(Ok(said)) => {
                if let Err(end) = hear(sessions, socket, said) {
                    return end;
                }
                // A client that never stops talking must not keep others from it.
                tokio::task::coop::consume_budget().await;
            }
            Some(Err(end)) => return end,
            None if socket.beat(clock::now()) => {
                let next = socket.next_beat(clock::now());
                timer.as_mut().reset(next.into());
            }
            None => return End::Dead,
        }
    }
}

fn hear<H: EngineIoHandler>(
    sessions: &Sessions<H>,
    socket: &Arc<Socket<H::Data>>,
    said: Said,
) -> Result<(), End> {
    match said {
        Said::Text(text) => match text.as_bytes().first() {
            Some(b'4') => {
                let message = Str::from(text).slice(1..);
                sessions.handler.on_message(message, Arc::clone(socket));
            }
            Some(b'2' | b'3') => {
                socket.answered();
            }
            Some(b'1') => return Err(End::Closed),
            _ => return Err(End::BadPacket),
        },
        Said::Binary(data) => sessions.handler.on_binary(data, Arc::clone(socket)),
        // Who pings and does not read is answered no more.
        Said::Ping(payload) if socket.outbox().room() == Sent::Yes => {
            socket.outbox().say(&frame::pong(&payload));
        }
        Said::Ping(_) => {}
        Said::Pong => {}
        Said::Close => return Err(End::Closed),
    }
    Ok(())
}

/// What waits, and the end; after that the session has ended. Then until the client has said goodbye, too: a connection that closes on what
/// was not read takes along what the client has not read yet.
async fn farewell(outbox: &Outbox, connection: &mut Connection, code: u16) {
    outbox.say_last(&frame::close(code));
    let written = poll_fn(|cx| outbox.poll_write(cx)).await;
    connection.end();
    outbox.end();
    if written.is_ok() {
        while connection.next_bytes().await {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 §1.3.
    #[test]
    fn a_handshakes_key_is_answered_as_the_rfc_says() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let wanted = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accepted(&key), Some(wanted));
    }
}
