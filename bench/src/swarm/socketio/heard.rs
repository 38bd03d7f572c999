//! What a member of a room hears and says: Engine.IO 4 packets with the events of the chat in them.

use super::super::websocket::client_frame;
use crate::frame;

/// Begins the content of each message; then its number, so that a delivery names what it delivers.
pub(super) const MARK: &str = "swarm:";

/// A packet, as far as it matters.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Heard {
    Ping,
    Open,
    Connected,
    /// By the number that the client gave.
    Acked(usize),
    /// What was refused, where it is said, and the code.
    Refused {
        message: Option<usize>,
        why: String,
    },
    Message(usize),
    Other,
}

pub(super) fn text(packet: &str) -> Vec<u8> {
    client_frame(frame::TEXT, packet.as_bytes())
}

pub(super) fn hear(opcode: u8, payload: &[u8]) -> Heard {
    match payload {
        _ if opcode == frame::CLOSE => refused(None, "closed"),
        b"2" => Heard::Ping,
        [b'0', ..] => Heard::Open,
        [b'4', b'0', ..] => Heard::Connected,
        // Namespace errors, and acks that say no.
        [b'4', b'4', ..] => refused(None, "namespace"),
        [b'4', b'3', number @ ..] if find(payload, b"\"ok\":false").is_some() => {
            refused(digits(number), code(payload).unwrap_or("no code"))
        }
        [b'4', b'3', number @ ..] => digits(number).map_or(Heard::Other, Heard::Acked),
        [b'4', b'2', ..] => message(payload).map_or(Heard::Other, Heard::Message),
        _ => Heard::Other,
    }
}

fn refused(message: Option<usize>, why: &str) -> Heard {
    let why = why.to_owned();
    Heard::Refused { message, why }
}

/// What an answer gives as its reason.
fn code(payload: &[u8]) -> Option<&str> {
    let begin = b"\"code\":\"";
    let rest = &payload[find(payload, begin)? + begin.len()..];
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Where the part begins. Looks for its first byte first: this is most of what a client does.
fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    let first = part.first()?;
    let mut from = 0;
    loop {
        from += bytes.get(from..)?.iter().position(|byte| byte == first)?;
        if bytes[from..].starts_with(part) {
            return Some(from);
        }
        from += 1;
    }
}

/// The number of the message that this event delivers.
fn message(payload: &[u8]) -> Option<usize> {
    digits(&payload[find(payload, MARK.as_bytes())? + MARK.len()..])
}

/// The number at the beginning.
fn digits(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart() {
        let hear = |packet: &str| hear(frame::TEXT, packet.as_bytes());
        assert_eq!(hear("2"), Heard::Ping);
        assert_eq!(hear("0{\"sid\":\"a\"}"), Heard::Open);
        assert_eq!(hear("40{\"sid\":\"a\"}"), Heard::Connected);
        assert_eq!(hear("4312[{\"ok\":true}]"), Heard::Acked(12));
        assert_eq!(
            hear("431[{\"ok\":false,\"error\":{}}]"),
            refused(Some(1), "no code")
        );
        assert_eq!(
            hear("437[{\"ok\":false,\"error\":{\"code\":\"OVERLOADED\"}}]"),
            refused(Some(7), "OVERLOADED")
        );
        let message = "42[\"message\",{\"roomId\":\"swarm-7-0\",\"content\":\"swarm:12:xx\"}]";
        assert_eq!(hear(message), Heard::Message(12));
        assert_eq!(hear("42[\"userJoined\",{}]"), Heard::Other);
    }
}
