//! One request head: where it ends, what it says, and whether it may be believed.
//!
//! Owns every rule by which a head is refused before anybody acts on it, stricter than the parsers behind it, so that
//! no server can read a request differently than the proxy did. Does not read from sockets (`read`).

use std::mem::MaybeUninit;

use httparse::Header;

use crate::headers::{Fields, has_token};
use crate::refusal::Refusal;

pub mod h2;
pub mod read;
pub mod write;

/// More fields than this are refused with 431 whatever the settings allow: so many have a place on the stack.
pub const FIELDS_MAX: usize = 256;

/// Where `parse` puts the fields; lives on the caller's stack.
pub type Room<'b> = [MaybeUninit<Header<'b>>; FIELDS_MAX];

#[must_use]
pub fn room<'b>() -> Room<'b> {
    [const { MaybeUninit::uninit() }; FIELDS_MAX]
}

/// A head that obeys the rules.
#[derive(Debug)]
pub struct Head<'r, 'b> {
    pub method: &'b str,
    /// As it stood in the request line.
    pub target: &'b str,
    /// The target without scheme, host and query.
    pub path: &'b [u8],
    /// From the target if it has one, else from `Host`; empty if there is neither (HTTP/1.0).
    pub host: &'b [u8],
    pub is_http11: bool,
    pub fields: &'r [Header<'b>],
    pub body: Body,
}

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    None,
    Length(u64),
    Chunked,
}

impl Head<'_, '_> {
    /// Whether the client's connection may go on after the answer (RFC 9112 §9.3).
    #[must_use]
    pub fn is_kept(&self) -> bool {
        if self.is_http11 {
            !has_token(self.fields, "Connection", "close")
        } else {
            has_token(self.fields, "Connection", "keep-alive")
        }
    }

    /// A WebSocket handshake (RFC 6455 §4.1) as far as a proxy must know.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        self.is_http11
            && self.method == "GET"
            && has_token(self.fields, "Upgrade", "websocket")
            && has_token(self.fields, "Connection", "upgrade")
    }
}

/// The end of the head in `bytes`, if it is there. Lines must end in CRLF.
///
/// # Errors
/// 400 as soon as a line ends in a bare line feed (RFC 9112 §2.2 lets a recipient accept it; nobody who means well
/// sends it, and parsers disagree about it).
pub fn find_end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut line_start = 0;
    for feed in memchr::memchr_iter(b'\n', bytes) {
        let length = feed - line_start;
        if length == 0 || bytes.get(feed - 1) != Some(&b'\r') {
            return Err(Refusal::BadRequest("a line ends without a carriage return"));
        }
        if length == 1 {
            return Ok(Some(feed + 1));
        }
        line_start = feed + 1;
    }
    Ok(None)
}

/// Reads the head in `bytes`, which end where `find_end` said.
///
/// # Errors
/// 400 for whatever is malformed or can be read in two ways, 431 for too many fields.
pub fn parse<'r, 'b>(bytes: &'b [u8], room: &'r mut Room<'b>) -> Result<Head<'r, 'b>, Refusal> {
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, room) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => {
            return Err(Refusal::BadRequest("the head ends too early"));
        }
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyFields),
        Err(httparse::Error::HeaderName) => {
            return Err(Refusal::BadRequest("malformed field name"));
        }
        Err(httparse::Error::HeaderValue) => {
            return Err(Refusal::BadRequest("malformed field value"));
        }
        Err(httparse::Error::Version) => return Err(Refusal::BadRequest("unknown HTTP version")),
        Err(_) => return Err(Refusal::BadRequest("malformed request line")),
    }
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(Refusal::BadRequest("malformed request line"));
    };
    let fields: &'r [Header<'b>] = request.headers;
    if method.eq_ignore_ascii_case("CONNECT") {
        // What follows its answer is no HTTP any more.
        return Err(Refusal::BadRequest("CONNECT is not served"));
    }
    let is_http11 = version == 1;
    let (target_host, path) = split_target(method, target)?;
    let host = host(fields, is_http11)?;
    if let (Some(target_host), Some(host)) = (target_host, host)
        && !host.eq_ignore_ascii_case(target_host)
    {
        return Err(Refusal::BadRequest(
            "the target names another host than Host",
        ));
    }
    let body = body(fields, is_http11)?;
    Ok(Head {
        method,
        target,
        path,
        host: target_host.or(host).unwrap_or_default(),
        is_http11,
        fields,
        body,
    })
}

