//! One request on a connection of its own, and its whole answer, or the WebSocket that it became.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::doctor::dial::{Dialer, Stream};
use crate::doctor::seen::{Answer, Fault, Reply};
use crate::doctor::target::{Origin, Target};

/// What is read of an answer. Engine.IO's own are far smaller.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// So that an operator finds the examination in the access log.
const AGENT: &str = concat!("berth-doctor/", env!("CARGO_PKG_VERSION"));

pub(super) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// Asks in the name of one client. Cheap to copy.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) dialer: Dialer,
    pub(super) target: Target,
    pub(super) origin: Option<Origin>,
}

/// What to ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Question<'q> {
    pub(super) method: Method,
    pub(super) path: Option<&'q str>,
    pub(super) query: &'q str,
    pub(super) cookie: Option<String>,
    /// More headers.
    pub(super) headers: &'q [(&'static str, &'static str)],
    pub(super) body: Option<String>,
}

/// What a request for a WebSocket became.
pub(super) enum Opened {
    WebSocket(Box<WebSocket>),
    Refused(Answer),
}

/// Ends the connection's task with the request.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Asker {
    /// Asks and waits as long as the operator allows.
    pub(super) async fn ask(&self, question: Question<'_>) -> Reply {
        self.ask_within(self.dialer.patience, question).await
    }

    pub(super) async fn ask_within(&self, patience: Duration, question: Question<'_>) -> Reply {
        let request = self.request(question)?;
        let stream = self.dialer.dial().await?;
        let exchange = async {
            let (_driver, response) = send(stream, request).await?;
            whole(response).await
        };
        let reply = timeout(patience, exchange).await;
        reply.unwrap_or(Err(Fault::Silent(patience)))
    }

    pub(super) async fn open(&self, query: &str, cookie: Option<String>) -> Result<Opened, Fault> {
        let mut request = self.request(Question {
            query,
            cookie,
            ..Question::default()
        })?;
        let key = generate_key();
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, value(&key)?);
        let stream = self.dialer.dial().await?;
        let exchange = async {
            let (driver, response) = send(stream, request).await?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Opened::Refused(whole(response).await?));
            }
            let accept = response.headers().get("sec-websocket-accept");
            let expected = derive_accept_key(key.as_bytes());
            if accept.is_none_or(|accept| accept.as_bytes() != expected.as_bytes()) {
                return Err(Fault::Broken(
                    "101 with a wrong Sec-WebSocket-Accept".to_owned(),
                ));
            }
            let upgraded = hyper::upgrade::on(response).await.map_err(broken)?;
            drop(driver);
            let stream = TokioIo::new(upgraded);
            let websocket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
            Ok(Opened::WebSocket(Box::new(websocket)))
        };
        let patience = self.dialer.patience;
        let opened = timeout(patience, exchange).await;
        opened.unwrap_or(Err(Fault::Silent(patience)))
    }

    fn request(&self, question: Question<'_>) -> Result<Request<Full<Bytes>>, Fault> {
        let path = question.path.unwrap_or(&self.target.path);
        let mut request = Request::builder()
            .method(question.method)
            .uri(format!("{path}?{}", question.query))
            .body(Full::new(Bytes::from(question.body.unwrap_or_default())))
            .map_err(|error| Fault::Broken(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(HOST, value(&self.target.authority())?);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(cookie) = question.cookie {
            headers.insert(COOKIE, value(&cookie)?);
        }
        if let Some(origin) = &self.origin {
            headers.insert(ORIGIN, value(&origin.text)?);
        }
        if request.method() == Method::POST {
            let text = HeaderValue::from_static("text/plain;charset=UTF-8");
            request.headers_mut().insert(CONTENT_TYPE, text);
        }
        for (name, text) in question.headers {
            let name = HeaderName::from_static(name);
            let text = HeaderValue::from_static(text);
            request.headers_mut().insert(name, text);
        }
        Ok(request)
    }
}

fn value(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text).map_err(|error| Fault::Broken(error.to_string()))
}

async fn send(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<(Driver, http::Response<Incoming>), Fault> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // How it ends is seen by the request, too.
    let driver = Driver(tokio::spawn(async move {
        connection.with_upgrades().await.unwrap_or_default();
    }));
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok((driver, response))
}

async fn whole(response: http::Response<Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| Fault::Broken(format!("half an answer: {error}")))?;
    Ok(Answer {
        status: head.status.as_u16(),
        headers: texts(&head.headers),
        body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    })
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// In words for an operator; hyper's own name its insides.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn broken(error: hyper::Error) -> Fault {
    Fault::Broken(if error.is_parse() {
        "an answer that is no HTTP/1.1".to_owned()
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        "the connection was closed without an answer".to_owned()
    } else {
        "the connection broke".to_owned()
    })
}
