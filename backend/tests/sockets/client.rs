//! A Socket.IO client by hand: Engine.IO 4 frames over a WebSocket, so that tests see every byte.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::http::{ask, get};

/// Nothing here takes that long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    acks: u64,
    /// Packets that came while another was awaited.
    early: Vec<Packet>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packet {
    Connected(Value),
    Refused(String),
    Event(String, Value),
    Ack(u64, Value),
    /// The server ends the namespace's connection; clients do not come back by themselves.
    Disconnected,
    /// The server closes the transport.
    Closed,
}

impl Client {
    /// Opens the transport and asks for the namespace.
    pub(crate) async fn open(address: SocketAddr, auth: &Value, cookie: Option<&str>) -> Self {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let mut request = url.into_client_request().unwrap();
        if let Some(cookie) = cookie {
            request
                .headers_mut()
                .insert("cookie", cookie.parse().unwrap());
        }
        let (stream, response) = connect_async(request).await.unwrap();
        assert!(response.headers().contains_key("x-berth-instance"));
        let mut client = Self {
            stream,
            acks: 0,
            early: Vec::new(),
        };
        let open = client.frame().await.unwrap();
        assert!(open.starts_with("0{"), "{open}");
        client.raw(&format!("40{auth}")).await;
        client
    }

    /// One that has moved from polling to a WebSocket, and has asked to be let in before that.
    pub(crate) async fn upgraded(address: SocketAddr, cookie: &str) -> Self {
        let url = format!("http://{address}/socket.io/?EIO=4&transport=polling");
        let open = get(&url, Some(cookie)).await.body;
        let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        let sid = open["sid"].as_str().unwrap();
        let session = format!("{url}&sid={sid}");
        assert_eq!(ask(&session, "POST", None, "", "40").await.body, "ok");
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket&sid={sid}");
        let (stream, _response) = connect_async(url).await.unwrap();
        let mut client = Self {
            stream,
            acks: 0,
            early: Vec::new(),
        };
        client.raw("2probe").await;
        assert_eq!(client.frame().await.as_deref(), Some("3probe"));
        client.raw("5").await;
        client
    }

    /// A client that was let in and welcomed.
    pub(crate) async fn guest(address: SocketAddr) -> Self {
        let mut client = Self::open(address, &json!({}), None).await;
        client.welcome().await;
        client
    }

    pub(crate) async fn welcome(&mut self) -> Value {
        let connected = self
            .until(|packet| matches!(packet, Packet::Connected(_)))
            .await;
        assert!(matches!(connected, Packet::Connected(_)));
        self.event("welcome").await
    }

    pub(crate) async fn raw(&mut self, text: &str) {
        self.stream
            .send(Message::text(text.to_owned()))
            .await
            .unwrap();
    }

    pub(crate) async fn binary(&mut self, bytes: &[u8]) {
        self.stream
            .send(Message::binary(bytes.to_vec()))
            .await
            .unwrap();
    }

    pub(crate) async fn emit(&mut self, arguments: &Value) {
        self.raw(&format!("42{arguments}")).await;
    }

    /// Emits with an ack; answers its number.
    pub(crate) async fn ask(&mut self, arguments: &Value) -> u64 {
        self.acks += 1;
        let number = self.acks;
        self.raw(&format!("42{number}{arguments}")).await;
        number
    }

    /// Emits with an ack and waits for it.
    pub(crate) async fn call(&mut self, arguments: &Value) -> Value {
        let number = self.ask(arguments).await;
        self.ack(number).await
    }

    pub(crate) async fn ack(&mut self, number: u64) -> Value {
        match self
            .until(|packet| matches!(packet, Packet::Ack(id, _) if *id == number))
            .await
        {
            Packet::Ack(_, answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// The next event of that name: its first argument.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        match self
            .until(|packet| matches!(packet, Packet::Event(event, _) if event == name))
            .await
        {
            Packet::Event(_, body) => body,
            other => panic!("{other:?}"),
        }
    }

    /// The first packet that fits; the others wait for their turn.
    pub(crate) async fn until(&mut self, fits: impl Fn(&Packet) -> bool) -> Packet {
        if let Some(index) = self.early.iter().position(&fits) {
            return self.early.remove(index);
        }
        loop {
            let packet = self.next().await;
            if fits(&packet) {
                return packet;
            }
            assert_ne!(
                packet,
                Packet::Closed,
                "closed while waiting; before: {:?}",
                self.early
            );
            self.early.push(packet);
        }
    }

    /// Everything that came but was not asked for, in order.
    pub(crate) fn rest(&self) -> &[Packet] {
        &self.early
    }

    async fn next(&mut self) -> Packet {
        loop {
            let Some(frame) = self.frame().await else {
                return Packet::Closed;
            };
            match frame.as_str() {
                "2" => {
                    // A server that hung up meanwhile does not hear it: what it said before is still to be read.
                    let _heard = self.stream.send(Message::text("3")).await;
                }
                "1" => return Packet::Closed,
                frame => return parse(frame),
            }
        }
    }

    async fn frame(&mut self) -> Option<String> {
        let next = tokio::time::timeout(DEADLINE, self.stream.next());
        match next.await.expect("nothing came in time") {
            Some(Ok(Message::Text(text))) => Some(text.as_str().to_owned()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            other => panic!("{other:?}"),
        }
    }
}

fn parse(frame: &str) -> Packet {
    if let Some(body) = frame.strip_prefix("40") {
        return Packet::Connected(serde_json::from_str(body).unwrap());
    }
    if frame == "41" {
        return Packet::Disconnected;
    }
    if let Some(body) = frame.strip_prefix("44") {
        let body: Value = serde_json::from_str(body).unwrap();
        return Packet::Refused(body["message"].as_str().unwrap().to_owned());
    }
    if let Some(rest) = frame.strip_prefix("42") {
        let list: Vec<Value> = serde_json::from_str(rest).unwrap();
        let body = list.get(1).cloned().unwrap_or_default();
        return Packet::Event(list[0].as_str().unwrap().to_owned(), body);
    }
    if let Some(rest) = frame.strip_prefix("43") {
        let (number, list) = rest.split_at(rest.find('[').unwrap());
        let list: Vec<Value> = serde_json::from_str(list).unwrap();
        assert_eq!(list.len(), 1, "an ack has one argument: {frame}");
        return Packet::Ack(number.parse().unwrap(), list[0].clone());
    }
    panic!("unexpected frame {frame}")
}
