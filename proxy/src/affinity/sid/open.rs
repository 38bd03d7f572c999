//! The open packet at the beginning of a polling payload: where the session id stands in it.
//!
//! A scanner, not a JSON reader: what it passes over goes to the client as it came.

use std::ops::Range;

use super::Revision;

/// A longer session id is none that an Engine.IO server makes (20 bytes in most).
const SID_BYTES_MAX: usize = 256;
/// Of a packet's length in revision 3; the whole payload is smaller than that.
const LENGTH_DIGITS_MAX: usize = 6;

/// An open packet, in bytes of the payload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Its length as revision 3 writes it before the packet: in characters (UTF-16 units).
    pub(super) characters: Option<usize>,
    /// Where the packet begins.
    pub(super) packet: usize,
    /// The session id, without its quotes.
    pub(super) sid: Range<usize>,
}

/// Finds `0{"sid":"X",…}` (revision 4) or `97:0{"sid":"X",…}` (3) at the beginning; other packets may follow.
pub(super) fn find(payload: &str, revision: Revision) -> Option<Opening> {
    let (characters, packet) = match revision {
        Revision::Four => (None, payload),
        Revision::Three => {
            let (length, rest) = payload.split_once(':')?;
            let is_number = !length.is_empty()
                && length.len() <= LENGTH_DIGITS_MAX
                && length.bytes().all(|byte| byte.is_ascii_digit());
            let length = length.parse().ok().filter(|_| is_number)?;
            (Some(length), first(rest, length)?)
        }
    };
    let begin = characters.map_or(0, |_| payload.find(':').map_or(0, |colon| colon + 1));
    let object = packet
        .strip_prefix('0')
        .filter(|rest| rest.starts_with('{'))?;
    let sid = sid_in(object)?;
    let offset = begin + 1;
    Some(Opening {
        characters,
        packet: begin,
        sid: sid.start + offset..sid.end + offset,
    })
}

/// The first so many UTF-16 units.
fn first(text: &str, units: usize) -> Option<&str> {
    let mut left = units;
    for (at, character) in text.char_indices() {
        if left == 0 {
            return text.get(..at);
        }
        left = left.checked_sub(character.len_utf16())?;
    }
    (left == 0).then_some(text)
}

/// The text under the key `sid` of an object, at its top level, if it can stand in JSON and in a URL as it is.
fn sid_in(object: &str) -> Option<Range<usize>> {
    let bytes = object.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1).filter(|depth| *depth > 0)?;
            }
            b'"' => {
                let text = string(bytes, at)?;
                at = text.end;
                let is_sid = depth == 1 && bytes.get(text) == Some(b"sid");
                let colon = skip_space(bytes, at + 1);
                if is_sid && bytes.get(colon) == Some(&b':') {
                    let value = string(bytes, skip_space(bytes, colon + 1))?;
                    return is_session(bytes.get(value.clone())?).then_some(value);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The inside of the string whose opening quote stands at `open`.
fn string(bytes: &[u8], open: usize) -> Option<Range<usize>> {
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut at = open + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(open + 1..at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

fn is_session(sid: &[u8]) -> bool {
    (1..=SID_BYTES_MAX).contains(&sid.len())
        && sid
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b'\\')
}
