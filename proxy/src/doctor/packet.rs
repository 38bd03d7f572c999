//! As much of Engine.IO's wire format as a client needs that wants to know how it is treated: revisions 4 and 3, text only.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// The namespace that is asked for. No app has it, so Socket.IO itself refuses it and no line of the app runs.
const NAMESPACE: &str = "/berth-doctor";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// Socket.IO 3 and 4.
    Four,
    /// Socket.IO 1 and 2: the client pings, and polls carry lengths.
    Three,
}

impl Revision {
    /// What stands in a request's query.
    #[must_use]
    pub fn query(self) -> &'static str {
        match self {
            Self::Four => "EIO=4",
            // Without b64 a polling answer may be binary.
            Self::Three => "EIO=3&b64=1",
        }
    }
}

/// The server's first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub sid: String,
    pub offers_websocket: bool,
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    /// In bytes. Revision 3 does not say it.
    pub max_payload: Option<u64>,
    pub revision: Revision,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handshake {
    sid: String,
    #[serde(default)]
    upgrades: Vec<String>,
    ping_interval: u64,
    ping_timeout: u64,
    max_payload: Option<u64>,
}

/// The handshake in the answer to a poll, whichever revision the server speaks.
#[must_use]
pub fn open(body: &str) -> Option<Open> {
    if let Some(open) = open_frame(body, Revision::Four) {
        return Some(open);
    }
    let first = packets(Revision::Three, body).first().copied()?;
    open_frame(first, Revision::Three)
}

/// The handshake as the first frame of a WebSocket, and as the first packet of a poll.
#[must_use]
pub fn open_frame(text: &str, revision: Revision) -> Option<Open> {
    // Revision 4 puts a record separator between packets.
    let first = text.split('\u{1e}').next()?;
    let said: Handshake = serde_json::from_str(first.strip_prefix('0')?).ok()?;
    Some(Open {
        sid: said.sid,
        offers_websocket: said.upgrades.iter().any(|name| name == "websocket"),
        ping_interval: Duration::from_millis(said.ping_interval),
        ping_timeout: Duration::from_millis(said.ping_timeout),
        max_payload: said.max_payload,
        revision,
    })
}

/// The packets in the body of a poll. Ends where it makes no sense.
#[must_use]
pub fn packets(revision: Revision, body: &str) -> Vec<&str> {
    match revision {
        Revision::Four => body.split('\u{1e}').collect(),
        Revision::Three => with_lengths(body),
    }
}

fn with_lengths(mut body: &str) -> Vec<&str> {
    let mut packets = Vec::new();
    while let Some((length, rest)) = body.split_once(':') {
        let Some(end) = length.parse().ok().and_then(|units| end_of(rest, units)) else {
            break;
        };
        packets.extend(rest.get(..end));
        body = rest.get(end..).unwrap_or_default();
    }
    packets
}

/// Where this many UTF-16 units end, which is what JavaScript counts.
fn end_of(text: &str, mut units: usize) -> Option<usize> {
    for (at, letter) in text.char_indices() {
        if units == 0 {
            return Some(at);
        }
        units = units.checked_sub(letter.len_utf16())?;
    }
    (units == 0).then_some(text.len())
}

/// The body of a POST with one packet of ASCII.
#[must_use]
pub fn payload(revision: Revision, packet: &str) -> String {
    match revision {
        Revision::Four => packet.to_owned(),
        Revision::Three => format!("{}:{packet}", packet.len()),
    }
}

/// Asks for a namespace that does not exist. The refusal shows that a session lives, in both directions.
#[must_use]
pub fn question() -> String {
    format!("40{NAMESPACE},")
}

/// The same question in about this many bytes.
#[must_use]
pub fn large_question(bytes: usize) -> String {
    let (before, after) = (format!("40{NAMESPACE},{{\"padding\":\""), "\"}");
    let padding = bytes.saturating_sub(before.len() + after.len());
    format!("{before}{}{after}", "x".repeat(padding))
}

/// Whether a packet answers the question: the namespace was refused, or an app takes any.
#[must_use]
pub fn is_answer(packet: &str) -> bool {
    let kind = packet.strip_prefix("44").or(packet.strip_prefix("40"));
    kind.is_some_and(|rest| rest.starts_with(NAMESPACE))
}

/// Engine.IO's word for why it refuses a request. Servers write the code as a number or as text, some only the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    TransportUnknown,
    SessionUnknown,
    HandshakeMethod,
    BadRequest,
    Forbidden,
    Version,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(deserialize_with = "number_or_text")]
    code: u8,
}

fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let number = value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number
        .and_then(|number| u8::try_from(number).ok())
        .ok_or_else(|| serde::de::Error::custom("no code"))
}

