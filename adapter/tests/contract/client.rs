//! A Socket.IO client on a WebSocket, as small as the tests need it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value as Json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::soon;

pub(crate) struct Client {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    namespace: String,
    pub(crate) id: String,
    events: VecDeque<Event>,
    acks: VecDeque<Json>,
    next_ack: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// The name and the arguments.
    pub(crate) data: Json,
    pub(crate) attachments: Vec<Vec<u8>>,
}

impl Event {
    pub(crate) fn text(data: Json) -> Self {
        Self {
            data,
            attachments: Vec::new(),
        }
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, namespace: &str) -> Self {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (stream, _response) = soon("the WebSocket", tokio_tungstenite::connect_async(url))
            .await
            .unwrap();
        let mut client = Self {
            stream,
            namespace: namespace.to_owned(),
            id: String::new(),
            events: VecDeque::new(),
            acks: VecDeque::new(),
            next_ack: 0,
        };
        client.send(format!("40{}", client.prefix())).await;
        soon("the connection to the namespace", client.connected()).await;
        client
    }

    /// Has the server put this client into a room, and waits until it is there.
    pub(crate) async fn join(&mut self, room: &str) {
        self.call("join", room).await;
    }

    /// Emits an event with one argument and waits for the acknowledgement.
    pub(crate) async fn call(&mut self, event: &str, argument: impl Into<Json>) -> Json {
        let ack = self.next_ack;
        self.next_ack += 1;
        let data = Json::from(vec![Json::from(event), argument.into()]);
        self.send(format!("42{}{ack}{data}", self.prefix())).await;
        soon("the acknowledgement", async {
            loop {
                if let Some(ack) = self.acks.pop_front() {
                    return ack;
                }
                self.read().await;
            }
        })
        .await
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Event {
        soon("the next event", async {
            loop {
                if let Some(event) = self.events.pop_front() {
                    return event;
                }
                self.read().await;
            }
        })
        .await
    }

    /// Answers the next event, which has to ask for it.
    pub(crate) async fn acknowledge(&mut self, answer: &Json) {
        let prefix = self.prefix();
        let packet = soon("an event that wants an answer", self.packet()).await;
        let rest = packet.strip_prefix(&format!("42{prefix}")).unwrap();
        let (id, _event) = rest.split_at(rest.find('[').unwrap());
        self.send(format!("43{prefix}{id}{answer}")).await;
    }

    /// Reads until the server ends the connection to the namespace.
    pub(crate) async fn disconnected(&mut self) {
        let farewell = format!("41{}", self.prefix());
        soon("the disconnection", async {
            while !self.packet().await.starts_with(&farewell) {}
        })
        .await;
    }

    /// How packets name the namespace; the root one has no name.
    fn prefix(&self) -> String {
        match self.namespace.as_str() {
            "/" => String::new(),
            other => format!("{other},"),
        }
    }

    async fn connected(&mut self) {
        let welcome = format!("40{}", self.prefix());
        loop {
            if let Some(body) = self.packet().await.strip_prefix(&welcome) {
                let body: Json = serde_json::from_str(body).unwrap();
                self.id = body["sid"].as_str().unwrap().to_owned();
                return;
            }
        }
    }

    async fn read(&mut self) {
        let packet = self.packet().await;
        let Some(packet) = packet.strip_prefix('4') else {
            return;
        };
        let (kind, rest) = packet.split_at(1);
        let (attachments, rest) = match kind {
            "5" => {
                let (count, rest) = rest.split_once('-').unwrap();
                (count.parse().unwrap(), rest)
            }
            _ => (0, rest),
        };
        let rest = rest.strip_prefix(&self.prefix()).unwrap();
        let data = serde_json::from_str(&rest[rest.find('[').unwrap()..]).unwrap();
        if kind == "3" {
            self.acks.push_back(data);
            return;
        }
        let mut event = Event::text(data);
        while event.attachments.len() < attachments {
            match self.stream.next().await.unwrap().unwrap() {
                Message::Binary(bytes) => event.attachments.push(bytes.to_vec()),
                other => panic!("{other:?} instead of an attachment"),
            }
        }
        self.events.push_back(event);
    }

    /// The next Engine.IO packet that is not a ping.
    async fn packet(&mut self) -> String {
        loop {
            match self
                .stream
                .next()
                .await
                .expect("the server closed")
                .unwrap()
            {
                Message::Text(text) if text.as_str() == "2" => self.send("3".into()).await,
                Message::Text(text) => return text.to_string(),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    async fn send(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }
}
