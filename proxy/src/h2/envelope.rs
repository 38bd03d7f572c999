//! The session id's envelope in Pingora's hands: off on the way to a server, on in the answer to a handshake.
//!
//! Owns when an answer's body is held back and how its head changes with it. What an envelope is: `affinity::sid`.

use bytes::{Bytes, BytesMut};
use pingora::http::{RequestHeader, ResponseHeader};

use crate::affinity::sid::{ANSWER_BYTES_MAX, Reading};
use crate::head::parse_length;

/// Makes a request what the server must see.
pub(super) fn prepare(head: &mut RequestHeader, sid: &Reading) -> pingora::Result<()> {
    match sid {
        Reading::Bound(bound) => head.set_raw_path(bound.target.as_bytes())?,
        Reading::Handshake {
            is_polling: true, ..
        } => {
            // A compressed answer could not be read.
            head.remove_header("Accept-Encoding");
        }
        Reading::Handshake { .. } | Reading::Plain | Reading::Forged => {}
    }
    Ok(())
}

/// An answer to a handshake on its way to the client.
#[derive(Debug)]
pub(super) struct Wrapping {
    held: BytesMut,
    /// It is something else, and passes.
    is_passing: bool,
}

impl Wrapping {
    /// `None`: the answer is none that could be wrapped, and passes.
    pub(super) fn begin(answer: &mut ResponseHeader) -> Option<Self> {
        let most = ANSWER_BYTES_MAX as u64;
        let length = answer.headers.get("Content-Length");
        let is_small = length.is_none_or(|length| {
            parse_length(length.as_bytes()).is_some_and(|length| (1..=most).contains(&length))
        });
        let may_be = answer.status.as_u16() == 200
            && !answer.headers.contains_key("Content-Encoding")
            && is_small;
        if !may_be {
            return None;
        }
        // The head leaves before the body is known, and so before its new length is.
        answer.remove_header("Content-Length");
        Some(Self {
            held: BytesMut::new(),
            is_passing: false,
        })
    }

    /// Holds the body back until it is whole, then lets it go with its session id wrapped, or as it came.
    pub(super) fn take(
        &mut self,
        body: &mut Option<Bytes>,
        is_last: bool,
        wrap: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) {
        if self.is_passing {
            return;
        }
        if let Some(bytes) = body.take() {
            self.held.extend_from_slice(&bytes);
        }
        self.is_passing = is_last || self.held.len() > ANSWER_BYTES_MAX;
        if !self.is_passing {
            return;
        }
        let held = self.held.split().freeze();
        let wrapped = if is_last && held.len() <= ANSWER_BYTES_MAX {
            wrap(&held).map(Bytes::from)
        } else {
            None
        };
        *body = Some(wrapped.unwrap_or(held)).filter(|bytes| !bytes.is_empty());
    }
}
