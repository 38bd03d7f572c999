//! What a handshake leaves in memory: Engine.IO keeps the whole head of the request that began a session for as long as the session lives,
//! and a head as hyper read it holds hyper's buffer of 8 KiB. So it gets a copy of the few parts that are looked at later.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use engineioxide::Stream;
use hyper::upgrade::OnUpgrade;

/// Who the client is, and what Engine.IO reads.
const KEPT: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_TYPE,
    header::SEC_WEBSOCKET_KEY,
];

/// The same request for Engine.IO, on memory of its own. Others pass as they are.
pub(super) fn lean(request: Request) -> Request {
    if !request.uri().path().starts_with("/socket.io") {
        return request;
    }
    let (mut head, body) = request.into_parts();
    if let Ok(uri) = head.uri.to_string().parse::<Uri>() {
        head.uri = uri;
    }
    let mut headers = HeaderMap::with_capacity(2);
    for name in KEPT {
        for value in head.headers.get_all(&name) {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.append(name.clone(), value);
            }
        }
    }
    head.headers = headers;
    let mut extensions = axum::http::Extensions::new();
    if let Some(stream) = head.extensions.remove::<Arc<Stream>>() {
        extensions.insert(stream);
    }
    if let Some(upgrade) = head.extensions.remove::<OnUpgrade>() {
        extensions.insert(upgrade);
    }
    head.extensions = extensions;
    Request::from_parts(head, body)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(uri: &'static str) -> Request {
        Request::builder()
            .uri(uri)
            .header(header::COOKIE, "a=1")
            .header(header::COOKIE, "b=2")
            .header(header::USER_AGENT, "a long story")
            .header(header::SEC_WEBSOCKET_KEY, "key")
            .body(Body::empty())
            .unwrap()
    }

    #[test]
    fn a_handshake_keeps_what_is_looked_at_later() {
        let uri = "/socket.io/?EIO=4&transport=websocket&sid=x%20y";
        let lean = lean(request(uri));
        assert_eq!(lean.uri().to_string(), uri);
        let cookies: Vec<_> = lean.headers().get_all(header::COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(lean.headers()[header::SEC_WEBSOCKET_KEY], "key");
        assert_eq!(lean.headers().len(), 3);
    }

    #[test]
    fn other_requests_pass_whole() {
        assert_eq!(lean(request("/api/instance")).headers().len(), 4);
    }
}
