//! What the next hop is told about the client, and which fields of a request end at this hop.
//!
//! Owns the names and values; `head::write` puts them into heads. Invariant:
//! **`X-Real-IP` and `X-Forwarded-Proto` that reach a server were written here**.

use http::HeaderMap;

use crate::client::Client;

pub const REAL_IP: &str = "X-Real-IP";
pub const FORWARDED_FOR: &str = "X-Forwarded-For";
pub const FORWARDED_PROTO: &str = "X-Forwarded-Proto";

/// The fields of a request, however they were parsed.
pub trait Fields {
    /// All values of a field in the order of the request; the name's case does not matter.
    fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]>;

    fn first_of<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all(name).next()
    }
}

impl Fields for [httparse::Header<'_>] {
    fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }
}

impl Fields for HeaderMap {
    fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(http::HeaderValue::as_bytes)
    }
}

/// The fields that nginx users set with `proxy_set_header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// `$remote_addr`.
    pub real_ip: String,
    /// What came in `X-Forwarded-For`, each value with a comma behind it.
    pub hops: Vec<u8>,
    pub proto: &'static str,
}

impl Forwarded {
    #[must_use]
    pub fn of<F: Fields + ?Sized>(client: &Client, fields: &F) -> Self {
        let real_ip = client.address_text();
        let mut hops = Vec::new();
        for value in fields.all(FORWARDED_FOR) {
            hops.extend_from_slice(value);
            hops.extend_from_slice(b", ");
        }
        Self {
            real_ip,
            hops,
            proto: client.scheme.as_str(),
        }
    }

    /// `$proxy_add_x_forwarded_for`: what came, and the client.
    #[must_use]
    pub fn forwarded_for(&self) -> Vec<u8> {
        [&*self.hops, self.real_ip.as_bytes()].concat()
    }

    /// Appends the three fields to a head that is being written.
    pub fn push(&self, head: &mut Vec<u8>) {
        push_field(head, REAL_IP, self.real_ip.as_bytes());
        if self.hops.is_empty() {
            push_field(head, FORWARDED_FOR, self.real_ip.as_bytes());
        } else {
            push_field(head, FORWARDED_FOR, &self.forwarded_for());
        }
        push_field(head, FORWARDED_PROTO, self.proto.as_bytes());
    }
}

/// Appends one field to a head that is being written.
pub fn push_field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Whether a list field (`Connection`, `Upgrade`) has this token in any of its values.
pub fn has_token<F: Fields + ?Sized>(fields: &F, name: &str, token: &str) -> bool {
    fields
        .all(name)
        .flat_map(tokens)
        .any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Which fields of a request must not be copied to the server: those that end here or are written anew here.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'f, F: ?Sized> {
    request: &'f F,
    /// `Connection` names more than what is about every connection, so each field has to be looked up in it.
    has_nominees: bool,
}

impl<'f, F: Fields + ?Sized> Ending<'f, F> {
    #[must_use]
    pub fn of(request: &'f F) -> Self {
        const USUAL: [&str; 3] = ["keep-alive", "close", "upgrade"];
        let is_usual = |token: &[u8]| {
            USUAL
                .iter()
                .any(|usual| token.eq_ignore_ascii_case(usual.as_bytes()))
        };
        let mut named = request.all("Connection").flat_map(tokens);
        Self {
            request,
            has_nominees: named.any(|token| !is_usual(token)),
        }
    }

    /// Whether `Connection` has to be asked about each field.
    #[must_use]
    pub fn has_nominees(&self) -> bool {
        self.has_nominees
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        const ENDS: [&str; 10] = [
            "Connection",
            "Keep-Alive",
            "Proxy-Connection",
            "Upgrade",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            REAL_IP,
            FORWARDED_FOR,
            FORWARDED_PROTO,
        ];
        ENDS.iter().any(|end| name.eq_ignore_ascii_case(end))
            || is_lookalike(name)
            || (self.has_nominees
                && has_token(self.request, "Connection", name)
                && !is_end_to_end(name))
    }
}

/// A name that CGI, WSGI and Rack cannot tell from one that the proxy answers for: to them `_` and `-` are the same.
/// nginx drops every name with an underscore; what misleads nobody passes here.
fn is_lookalike(name: &str) -> bool {
    const OURS: [&str; 6] = [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        REAL_IP,
        FORWARDED_FOR,
        FORWARDED_PROTO,
    ];
    let is_like = |ours: &str| {
        ours.len() == name.len()
            && ours.bytes().zip(name.bytes()).all(|(ours, byte)| {
                ours.eq_ignore_ascii_case(&byte) || (ours == b'-' && byte == b'_')
            })
    };
    name.contains('_') && OURS.iter().any(|ours| is_like(ours))
}

/// What a client may not make us drop by naming it in `Connection`.
fn is_end_to_end(name: &str) -> bool {
    // Without its length a body would be read as the next request.
    const KEPT: [&str; 5] = [
        "Host",
        "Content-Length",
        "Cookie",
        "Authorization",
        "Origin",
    ];
    KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept))
        || name.to_ascii_lowercase().starts_with("sec-websocket-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Scheme;

    fn field<'a>(name: &'a str, value: &'a str) -> httparse::Header<'a> {
        httparse::Header {
            name,
            value: value.as_bytes(),
        }
    }

    #[test]
    fn forwarded_for_is_appended_to() {
        let client = Client {
            ip: Some("203.0.113.7".parse().unwrap()),
            scheme: Scheme::Http,
        };
        let fields = [
            field("x-forwarded-for", "1.1.1.1"),
            field("X-Forwarded-For", "2.2.2.2"),
        ];
        let forwarded = Forwarded::of(&client, &fields[..]);
        assert_eq!(forwarded.forwarded_for(), b"1.1.1.1, 2.2.2.2, 203.0.113.7");
        assert_eq!(forwarded.real_ip, "203.0.113.7");
    }

    #[test]
    fn both_parsers_tell_the_same() {
        let slices = [field("Cookie", "a=1"), field("cookie", "b=2")];
        let mut map = HeaderMap::new();
        map.append("cookie", "a=1".parse().unwrap());
        map.append("cookie", "b=2".parse().unwrap());
        assert!(slices[..].all("COOKIE").eq(map.all("cookie")));
    }

    #[test]
    fn fields_named_by_connection_end_here_unless_they_are_needed() {
        let fields = [field(
            "Connection",
            "Upgrade, X-Hop, Host, Content-Length, Sec-WebSocket-Key",
        )];
        let ending = Ending::of(&fields[..]);
        assert!(ending.has("X-Hop"));
        assert!(ending.has("Keep-Alive"));
        assert!(ending.has("x-real-ip"));
        assert!(!ending.has("Host"));
        assert!(!ending.has("Content-Length"));
        assert!(!ending.has("Sec-WebSocket-Key"));
        assert!(!ending.has("X-Other"));
    }

    #[test]
    fn names_that_some_servers_take_for_ours_end_here() {
        let fields: [httparse::Header<'_>; 0] = [];
        let ending = Ending::of(&fields[..]);
        for name in [
            "X_Forwarded_For",
            "x-real_ip",
            "Content_Length",
            "TRANSFER_ENCODING",
        ] {
            assert!(ending.has(name), "{name}");
        }
        for name in ["X_Forwarded_Fo", "X_Token", "Content-Length", "Host"] {
            assert!(!ending.has(name), "{name}");
        }
    }
}
