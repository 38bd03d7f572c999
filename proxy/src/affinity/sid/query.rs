//! The query of an Engine.IO request, read in place so that the rest of the target can pass as it came.

use std::ops::Range;

use percent_encoding::percent_decode_str;

use super::Revision;

/// What a proxy must know of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) revision: Revision,
    /// Long polling whose answers are plain payloads, so not JSONP.
    pub(super) is_polling: bool,
    /// Where the session id's value stands in the target. An empty one is none, as servers have it.
    pub(super) sid: Option<Range<usize>>,
}

impl Query {
    /// `None`: no Engine.IO, or one that can be read in two ways.
    pub(super) fn of(target: &str) -> Option<Self> {
        let begin = target.find('?')? + 1;
        let (mut revision, mut transport, mut sid) = (None, None, None);
        let mut is_jsonp = false;
        let mut at = begin;
        for pair in target.get(begin..)?.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let end = at + pair.len();
            let is_again = match name {
                "EIO" => revision.replace(value).is_some(),
                "transport" => transport.replace(value).is_some(),
                "sid" => sid.replace(end - value.len()..end).is_some(),
                _ => false,
            };
            if is_again {
                return None;
            }
            is_jsonp |= name == "j";
            at = end + 1;
        }
        let revision = match revision? {
            "3" => Revision::Three,
            "4" => Revision::Four,
            _ => return None,
        };
        let is_polling = match transport? {
            "polling" => !is_jsonp,
            "websocket" => false,
            _ => return None,
        };
        Some(Self {
            revision,
            is_polling,
            sid: sid.filter(|range| !range.is_empty()),
        })
    }
}

/// Takes the percent-encoding off (RFC 3986 §2.1); what is none stays.
pub(super) fn decode(value: &str) -> Vec<u8> {
    percent_decode_str(value).collect()
}