#[must_use]
pub fn refused(body: &str) -> Option<Refused> {
    if let Ok(Complaint { code }) = serde_json::from_str(body) {
        return match code {
            0 => Some(Refused::TransportUnknown),
            1 => Some(Refused::SessionUnknown),
            2 => Some(Refused::HandshakeMethod),
            3 => Some(Refused::BadRequest),
            4 => Some(Refused::Forbidden),
            5 => Some(Refused::Version),
            _ => None,
        };
    }
    let text = body.to_ascii_lowercase();
    let is_about = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // python-engineio says "Invalid session"; the last two are the whole body where they are meant.
    if is_about(&["session id unknown", "invalid session", "unknown session"]) {
        Some(Refused::SessionUnknown)
    } else if is_about(&["transport unknown"]) {
        Some(Refused::TransportUnknown)
    } else if is_about(&["unsupported protocol version", "unsupported version"]) {
        Some(Refused::Version)
    } else if text.trim_matches('"') == "bad request" {
        Some(Refused::BadRequest)
    } else if text.trim_matches('"') == "forbidden" {
        Some(Refused::Forbidden)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{
        Refused, Revision, is_answer, large_question, open, packets, payload, question, refused,
    };

    #[test]
    fn both_revisions_open() {
        let four = r#"0{"sid":"abc~1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        let four = open(four).unwrap();
        assert_eq!(four.sid, "abc~1");
        assert!(four.offers_websocket);
        assert_eq!(four.ping_interval, Duration::from_secs(25));
        assert_eq!(four.max_payload, Some(1_000_000));
        assert_eq!(four.revision, Revision::Four);
        let three = r#"85:0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}2:40"#;
        let length = three.find('}').unwrap() + 1 - 3;
        let three = open(&three.replacen("85", &length.to_string(), 1)).unwrap();
        assert_eq!(three.revision, Revision::Three);
        assert_eq!(three.max_payload, None);
        for other in ["", "<html>", "0", "0{}", "ok", "9999:0{}", "1:0"] {
            assert_eq!(open(other), None, "{other}");
        }
    }

    #[test]
    fn payloads_hold_packets() {
        assert_eq!(packets(Revision::Four, "2\u{1e}40"), ["2", "40"]);
        assert_eq!(packets(Revision::Three, "1:22:403:4🚢"), ["2", "40", "4🚢"]);
        assert_eq!(packets(Revision::Three, "5:40"), Vec::<&str>::new());
        assert_eq!(payload(Revision::Three, "40"), "2:40");
    }

    #[test]
    fn the_question_is_answered_by_a_refusal() {
        assert_eq!(question(), "40/berth-doctor,");
        assert_eq!(large_question(1000).len(), 1000);
        assert!(is_answer(
            r#"44/berth-doctor,{"message":"Invalid namespace"}"#
        ));
        assert!(is_answer(r#"40/berth-doctor,{"sid":"x"}"#));
        assert!(!is_answer("2"));
        assert!(!is_answer("40"));
        assert!(!is_answer(r#"42["event"]"#));
    }

    #[test]
    fn refusals_are_told_apart() {
        let check = |body: &str| refused(body);
        let unknown = Some(Refused::SessionUnknown);
        assert_eq!(
            check(r#"{"code":1,"message":"Session ID unknown"}"#),
            unknown
        );
        assert_eq!(
            check(r#"{"code":"1","message":"Session ID unknown"}"#),
            unknown
        );
        assert_eq!(check("Session ID unknown"), unknown);
        assert_eq!(check("\"Invalid session abc\""), unknown);
        assert_eq!(
            check(r#"{"code":3,"message":"Bad request"}"#),
            Some(Refused::BadRequest)
        );
        assert_eq!(
            check(r#"{"code":0,"message":"Transport unknown"}"#),
            Some(Refused::TransportUnknown)
        );
        assert_eq!(check("Bad Request"), Some(Refused::BadRequest));
        assert_eq!(check("<html><h1>400 Bad Request</h1></html>"), None);
        assert_eq!(check(""), None);
    }

    proptest! {
        #[test]
        fn any_answer_of_a_server_is_read_or_makes_no_sense(
            text in any::<String>(),
            lengths in "[0-9]{0,25}:[\\PC]{0,20}[0-9:\u{1e}{}\"]{0,20}",
        ) {
            for body in [&text, &lengths] {
                black_box((open(body), refused(body), is_answer(body)));
                for revision in [Revision::Three, Revision::Four] {
                    black_box(packets(revision, body));
                }
            }
        }

        #[test]
        fn what_is_sent_is_read_as_it_was(packets_sent in vec("[ -~]{0,20}", 1..5)) {
            let sent = packets_sent.iter();
            let body: String = sent.map(|packet| payload(Revision::Three, packet)).collect();
            prop_assert_eq!(packets(Revision::Three, &body), packets_sent);
        }
    }
}
