//! A cheap connection: thousands of them in one process. WebSockets by tungstenite with small buffers, polling by reqwest.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

const BUFFER_BYTES: usize = 4 * 1024;
/// Packets in polling bodies are separated by this.
const RECORD_SEPARATOR: char = '\u{1e}';
/// Packets of one poll that wait for the client.
const POLLED_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    Polling,
}

pub(super) enum Wire {
    WebSocket(Box<WebSocketStream<TcpStream>>),
    Polling(Polling),
}

pub(super) struct Polling {
    http: reqwest::Client,
    url: String,
    incoming: mpsc::Receiver<Result<String, String>>,
    reader: JoinHandle<()>,
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Wire {
    /// Opens a transport. The first packet is the handshake.
    pub(super) async fn open(
        transport: Transport,
        address: SocketAddr,
        receive_buffer_bytes: Option<u32>,
        http: &reqwest::Client,
    ) -> Result<Self, String> {
        match transport {
            Transport::WebSocket => open_websocket(address, receive_buffer_bytes).await,
            Transport::Polling => open_polling(address, http).await,
        }
    }

    /// The next packet. Losing interest halfway loses nothing.
    pub(super) async fn next(&mut self) -> Result<String, String> {
        match self {
            Self::WebSocket(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                    Some(Ok(Message::Close(frame))) => {
                        return Err(
                            frame.map_or("close".into(), |frame| format!("close {}", frame.code))
                        );
                    }
                    Some(Ok(_other)) => {}
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("end of stream".to_owned()),
                }
            },
            Self::Polling(polling) => {
                let packet = polling.incoming.recv().await;
                packet.unwrap_or_else(|| Err("the poll ended".to_owned()))
            }
        }
    }

    pub(super) async fn send(&mut self, packet: String) -> Result<(), String> {
        match self {
            Self::WebSocket(socket) => {
                let sent = socket.send(Message::text(packet)).await;
                sent.map_err(|error| error.to_string())
            }
            Self::Polling(polling) => polling.post(packet).await,
        }
    }
}

async fn open_websocket(
    address: SocketAddr,
    receive_buffer_bytes: Option<u32>,
) -> Result<Wire, String> {
    let connect = async {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        std::io::Result::Ok(stream)
    };
    let stream = connect.await.map_err(|error| error.to_string())?;
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0);
    let (socket, _answer) = client_async_with_config(url, stream, Some(config))
        .await
        .map_err(|error| error.to_string())?;
    Ok(Wire::WebSocket(Box::new(socket)))
}

async fn open_polling(address: SocketAddr, http: &reqwest::Client) -> Result<Wire, String> {
    let url = format!("http://{address}/socket.io/?EIO=4&transport=polling");
    let handshake = get(http, &url).await?;
    let open: Value = handshake
        .strip_prefix('0')
        .and_then(|json| serde_json::from_str(json).ok())
        .ok_or_else(|| format!("no handshake: {handshake}"))?;
    let url = format!("{url}&sid={}", open["sid"].as_str().unwrap_or_default());
    let (packets, incoming) = mpsc::channel(POLLED_MAX);
    let (client, poll_url) = (http.clone(), url.clone());
    let reader = tokio::spawn(async move {
        let mut body = Ok(handshake);
        loop {
            match body {
                Ok(text) => {
                    for packet in text.split(RECORD_SEPARATOR) {
                        if packets.send(Ok(packet.to_owned())).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    drop(packets.send(Err(error)).await);
                    return;
                }
            }
            body = get(&client, &poll_url).await;
        }
    });
    Ok(Wire::Polling(Polling {
        http: http.clone(),
        url,
        incoming,
        reader,
    }))
}

async fn get(http: &reqwest::Client, url: &str) -> Result<String, String> {
    let answer = http
        .get(url)
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(|error| error.to_string())?;
    if status == 200 {
        Ok(body)
    } else {
        Err(format!("HTTP {status}"))
    }
}

impl Polling {
    async fn post(&self, packet: String) -> Result<(), String> {
        let request = self.http.post(&self.url).body(packet);
        let request = request.header("content-type", "text/plain;charset=UTF-8");
        let answer = request.send().await.map_err(|error| error.to_string())?;
        match answer.status().as_u16() {
            200 => Ok(()),
            status => Err(format!("HTTP {status}")),
        }
    }
}
