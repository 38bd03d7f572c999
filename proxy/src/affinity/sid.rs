//! The Engine.IO session id as the client's mark: it holds `X~TAG` for the server's `X`.
//!
//! Owns the envelope: writing it into the answer to a polling handshake, reading it from a later request's target and
//! taking it off. Keeps nothing between the two, so any number of proxies with the same servers and keys agree.
//! Invariants: **what is not understood is not changed, not by a byte**; **a tag is only ever compared with those of
//! servers that exist**, and with keys only after its signature was verified.

use std::ops::Range;

use super::cookie;
use super::signature::{Keys, Signer};
use crate::settings;

mod open;
mod query;
mod stage;
mod unknown;

use query::Query;
pub use stage::Stage;
pub use unknown::Complaint;

/// Answers to handshakes have some 100 bytes; a larger one is something else and passes.
pub const ANSWER_BYTES_MAX: usize = 4096;
/// As long as a server's `route` may be.
const TAG_BYTES_MAX: usize = 32;
/// Of a tag that is made from an address: 48 bits tell any fleet apart.
const TAG_HEX_DIGITS: usize = 12;

/// The Engine.IO protocol's revision, which decides the form of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    Three,
    Four,
}

impl Revision {
    /// The metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Three => "3",
            Self::Four => "4",
        }
    }
}

/// What a request's target says about its Engine.IO session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// No Engine.IO, or a session id that was never wrapped.
    Plain,
    /// Begins a session. `is_polling`: in an answer that can be wrapped.
    Handshake {
        revision: Revision,
        is_polling: bool,
    },
    Bound(Bound),
    /// An envelope that none of the keys signed.
    Forged,
}

/// A session that a proxy wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub tag: Box<str>,
    pub signer: Signer,
    /// The request's target with the server's own session id.
    pub target: Box<str>,
    /// No other server is of use: to be answered instead of being moved.
    pub is_only: bool,
}

/// Writes and reads envelopes.
#[derive(Clone, Debug)]
pub struct Envelope {
    keys: Keys,
    answer_gone: bool,
}

/// The tag of a server: its route if that can stand in a URL, else a digest.
#[must_use]
pub fn tag_of(route: Option<&str>, address: &str) -> String {
    match route {
        Some(route) if is_tag(route) => route.to_owned(),
        _ => {
            let mut tag = cookie::mark_of(route.unwrap_or(address));
            tag.truncate(TAG_HEX_DIGITS);
            tag
        }
    }
}

/// Whether it means the same in JSON and in a URL, and cannot be mistaken for a part of the envelope.
fn is_tag(text: &str) -> bool {
    (1..=TAG_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_tag_byte)
}

fn is_tag_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

impl Envelope {
    #[must_use]
    pub fn new(sid: &settings::Sid) -> Self {
        Self {
            keys: Keys::new(&sid.keys, &["sid"]),
            answer_gone: sid.answer_gone,
        }
    }

    /// Reads the session from a request line's method and target.
    #[must_use]
    pub fn read(&self, method: &str, target: &str) -> Reading {
        let Some(query) = Query::of(target) else {
            return Reading::Plain;
        };
        let Some(sid) = query.sid else {
            if method != "GET" {
                return Reading::Plain;
            }
            return Reading::Handshake {
                revision: query.revision,
                is_polling: query.is_polling,
            };
        };
        let Some((separator, seal)) = target.get(sid.clone()).and_then(split) else {
            return Reading::Plain;
        };
        let (start, end) = (sid.start + separator.start, sid.end);
        let session = target.get(sid.start..start).unwrap_or_default();
        match self.unseal(session, seal) {
            Seal::None => Reading::Plain,
            Seal::Forged => Reading::Forged,
            Seal::Tag(tag, signer) => {
                let kept = [target.get(..start), target.get(end..)];
                Reading::Bound(Bound {
                    tag: tag.into(),
                    signer,
                    target: kept.into_iter().flatten().collect::<String>().into(),
                    // A preflight is answered the same by every server; a refused one would hide the real answer.
                    is_only: self.answer_gone && method != "OPTIONS",
                })
            }
        }
    }

    /// The answer to a polling handshake with its session id wrapped for the server that `tag` names; `None` if it is
    /// anything else than an open packet.
    #[must_use]
    pub fn wrap(&self, body: &[u8], revision: Revision, tag: &str) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(body).ok()?;
        let opening = open::find(text, revision)?;
        let session = text.get(opening.sid.clone())?;
        let seal = self.seal(session, tag);
        let mut wrapped = Vec::with_capacity(body.len() + seal.len() + 1);
        if let Some(characters) = opening.characters {
            wrapped.extend_from_slice(format!("{}:", characters + seal.len()).as_bytes());
        }
        let kept = [
            text.get(opening.packet..opening.sid.end)?,
            &seal,
            text.get(opening.sid.end..)?,
        ];
        for part in kept {
            wrapped.extend_from_slice(part.as_bytes());
        }
        Some(wrapped)
    }

    /// `~TAG`, or `~TAG.SIGNATURE` if there are keys.
    fn seal(&self, session: &str, tag: &str) -> String {
        match self.keys.sign(&signed(session.as_bytes(), tag)) {
            Some(signature) => format!("~{tag}.{}", signature.as_str()),
            None => format!("~{tag}"),
        }
    }

    fn unseal<'a>(&self, session: &str, seal: &'a str) -> Seal<'a> {
        let (tag, signature) = match seal.split_once('.') {
            Some((tag, signature)) => (tag, Some(signature)),
            None => (seal, None),
        };
        let is_signature = |text: &str| !text.is_empty() && text.bytes().all(is_tag_byte);
        if !is_tag(tag) || !signature.is_none_or(is_signature) {
            return Seal::None;
        }
        if self.keys.is_empty() {
            return Seal::Tag(tag, Signer::Current);
        }
        let session = query::decode(session);
        let signer = signature.and_then(|signature| {
            let parts = signed(&session, tag);
            self.keys.verify(&parts, signature.as_bytes())
        });
        signer.map_or(Seal::Forged, |signer| Seal::Tag(tag, signer))
    }
}

/// What follows a session id.
enum Seal<'a> {
    /// Part of the id itself.
    None,
    Forged,
    Tag(&'a str, Signer),
}

/// The session as well, so that a tag seen on one session names no server for another.
fn signed<'a>(session: &'a [u8], tag: &'a str) -> [&'a [u8]; 3] {
    [session, b"~", tag.as_bytes()]
}

/// The last `~` of a query's value, which arrives as `~` or as `%7E`, and what follows it.
fn split(value: &str) -> Option<(Range<usize>, &str)> {
    let plain = value.rfind('~').map(|at| at..at + 1);
    let encoded = ["%7E", "%7e"].iter().filter_map(|code| value.rfind(code));
    let encoded = encoded.max().map(|at| at..at + 3);
    let separator = match (plain, encoded) {
        (Some(plain), Some(encoded)) if plain.start < encoded.start => encoded,
        (Some(plain), _) => plain,
        (None, encoded) => encoded?,
    };
    let seal = value.get(separator.end..)?;
    Some((separator, seal))
}

#[cfg(test)]
mod tests;