/// Host (if the target has one) and path of an origin-form, absolute-form or asterisk-form target (RFC 9112 §3.2).
fn split_target<'b>(
    method: &str,
    target: &'b str,
) -> Result<(Option<&'b [u8]>, &'b [u8]), Refusal> {
    let without_query = target.split_once('?').map_or(target, |(path, _)| path);
    if target.contains('#') {
        return Err(Refusal::BadRequest("the target has a fragment"));
    }
    if target.starts_with('/') {
        return Ok((None, without_query.as_bytes()));
    }
    if target == "*" && method == "OPTIONS" {
        return Ok((None, b"*"));
    }
    let authority = without_query
        .get(..7)
        .filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    if let Some(rest) = authority.and_then(|_| without_query.get(7..)) {
        let (host, path) = rest
            .find('/')
            .map_or((rest, "/"), |slash| rest.split_at(slash));
        check_host(host.as_bytes())?;
        if !host.is_empty() {
            return Ok((Some(host.as_bytes()), path.as_bytes()));
        }
    }
    Err(Refusal::BadRequest("malformed target"))
}

fn host<'b>(fields: &[Header<'b>], is_http11: bool) -> Result<Option<&'b [u8]>, Refusal> {
    let mut hosts = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("Host"));
    match (hosts.next(), hosts.next()) {
        (None, _) if is_http11 => Err(Refusal::BadRequest("no Host")),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Refusal::BadRequest("more than one Host")),
        (Some(host), None) => {
            check_host(host.value)?;
            Ok(Some(host.value))
        }
    }
}

/// RFC 3986 §3.2.2 and §3.2.3, by a table, as every byte of every `Host` is asked.
fn is_in_host(byte: u8) -> bool {
    const ALLOWED: [bool; 256] = {
        let mut allowed = [false; 256];
        let mut byte = 0;
        while byte < 128_u8 {
            allowed[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        let others = b"-._~:[]%!$&'()*+,;=";
        let mut place = 0;
        while place < others.len() {
            allowed[others[place] as usize] = true;
            place += 1;
        }
        allowed
    };
    ALLOWED.get(usize::from(byte)).copied().unwrap_or(false)
}

fn check_host(host: &[u8]) -> Result<(), Refusal> {
    if host.iter().all(|byte| is_in_host(*byte)) {
        Ok(())
    } else {
        Err(Refusal::BadRequest("malformed Host"))
    }
}

/// The body's length, if there is exactly one way to read it (RFC 9112 §6).
fn body(fields: &[Header<'_>], is_http11: bool) -> Result<Body, Refusal> {
    let mut lengths = fields.all("Content-Length");
    let mut codings = fields.all("Transfer-Encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Body::None),
        (Some(_), Some(_)) => Err(Refusal::BadRequest(
            "both Content-Length and Transfer-Encoding",
        )),
        (None, Some(coding)) => {
            if !is_http11 || codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::BadRequest(
                    "Transfer-Encoding is not exactly chunked",
                ));
            }
            Ok(Body::Chunked)
        }
        (Some(length), None) => {
            if lengths.next().is_some() {
                return Err(Refusal::BadRequest("more than one Content-Length"));
            }
            match parse_length(length) {
                Some(0) => Ok(Body::None),
                Some(length) => Ok(Body::Length(length)),
                None => Err(Refusal::BadRequest("malformed Content-Length")),
            }
        }
    }
}

/// A `Content-Length`: digits and nothing else.
pub(crate) fn parse_length(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
