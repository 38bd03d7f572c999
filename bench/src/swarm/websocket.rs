//! Exchanges over WebSockets: a message and its echo, or a whole WebSocket up to its first message.

use super::channel::Channel;
use super::drive::{Next, Scene, Session};
use super::tally::Failure;
use crate::{frame, handshake, head};

/// At least; a message of 64 KiB gets a buffer that takes it in one read.
const BUFFER_BYTES_MIN: usize = 1024;
const BUFFER_BYTES_MAX: usize = 128 * 1024;
/// Chosen once: a mask protects browsers' users from clever pages, and there are none here.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0xe8];

pub(crate) struct WebSocket {
    channel: Channel,
}

impl WebSocket {
    pub(crate) async fn open(
        scene: &Scene,
        index: usize,
        buffer_bytes: usize,
    ) -> Result<Self, Failure> {
        let target = &scene.target;
        let stream = target.connect(index).await;
        let stream = stream.map_err(|_| Failure::Connect)?;
        let buffer_bytes = buffer_bytes.clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
        let mut channel = Channel::new(stream, buffer_bytes);
        channel
            .write(&handshake::request(
                &target.host,
                &target.path,
                &target.fields,
            ))
            .await?;
        let end = loop {
            if let Some(end) = head::end(channel.bytes()) {
                break end;
            }
            channel.more().await?;
        };
        let answer = &channel.bytes()[..end];
        if head::status(answer) != Some(101) {
            return Err(Failure::Status);
        }
        if head::field(answer, "sec-websocket-accept") != Some(handshake::ACCEPT.as_bytes()) {
            return Err(Failure::Wrong);
        }
        channel.take(end);
        Ok(Self { channel })
    }

    pub(crate) async fn send(&mut self, frame: &[u8]) -> Result<(), Failure> {
        Ok(self.channel.write(frame).await?)
    }

    /// The header of the next frame; its payload is still to be read.
    async fn header(&mut self) -> Result<frame::Header, Failure> {
        loop {
            let header = frame::read(self.channel.bytes()).map_err(|_| Failure::Wrong)?;
            if let Some(header) = header {
                return Ok(header);
            }
            self.channel.more().await?;
        }
    }

    /// Passes the next message by, which must have this length.
    pub(crate) async fn skip(&mut self, payload_bytes: Option<usize>) -> Result<(), Failure> {
        let header = self.header().await?;
        if header.opcode == frame::CLOSE {
            return Err(Failure::Closed);
        }
        if payload_bytes.is_some_and(|expected| expected != header.payload_bytes) {
            return Err(Failure::Wrong);
        }
        self.channel.discard(header.frame_bytes()).await?;
        Ok(())
    }

    /// The next message, for as long as it is looked at.
    pub(crate) async fn receive<T>(
        &mut self,
        look: impl FnOnce(u8, &[u8]) -> T,
    ) -> Result<T, Failure> {
        let header = self.header().await?;
        while self.channel.bytes().len() < header.frame_bytes() {
            self.channel.more().await?;
        }
        let payload = &self.channel.bytes()[header.header_bytes..header.frame_bytes()];
        let seen = look(header.opcode, payload);
        self.channel.take(header.frame_bytes());
        Ok(seen)
    }
}

pub(crate) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame::client_frame(opcode, payload, MASK)
}

/// A message and its echo.
pub struct Echo {
    socket: WebSocket,
    message: Vec<u8>,
    payload: Vec<u8>,
    /// The first echo is compared byte by byte; later ones by their length.
    is_checked: bool,
}

impl Session for Echo {
    const NAME: &'static str = "ws-echo";

    async fn open(scene: &Scene, index: usize) -> Result<Self, Failure> {
        let length = scene.plan.message_bytes;
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        Ok(Self {
            socket: WebSocket::open(scene, index, length + BUFFER_BYTES_MIN).await?,
            message: client_frame(frame::BINARY, &payload),
            payload,
            is_checked: false,
        })
    }

    async fn once(&mut self) -> Result<Next, Failure> {
        self.socket.send(&self.message).await?;
        if self.is_checked {
            self.socket.skip(Some(self.payload.len())).await?;
            return Ok(Next::Same);
        }
        let expected = std::mem::take(&mut self.payload);
        let is_same = self.socket.receive(|_, payload| payload == expected);
        if !is_same.await? {
            return Err(Failure::Wrong);
        }
        self.payload = expected;
        self.is_checked = true;
        Ok(Next::Same)
    }
}

/// A WebSocket that is opened, waits for its first message and leaves. One whose message does not come was lost on the way.
pub struct Fresh {
    socket: WebSocket,
    is_greeted: bool,
}

impl Session for Fresh {
    const NAME: &'static str = "ws-open";

    async fn open(scene: &Scene, index: usize) -> Result<Self, Failure> {
        Ok(Self {
            socket: WebSocket::open(scene, index, BUFFER_BYTES_MIN).await?,
            is_greeted: scene.plan.is_greeted,
        })
    }

    async fn once(&mut self) -> Result<Next, Failure> {
        if !self.is_greeted {
            self.socket
                .send(&client_frame(frame::BINARY, b"hello"))
                .await?;
        }
        self.socket.skip(None).await?;
        Ok(Next::Reopen)
    }
}

/// A WebSocket that is held. What it sends, it sends when asked.
pub(crate) struct Held(pub(crate) WebSocket);

impl Session for Held {
    const NAME: &'static str = "ws-idle";

    async fn open(scene: &Scene, index: usize) -> Result<Self, Failure> {
        Ok(Self(WebSocket::open(scene, index, BUFFER_BYTES_MIN).await?))
    }

    async fn once(&mut self) -> Result<Next, Failure> {
        Ok(Next::Same)
    }
}
