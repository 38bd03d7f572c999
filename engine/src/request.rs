//! What a request asks for, and what is wrong with it.
//! ([errors](https://github.com/socketio/engine.io-protocol#http-long-polling): a status, a code and a text, as Node's server has them)

use engineioxide_core::{Sid, TransportType};
use http::{Method, Request, header};
use hyper::upgrade::OnUpgrade;

use crate::config::EngineIoConfig;

/// The protocol of Socket.IO clients from 3 on.
const PROTOCOL: &str = "4";

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A session, to be polled.
    Open,
    Poll(Sid),
    Post(Sid),
    /// A WebSocket: for a new session, or for one that was polled.
    WebSocket(Option<Sid>),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("Transport unknown")]
    UnknownTransport,
    #[error("Session ID unknown")]
    UnknownSession,
    #[error("Bad handshake method")]
    BadHandshakeMethod,
    #[error("Bad request")]
    BadRequest,
    #[error("Unsupported protocol version")]
    UnsupportedProtocolVersion,
}

impl Refused {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSession => 1,
            Self::BadHandshakeMethod => 2,
            Self::BadRequest => 3,
            Self::UnsupportedProtocolVersion => 5,
        }
    }
}

/// Reads the query and the method.
pub(crate) fn wish<B>(request: &Request<B>, config: &EngineIoConfig) -> Result<Wish, Refused> {
    let query = request.uri().query().unwrap_or_default();
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let transport = match value("transport") {
        Some("polling") => TransportType::Polling,
        Some("websocket") => TransportType::Websocket,
        _ => return Err(Refused::UnknownTransport),
    };
    if value("EIO") != Some(PROTOCOL) {
        return Err(Refused::UnsupportedProtocolVersion);
    }
    if !config.allowed_transport(transport) {
        return Err(Refused::UnknownTransport);
    }
    // One that cannot be read is none of ours, and does not ask for a new session.
    let sid = value("sid").map(|sid| sid.parse::<Sid>().map_err(|_| Refused::UnknownSession));
    match (transport, sid.transpose()?, request.method()) {
        (TransportType::Websocket, sid, &Method::GET) if is_upgrade(request) => {
            Ok(Wish::WebSocket(sid))
        }
        (TransportType::Polling, None, &Method::GET) => Ok(Wish::Open),
        (TransportType::Polling, Some(sid), &Method::GET) => Ok(Wish::Poll(sid)),
        (TransportType::Polling, Some(sid), &Method::POST) => Ok(Wish::Post(sid)),
        (_, None, method) if method != Method::GET => Err(Refused::BadHandshakeMethod),
        _ => Err(Refused::BadRequest),
    }
}

/// Whether it is a WebSocket's handshake (RFC 6455 §4.2.1). That it is one at all, HTTP has seen.
fn is_upgrade<B>(request: &Request<B>) -> bool {
    let key = request.headers().contains_key(header::SEC_WEBSOCKET_KEY);
    key && request.extensions().get::<OnUpgrade>().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: Method, query: &str) -> Result<Wish, Refused> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/socket.io/?{query}"))
            .header(header::SEC_WEBSOCKET_KEY, "key")
            .body(())
            .unwrap();
        // Of nothing: what is looked at is that it is there.
        let upgrade = hyper::upgrade::on(&mut request);
        request.extensions_mut().insert(upgrade);
        wish(&request, &EngineIoConfig::default())
    }

    #[test]
    fn requests_say_what_they_want() {
        let sid = Sid::new();
        let with = |transport: &str| format!("EIO=4&t=x&transport={transport}&sid={sid}");
        assert_eq!(ask(Method::GET, "EIO=4&transport=polling"), Ok(Wish::Open));
        assert_eq!(ask(Method::GET, &with("polling")), Ok(Wish::Poll(sid)));
        assert_eq!(ask(Method::POST, &with("polling")), Ok(Wish::Post(sid)));
        assert_eq!(
            ask(Method::GET, &with("websocket")),
            Ok(Wish::WebSocket(Some(sid)))
        );
        let new = "transport=websocket&EIO=4";
        assert_eq!(ask(Method::GET, new), Ok(Wish::WebSocket(None)));
    }

    #[test]
    fn what_is_wrong_is_said_as_nodes_server_says_it() {
        for (method, query, refused) in [
            (Method::GET, "", Refused::UnknownTransport),
            (
                Method::GET,
                "EIO=4&transport=smoke",
                Refused::UnknownTransport,
            ),
            (
                Method::GET,
                "EIO=3&transport=polling",
                Refused::UnsupportedProtocolVersion,
            ),
            (
                Method::GET,
                "transport=polling",
                Refused::UnsupportedProtocolVersion,
            ),
            (
                Method::POST,
                "EIO=4&transport=polling",
                Refused::BadHandshakeMethod,
            ),
            (
                Method::PUT,
                "EIO=4&transport=polling",
                Refused::BadHandshakeMethod,
            ),
            (
                Method::GET,
                "EIO=4&transport=polling&sid=x",
                Refused::UnknownSession,
            ),
            (
                Method::POST,
                "EIO=4&transport=websocket",
                Refused::BadHandshakeMethod,
            ),
        ] {
            assert_eq!(ask(method, query), Err(refused), "{query}");
        }
    }

    #[test]
    fn a_websocket_without_its_handshake_is_a_bad_request() {
        let request = Request::get("/socket.io/?EIO=4&transport=websocket");
        let request = request.body(()).unwrap();
        let wish = wish(&request, &EngineIoConfig::default());
        assert_eq!(wish, Err(Refused::BadRequest));
    }
}
