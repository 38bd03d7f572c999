//! The polling transport: the client asks for what waits, and posts what it says.
//! ([protocol](https://socket.io/docs/v4/engine-io-protocol/#http-long-polling))

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use engineioxide_core::{Packet, ProtocolVersion, Sid, TransportType, payload};
use futures_util::StreamExt as _;
use http::request::Parts;
use http::{Request, StatusCode, header};
use http_body::Body;
use tokio::time::sleep_until;

use crate::answer::{self, Answer};
use crate::clock;
use crate::handler::EngineIoHandler;
use crate::outbox::{Kept, Outbox};
use crate::request::Refused;
use crate::sessions::Sessions;
use crate::socket::{DisconnectReason, Socket};

/// Begins a session.
pub(crate) fn open<H: EngineIoHandler>(sessions: &Arc<Sessions<H>>, request: Parts) -> Answer {
    let socket = sessions.begin(request, None);
    let opened = socket.outbox().take_payload(payload_bytes_max(sessions));
    tokio::spawn(keep(Arc::clone(sessions), socket));
    answer::text(opened)
}

/// Answers with what waits, as soon as something does.
pub(crate) async fn poll<H: EngineIoHandler>(sessions: Arc<Sessions<H>>, id: Sid) -> Answer {
    let socket = match polled(&sessions, id) {
        Ok(socket) => socket,
        Err(why) => return answer::refused(why),
    };
    let outbox = socket.outbox();
    if outbox.begin_poll().is_err() {
        socket.close(DisconnectReason::MultipleHttpPollingError);
        return answer::empty(StatusCode::BAD_REQUEST);
    }
    let _polling = Polling(outbox);
    let bytes_max = payload_bytes_max(&sessions);
    match poll_fn(|cx| outbox.poll_payload(cx, bytes_max)).await {
        Ok(payload) => answer::text(payload),
        // The client begins anew.
        Err(_) => answer::refused(Refused::UnknownSession),
    }
}

/// Takes what the client says.
pub(crate) async fn post<H, B>(sessions: Arc<Sessions<H>>, id: Sid, request: Request<B>) -> Answer
where
    H: EngineIoHandler,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: std::fmt::Debug,
{
    let socket = match polled(&sessions, id) {
        Ok(socket) => socket,
        Err(why) => return answer::refused(why),
    };
    let (head, body) = request.into_parts();
    let media_type = head.headers.get(header::CONTENT_TYPE);
    let bytes_max = sessions.config.max_payload;
    let packets = payload::decoder(body, media_type, ProtocolVersion::V4, bytes_max);
    let mut packets = pin!(packets);
    while let Some(packet) = packets.next().await {
        match packet {
            Ok(Packet::Message(message)) => {
                sessions.handler.on_message(message, Arc::clone(&socket))
            }
            Ok(Packet::Binary(data)) => sessions.handler.on_binary(data, Arc::clone(&socket)),
            Ok(Packet::Pong | Packet::Ping) => socket.answered(),
            Ok(Packet::Close) => {
                sessions.close(id, DisconnectReason::TransportClose);
                break;
            }
            Err(engineioxide_core::PacketParseError::PayloadTooLarge { .. }) => {
                sessions.close(id, DisconnectReason::PacketParsingError);
                return answer::empty(StatusCode::PAYLOAD_TOO_LARGE);
            }
            Ok(_) | Err(_) => {
                sessions.close(id, DisconnectReason::PacketParsingError);
                return answer::empty(StatusCode::BAD_REQUEST);
            }
        }
    }
    answer::text("ok")
}

fn polled<H: EngineIoHandler>(
    sessions: &Sessions<H>,
    id: Sid,
) -> Result<Arc<Socket<H::Data>>, Refused> {
    let socket = sessions.get(id).ok_or(Refused::UnknownSession)?;
    match socket.transport_type() {
        TransportType::Polling => Ok(socket),
        TransportType::Websocket => Err(Refused::BadRequest),
    }
}

fn payload_bytes_max<H: EngineIoHandler>(sessions: &Sessions<H>) -> usize {
    usize::try_from(sessions.config.max_payload).unwrap_or(usize::MAX)
}

/// A poll, until it is answered or its client has gone.
struct Polling<'a>(&'a Outbox);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.end_poll();
    }
}

/// Keeps a session alive, and says when it is dead, until it ends or is a WebSocket's.
async fn keep<H: EngineIoHandler>(sessions: Arc<Sessions<H>>, socket: Arc<Socket<H::Data>>) {
    let outbox = socket.outbox();
    let mut timer = pin!(sleep_until(socket.next_beat(clock::now()).into()));
    loop {
        let kept = poll_fn(|cx| match outbox.poll_kept(cx) {
            Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
            Poll::Ready(kept) => Poll::Ready(Some(kept)),
        });
        match kept.await {
            Some(Kept::Elsewhere) => return,
            Some(Kept::Closed) => break,
            None if socket.beat(clock::now()) => {
                let next = socket.next_beat(clock::now());
                timer.as_mut().reset(next.into());
            }
            None => sessions.close(socket.id, DisconnectReason::HeartbeatTimeout),
        }
    }
    sessions.close(socket.id, DisconnectReason::TransportClose);
    poll_fn(|cx| outbox.poll_unpolled(cx)).await;
    outbox.end();
}
