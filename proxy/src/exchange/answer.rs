//! A server's answer: what its head says, and the head that the client gets for it.
//!
//! Owns the rules by which an answer is no HTTP (RFC 9112 §6.3) and which fields end at this hop. Everything else
//! passes in its order and spelling.

use httparse::{Header, Status};

use super::chunked::{Chunked, Keep};
use super::framing::Framing;
use crate::affinity::sid::ANSWER_BYTES_MAX;
use crate::head::{FIELDS_MAX, parse_length};
use crate::headers::{Ending, Fields, has_token, push_field};

/// A larger head is no answer; nginx takes 4 or 8 KiB by default, servers with many cookies need more.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What of the request decides how its answer is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) is_head: bool,
    pub(crate) is_http11: bool,
    /// The body may have to be changed, and is wanted without its chunks.
    pub(crate) is_handshake: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// For the client: status line and fields, without those about the connection and without the end.
    pub(crate) head: Vec<u8>,
    pub(crate) framing: Framing,
    /// The body may be an Engine.IO open packet; its length is not in `head`, because it may be changed.
    pub(crate) is_held: bool,
    /// The client sees the end of the body without the end of the connection.
    pub(crate) is_measured: bool,
    /// The server lets its connection be used again.
    pub(crate) is_kept: bool,
}

/// What stands at the beginning of a server's bytes.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    /// Not yet a whole head.
    Partial,
    /// A head before the answer's own (RFC 9110 §15.2), and its length in bytes.
    Interim {
        head: Vec<u8>,
        end: usize,
    },
    Final {
        answer: Answer,
        end: usize,
    },
}

/// The bytes are no answer, or one that can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// # Errors
/// When the bytes cannot become an answer to what was asked.
pub(crate) fn parse(bytes: &[u8], asked: Asked) -> Result<Parsed, Invalid> {
    let mut room = [const { std::mem::MaybeUninit::uninit() }; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, &mut room);
    let Status::Complete(end) = parsed.map_err(|_| Invalid)? else {
        return Ok(Parsed::Partial);
    };
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(Invalid);
    };
    let fields: &[Header<'_>] = response.headers;
    let reason = response.reason.unwrap_or_default();
    if (100..200).contains(&status) {
        // A switch was not asked for.
        if status == 101 {
            return Err(Invalid);
        }
        let mut head = status_line(status, reason);
        copy_fields(&mut head, fields, true);
        head.extend_from_slice(b"\r\n");
        return Ok(Parsed::Interim { head, end });
    }
    let has_body = !asked.is_head && !matches!(status, 204 | 304);
    let framing = framing(fields, has_body, asked)?;
    let is_held = asked.is_handshake && may_be_opening(status, &framing, fields);
    let mut head = status_line(status, reason);
    // With a length or a coding a 204 could be read in two ways (RFC 9110 §8.6, RFC 9112 §6.1).
    let is_unframed = status == 204;
    copy_fields(&mut head, fields, is_held || is_unframed);
    let is_chunked = !is_unframed && fields.first_of("Transfer-Encoding").is_some();
    if is_chunked && asked.is_http11 && !is_held {
        push_field(&mut head, "Transfer-Encoding", b"chunked");
    }
    let says_kept = if version == 1 {
        !has_token(fields, "Connection", "close")
    } else {
        has_token(fields, "Connection", "keep-alive")
    };
    let is_kept = says_kept && !matches!(framing, Framing::UntilClose);
    let is_measured = match framing {
        Framing::Length(_) => true,
        Framing::Chunked(_) => asked.is_http11 && !is_held,
        Framing::UntilClose => false,
    };
    let framing = match framing {
        Framing::Chunked(_) if is_held => Framing::Chunked(Chunked::new(Keep::Content)),
        framing => framing,
    };
    let answer = Answer {
        status,
        head,
        framing,
        is_held,
        is_measured,
        is_kept,
    };
    Ok(Parsed::Final { answer, end })
}

fn status_line(status: u16, reason: &str) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    head.push(b' ');
    head.extend_from_slice(reason.as_bytes());
    head.extend_from_slice(b"\r\n");
    head
}

fn copy_fields(head: &mut Vec<u8>, fields: &[Header<'_>], without_length: bool) {
    const ENDS: [&str; 5] = [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Transfer-Encoding",
        "Upgrade",
    ];
    let has_nominees = Ending::of(fields).has_nominees();
    // Of a server, only what is about the connection may be named to end here.
    for field in fields {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let is_length = is("Content-Length");
        let ends = ENDS.iter().any(|end| is(end))
            || (without_length && is_length)
            || (has_nominees
                && !is_length
                && !is("Set-Cookie")
                && has_token(fields, "Connection", field.name));
        if !ends {
            push_field(head, field.name, field.value);
        }
    }
}

fn framing(fields: &[Header<'_>], has_body: bool, asked: Asked) -> Result<Framing, Invalid> {
    let mut lengths = fields.all("Content-Length");
    let mut codings = fields.all("Transfer-Encoding");
    let framing = match (lengths.next(), codings.next()) {
        (Some(_), Some(_)) => return Err(Invalid),
        (None, None) => Framing::UntilClose,
        (Some(length), None) => {
            let length = parse_length(length).ok_or(Invalid)?;
            if lengths.next().is_some() {
                return Err(Invalid);
            }
            Framing::Length(length)
        }
        (None, Some(coding)) => {
            if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(Invalid);
            }
            let keep = if asked.is_http11 {
                Keep::All
            } else {
                Keep::Content
            };
            Framing::Chunked(Chunked::new(keep))
        }
    };
    Ok(if has_body { framing } else { Framing::NONE })
}

/// Whether the body can be an Engine.IO open packet whose session id is to be wrapped.
fn may_be_opening(status: u16, framing: &Framing, fields: &[Header<'_>]) -> bool {
    let is_small = match framing {
        Framing::Length(length) => (1..=ANSWER_BYTES_MAX as u64).contains(length),
        Framing::Chunked(_) => true,
        Framing::UntilClose => false,
    };
    status == 200 && is_small && fields.first_of("Content-Encoding").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head that the client gets, or whether there is none.
    fn head_of(answer: &str) -> Result<String, Invalid> {
        let asked = Asked {
            is_head: false,
            is_http11: true,
            is_handshake: false,
        };
        Ok(match parse(answer.as_bytes(), asked)? {
            Parsed::Partial => "partial".to_owned(),
            Parsed::Interim { head, .. } => String::from_utf8_lossy(&head).into_owned(),
            Parsed::Final { answer, .. } => String::from_utf8_lossy(&answer.head).into_owned(),
        })
    }

    #[test]
    fn an_answer_without_a_body_has_no_length() {
        for answer in [
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert_eq!(head_of(answer).unwrap(), "HTTP/1.1 204 No Content\r\n");
        }
        let early = "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: </x>\r\n\r\n";
        assert_eq!(
            head_of(early).unwrap(),
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_answer() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: ",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Content-Length : 5",
            "X: a\r\n folded",
            "X: a\rb",
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
            assert_eq!(head_of(&answer), Err(Invalid), "{fields}");
        }
    }
}
