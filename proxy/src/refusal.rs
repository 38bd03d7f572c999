//! Every answer that the proxy gives by itself: one table of status, metric label and words for the log.
//!
//! Nothing else in the proxy writes an error response.

use crate::headers::push_field;

/// Why a request gets no answer from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The head breaks HTTP/1.1 or is ambiguous. The word says which rule.
    BadRequest(&'static str),
    /// On a port for TLS.
    PlainHttp,
    HeadTooLarge,
    HeadTimeout,
    BodyTimeout,
    BodyTooSlow,
    BodyTooLarge,
    /// No route for this host and path.
    NoRoute,
    TooManyConnections,
    /// From one address.
    TooManyOfClient,
    TooManyFields,
    /// An HTTP/2 client cancels requests faster than they end.
    TooManyStreams,
    /// More Engine.IO sessions begin than the upstream's rates allow.
    HandshakeLimited {
        retry_after_seconds: u64,
    },
    /// Every server is down or out.
    NoServer,
    /// The server that an Engine.IO session lives on is down, out or removed.
    SessionGone,
    /// The servers that were tried failed.
    BadGateway,
    /// The last server that was tried did not answer in time.
    GatewayTimeout,
    /// The proxy itself failed, for example ran out of files or ports.
    Internal,
}

impl Refusal {
    #[must_use]
    pub fn status(self) -> u16 {
        self.row().0
    }

    /// The metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.row().1
    }

    /// The words for the log.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::BadRequest(why) => why,
            _ => self.row().2,
        }
    }

    fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadRequest(_) => (400, "bad_request", "bad request"),
            Self::PlainHttp => (
                400,
                "plain_http",
                "the plain HTTP request was sent to HTTPS port",
            ),
            Self::SessionGone => (400, "session_gone", "the server of this session is gone"),
            Self::HeadTimeout => (
                408,
                "head_timeout",
                "the request head did not arrive in time",
            ),
            Self::BodyTimeout => (
                408,
                "body_timeout",
                "the request body did not arrive in time",
            ),
            Self::BodyTooSlow => (
                408,
                "body_too_slow",
                "the request body is sent more slowly than body_rate_min",
            ),
            Self::BodyTooLarge => (
                413,
                "body_too_large",
                "the request body is larger than body_bytes_max",
            ),
            Self::HeadTooLarge => (
                431,
                "head_too_large",
                "the request head is larger than head_bytes_max",
            ),
            Self::TooManyFields => (
                431,
                "too_many_fields",
                "the request head has more than head_fields_max fields",
            ),
            Self::TooManyOfClient => (
                429,
                "too_many_of_client",
                "connections_per_client_max is reached",
            ),
            Self::NoRoute => (404, "no_route", "no route for this host and path"),
            Self::TooManyConnections => (503, "too_many_connections", "connections_max is reached"),
            Self::TooManyStreams => (
                503,
                "too_many_streams",
                "the client cancels requests faster than they end",
            ),
            Self::HandshakeLimited { .. } => (
                503,
                "handshake_limited",
                "more sessions begin than the rate allows",
            ),
            Self::NoServer => (502, "no_live_upstreams", "no live upstreams"),
            Self::BadGateway => (502, "bad_gateway", "the servers that were tried failed"),
            Self::GatewayTimeout => (504, "gateway_timeout", "the server did not answer in time"),
            Self::Internal => (500, "internal", "the proxy could not open a connection"),
        }
    }

    #[must_use]
    pub fn reason_phrase(self) -> &'static str {
        match self.status() {
            400 => "Bad Request",
            404 => "Not Found",
            408 => "Request Timeout",
            413 => "Content Too Large",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "Internal Server Error",
        }
    }

    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::SessionGone => "application/json",
            _ => "text/plain",
        }
    }

    /// The fields by which a browser lets a page of this `Origin` read the answer: only where the page's code acts on
    /// it, as Engine.IO clients do on a lost session, or would look for another reason. The answer says nothing that a page may not know.
    #[must_use]
    pub fn cross_origin_fields(self, origin: &str) -> Vec<(&'static str, &str)> {
        let mut fields = vec![
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Vary", "Origin"),
        ];
        match self {
            Self::SessionGone => {}
            // Clients act on any failure alike, but a person at the browser's console should not hunt a CORS error.
            Self::HandshakeLimited { .. } => {
                fields.push(("Access-Control-Expose-Headers", "Retry-After"));
            }
            _ => fields.clear(),
        }
        fields
    }

    /// When it makes sense to ask again, if that is known.
    #[must_use]
    pub fn retry_after_seconds(self) -> Option<u64> {
        match self {
            Self::TooManyConnections | Self::TooManyOfClient | Self::TooManyStreams => Some(1),
            Self::HandshakeLimited {
                retry_after_seconds,
            } => Some(retry_after_seconds),
            _ => None,
        }
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(self) -> String {
        if self == Self::SessionGone {
            // Word for word what Engine.IO servers say, so that clients act on it.
            return r#"{"code":1,"message":"Session ID unknown"}"#.to_owned();
        }
        if self == Self::PlainHttp {
            // nginx's words, which people search for.
            return "The plain HTTP request was sent to HTTPS port\n".to_owned();
        }
        format!("{} {}\n", self.status(), self.reason_phrase())
    }

    /// The whole answer to a request of this `Origin`; the connection ends with it.
    #[must_use]
    pub fn to_bytes(self, origin: Option<&str>) -> Vec<u8> {
        let body = self.body();
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            self.status(),
            self.reason_phrase(),
            self.content_type(),
            body.len(),
        )
        .into_bytes();
        if let Some(seconds) = self.retry_after_seconds() {
            push_field(&mut head, "Retry-After", seconds.to_string().as_bytes());
        }
        for (name, value) in origin.map_or_else(Vec::new, |origin| self.cross_origin_fields(origin))
        {
            push_field(&mut head, name, value.as_bytes());
        }
        head.extend_from_slice(b"Connection: close\r\n\r\n");
        head.extend_from_slice(body.as_bytes());
        head
    }
}
