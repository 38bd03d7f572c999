//! The HTTP part of a WebSocket: the request head a server gets, and the answer it gives.
//!
//! Owns both heads byte by byte. Everything that is not ours passes unchanged, in its order and spelling.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Upgrade;
use crate::head::read::read_some;
use crate::head::{FIELDS_MAX, Head, parse_length, write};
use crate::headers::{Fields, Forwarded, has_token, push_field};
use crate::outcome::Outcome;
use crate::socket::Socket;

/// A larger answer head is no handshake.
const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a declined handshake's body that are copied at once.
const BODY_BUFFER_BYTES: usize = 8 * 1024;

type Failed = (Outcome, Option<io::Error>);

/// A server's answer to a handshake.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and fields as the client gets them, without the end of the head.
    head: Vec<u8>,
    body_bytes: Option<u64>,
    /// What came after the head.
    pub(crate) rest: BytesMut,
}

impl Answer {
    /// The head for the client.
    #[must_use]
    pub(crate) fn to_bytes(&self, set_cookie: Option<&str>) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if let Some(cookie) = set_cookie {
            push_field(&mut bytes, "Set-Cookie", cookie.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// The head that a server gets for the client's, with this target.
#[must_use]
pub(crate) fn request_head(head: &Head<'_, '_>, target: &str, forwarded: &Forwarded) -> Vec<u8> {
    let mut bytes = write::for_server(head, target, forwarded, None);
    bytes.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    bytes
}

/// Sends the handshake and waits for the answer's head.
pub(crate) async fn ask(server: &mut Socket, upgrade: &Upgrade) -> Result<Answer, Failed> {
    let upstream = &upgrade.request.upstream;
    match timeout(upstream.write_timeout, server.write_all(&upgrade.head)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err((Outcome::Broken, Some(error))),
        Err(_) => return Err((Outcome::Timeout, None)),
    }
    match timeout(upstream.read_timeout, read_answer(server)).await {
        Ok(answered) => answered,
        Err(_) => Err((Outcome::Timeout, None)),
    }
}

async fn read_answer(server: &mut Socket) -> Result<Answer, Failed> {
    let mut bytes = BytesMut::new();
    loop {
        match parse_answer(&mut bytes) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if bytes.len() <= ANSWER_HEAD_BYTES_MAX => {}
            Ok(None) | Err(()) => return Err((Outcome::InvalidAnswer, None)),
        }
        match read_some(server, &mut bytes).await {
            Ok(0) => return Err((Outcome::Broken, None)),
            Ok(_) => {}
            Err(error) => return Err((Outcome::Broken, Some(error))),
        }
    }
}

/// The final answer if its head is whole; takes interim ones (RFC 9110 §15.2) out of the way.
fn parse_answer(bytes: &mut BytesMut) -> Result<Option<Answer>, ()> {
    loop {
        let mut room = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut room);
        let httparse::Status::Complete(end) = response.parse(bytes).map_err(|_| ())? else {
            return Ok(None);
        };
        let status = response.code.ok_or(())?;
        if (100..200).contains(&status) && status != 101 {
            bytes.advance(end);
            continue;
        }
        let answer = build_answer(status, &response)?;
        bytes.advance(end);
        return Ok(Some(Answer {
            rest: std::mem::take(bytes),
            ..answer
        }));
    }
}

fn build_answer(status: u16, response: &httparse::Response<'_, '_>) -> Result<Answer, ()> {
    let fields: &[httparse::Header<'_>] = response.headers;
    let is_switch = status == 101;
    if is_switch && !has_token(fields, "Upgrade", "websocket") {
        return Err(());
    }
    let mut head = format!("HTTP/1.1 {status} {}\r\n", response.reason.unwrap_or("")).into_bytes();
    for field in fields {
        let is_hop = ["Connection", "Keep-Alive", "Proxy-Connection"]
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name));
        if is_switch || !is_hop {
            push_field(&mut head, field.name, field.value);
        }
    }
    if !is_switch {
        // The client's connection is not used again: it began as a tunnel.
        push_field(&mut head, "Connection", b"close");
    }
    let length = content_length(fields)?;
    let has_no_body = is_switch || matches!(status, 204 | 304);
    let body_bytes = if has_no_body { Some(0) } else { length };
    Ok(Answer {
        status,
        head,
        body_bytes,
        rest: BytesMut::new(),
    })
}

/// The body's length, unless only its end tells it.
fn content_length(fields: &[httparse::Header<'_>]) -> Result<Option<u64>, ()> {
    let mut lengths = fields.all("Content-Length");
    let mut codings = fields.all("Transfer-Encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(None),
        (Some(length), None) if lengths.next().is_none() => {
            parse_length(length).map(Some).ok_or(())
        }
        (None, Some(coding))
            if codings.next().is_none() && coding.eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(None)
        }
        // It can be read in two ways, and so could the client.
        _ => Err(()),
    }
}

/// Copies an answer that is no 101 to the client: to its end, or until either side ends it; `hear` is told
/// the body. Returns body bytes.
///
/// # Errors
/// When the client cannot be written to, or the server breaks or is silent for `read_timeout`.
pub(crate) async fn relay_answer(
    (client, server): (&mut Socket, &mut Socket),
    answer: &Answer,
    set_cookie: Option<&str>,
    read_timeout: Duration,
    mut hear: impl FnMut(&[u8]),
) -> io::Result<usize> {
    let mut out = answer.to_bytes(set_cookie);
    let body_max = answer.body_bytes.map_or(usize::MAX, |bytes| {
        usize::try_from(bytes).unwrap_or(usize::MAX)
    });
    let early = answer
        .rest
        .get(..body_max.min(answer.rest.len()))
        .unwrap_or_default();
    out.extend_from_slice(early);
    hear(early);
    client.write_all(&out).await?;
    client.flush().await?;
    let mut sent = early.len();
    let mut buffer = vec![0; BODY_BUFFER_BYTES];
    let mut said = [0; 1];
    while sent < body_max {
        let count = tokio::select! {
            read = timeout(read_timeout, server.read(&mut buffer)) => read??,
            // A client that closes, or goes on talking, has seen the end of a chunked body itself.
            read = client.read(&mut said) => return read.map(|_| sent),
        };
        let Some(chunk) = buffer
            .get(..count.min(body_max - sent))
            .filter(|chunk| !chunk.is_empty())
        else {
            break;
        };
        hear(chunk);
        client.write_all(chunk).await?;
        client.flush().await?;
        sent += chunk.len();
    }
    client.shutdown().await?;
    Ok(sent)
}
