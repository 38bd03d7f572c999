//! Engine.IO 4 under the harness' client: how packets travel on a WebSocket and on long polling.
//!
//! It carries packets and answers nothing: what they mean is in `client`.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::http;

/// Packets in polling bodies are separated by this.
const RECORD_SEPARATOR: char = '\u{1e}';

/// How a client talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    WebSocket,
    Polling,
}

/// Packets that came in; the last one is why no more will come.
pub(crate) type Incoming = mpsc::UnboundedReceiver<Result<String, String>>;

pub(crate) enum Outgoing {
    WebSocket(futures_util::stream::SplitSink<Socket, Message>),
    Polling(Poll),
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) struct Poll {
    client: reqwest::Client,
    url: String,
    headers: Vec<(String, String)>,
}

pub(crate) struct Wire {
    pub(crate) outgoing: Outgoing,
    pub(crate) incoming: Incoming,
    /// What the handshake's answer carried, such as cookies.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) reader: Reader,
}

/// The task that reads packets. It holds a half of the connection, so it must not outlive the client.
pub(crate) struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wire {
    /// Opens a transport. The first incoming packet is the handshake, `0{…}`.
    pub(crate) async fn open(
        transport: Transport,
        address: &str,
        headers: &[(String, String)],
    ) -> Result<Self, String> {
        match transport {
            Transport::WebSocket => open_websocket(address, headers).await,
            Transport::Polling => open_polling(address, headers).await,
        }
    }
}

impl Outgoing {
    pub(crate) async fn send(&mut self, packet: String) -> Result<(), String> {
        match self {
            Self::WebSocket(sink) => sink
                .send(Message::text(packet))
                .await
                .map_err(|error| error.to_string()),
            Self::Polling(poll) => poll.post(packet).await,
        }
    }

    /// Closes a WebSocket politely. Polling has nothing to close.
    pub(crate) async fn close(&mut self) -> Result<(), String> {
        match self {
            Self::WebSocket(sink) => sink.close().await.map_err(|error| error.to_string()),
            Self::Polling(poll) => poll.post("1".to_owned()).await,
        }
    }
}

async fn open_websocket(address: &str, headers: &[(String, String)]) -> Result<Wire, String> {
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let mut request = url
        .into_client_request()
        .map_err(|error| error.to_string())?;
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        let value = HeaderValue::from_str(value).expect("a header value");
        request.headers_mut().append(name, value);
    }
    let (socket, answer) = connect_async(request).await.map_err(|error| match error {
        Error::Http(answer) => format!("HTTP {}", answer.status().as_u16()),
        other => other.to_string(),
    })?;
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into(),
            )
        })
        .collect();
    let (outgoing, mut stream) = socket.split();
    let (packets, incoming) = mpsc::unbounded_channel();
    let reader = tokio::spawn(async move {
        let end = loop {
            match stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    if packets.send(Ok(text.to_string())).is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    break frame.map_or("close".into(), |frame| format!("close {}", frame.code));
                }
                Some(Ok(_other)) => {}
                Some(Err(error)) => break error.to_string(),
                None => break "end of stream".to_owned(),
            }
        };
        drop(packets.send(Err(end)));
    });
    Ok(Wire {
        outgoing: Outgoing::WebSocket(outgoing),
        incoming,
        headers,
        reader: Reader(reader),
    })
}

async fn open_polling(address: &str, headers: &[(String, String)]) -> Result<Wire, String> {
    let url = format!("http://{address}/socket.io/?EIO=4&transport=polling");
    let mut poll = Poll {
        client: reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("an HTTP client"),
        url,
        headers: headers.to_vec(),
    };
    let (handshake, headers) = poll.get().await?;
    let open: serde_json::Value = handshake
        .strip_prefix('0')
        .and_then(|json| serde_json::from_str(json).ok())
        .ok_or_else(|| format!("no handshake: {handshake}"))?;
    poll.url = format!(
        "{}&sid={}",
        poll.url,
        open["sid"].as_str().unwrap_or_default()
    );
    poll.keep_cookies(&headers);
    let (packets, incoming) = mpsc::unbounded_channel();
    drop(packets.send(Ok(handshake)));
    let same = poll.same();
    let reader = tokio::spawn(async move {
        loop {
            let answer = same.get().await;
            let is_end = answer.is_err();
            let bodies = answer.map(|(body, _)| body);
            let sent = match bodies {
                Ok(body) => body
                    .split(RECORD_SEPARATOR)
                    .try_for_each(|packet| packets.send(Ok(packet.to_owned()))),
                Err(error) => packets.send(Err(error)),
            };
            if is_end || sent.is_err() {
                return;
            }
        }
    });
    Ok(Wire {
        outgoing: Outgoing::Polling(poll),
        incoming,
        headers,
        reader: Reader(reader),
    })
}

impl Poll {
    fn same(&self) -> Self {
        Self {
            client: self.client.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
        }
    }

    fn keep_cookies(&mut self, answer: &[(String, String)]) {
        let pairs = answer
            .iter()
            .filter(|(name, _)| name == "set-cookie")
            .filter_map(|(_, value)| value.split(';').next().map(str::to_owned));
        for pair in pairs {
            self.headers.push(("cookie".to_owned(), pair));
        }
    }

    fn with_headers(&self, mut request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    async fn get(&self) -> Result<(String, Vec<(String, String)>), String> {
        let request = self.with_headers(self.client.get(&self.url));
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into(),
                )
            })
            .collect();
        let body = answer.text().await.map_err(|error| error.to_string())?;
        if status.is_success() {
            Ok((body, headers))
        } else {
            Err(format!("HTTP {}: {body}", status.as_u16()))
        }
    }

    async fn post(&self, packet: String) -> Result<(), String> {
        let request = self.with_headers(self.client.post(&self.url).body(packet));
        let answer = request
            .header("content-type", "text/plain;charset=UTF-8")
            .timeout(http::DEADLINE)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(format!("HTTP {}", answer.status().as_u16()))
        }
    }
}
