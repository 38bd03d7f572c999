//! Engine.IO 4 and Socket.IO 5 packets, as far as a chat client needs them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json};

/// A message as a live event or in a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) room_id: Cow<'a, str>,
    pub(super) seq: u64,
    #[serde(borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) content: Cow<'a, str>,
}

/// What a server says.
#[derive(Debug)]
pub(super) enum Packet<'a> {
    Open,
    Ping,
    Connected,
    /// The namespace refuses us.
    Refused(&'a str),
    /// The server ends the session.
    Ended,
    Ack {
        id: u64,
        body: Value,
    },
    Message(Message<'a>),
    Event {
        name: String,
        body: Value,
    },
    Other,
}

const MESSAGE: &str = "[\"message\",";

pub(super) fn read(packet: &str) -> Packet<'_> {
    match packet.as_bytes() {
        [b'0', ..] => Packet::Open,
        [b'1', ..] | [b'4', b'1', ..] => Packet::Ended,
        [b'2', ..] => Packet::Ping,
        [b'4', b'0', ..] => Packet::Connected,
        [b'4', b'2', ..] => event(&packet[2..]),
        [b'4', b'3', ..] => ack(&packet[2..]),
        [b'4', b'4', ..] => Packet::Refused(&packet[2..]),
        _ => Packet::Other,
    }
}

fn event(text: &str) -> Packet<'_> {
    // Most of what is heard; read without building a tree.
    if let Some(rest) = text.strip_prefix(MESSAGE)
        && let Ok(message) = serde_json::from_str(rest.trim_end_matches(']'))
    {
        return Packet::Message(message);
    }
    let Ok(mut words) = serde_json::from_str::<Vec<Value>>(text) else {
        return Packet::Other;
    };
    let body = if words.len() > 1 {
        words.swap_remove(1)
    } else {
        Value::Null
    };
    match words.first().and_then(Value::as_str) {
        Some(name) => Packet::Event {
            name: name.to_owned(),
            body,
        },
        None => Packet::Other,
    }
}

fn ack(text: &str) -> Packet<'_> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (id, json) = text.split_at(digits);
    let body = serde_json::from_str::<Vec<Value>>(json)
        .ok()
        .and_then(|words| words.into_iter().next());
    match (id.parse(), body) {
        (Ok(id), Some(body)) => Packet::Ack { id, body },
        _ => Packet::Other,
    }
}

/// The packet of an event, with an acknowledgement wanted or not.
pub(super) fn emit(id: Option<u64>, event: &str, argument: &Value) -> String {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    format!("42{id}{}", json!([event, argument]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_told_apart() {
        assert!(matches!(read("0{\"sid\":\"a\"}"), Packet::Open));
        assert!(matches!(read("2"), Packet::Ping));
        assert!(matches!(read("40{\"sid\":\"a\"}"), Packet::Connected));
        assert!(matches!(read("41"), Packet::Ended));
        assert!(matches!(
            read("44{\"message\":\"UNAUTHORIZED\"}"),
            Packet::Refused(_)
        ));
        let Packet::Ack { id: 12, body } = read("4312[{\"ok\":true,\"seq\":5}]") else {
            panic!("an ack")
        };
        assert_eq!(body["seq"], 5);
        let text =
            r#"42["message",{"id":"x","roomId":"r-1","seq":7,"kind":"message","content":"1.2 x"}]"#;
        let Packet::Message(message) = read(text) else {
            panic!("a message")
        };
        assert_eq!(
            (&*message.room_id, message.seq, &*message.content),
            ("r-1", 7, "1.2 x")
        );
        let Packet::Event { name, body } = read(r#"42["welcome",{"instanceId":"b"}]"#) else {
            panic!("an event")
        };
        assert_eq!(
            (name.as_str(), &body["instanceId"]),
            ("welcome", &json!("b"))
        );
    }

    #[test]
    fn an_event_is_written_with_and_without_an_ack() {
        assert_eq!(emit(Some(3), "a", &json!(1)), r#"423["a",1]"#);
        assert_eq!(emit(None, "a", &json!("b")), r#"42["a","b"]"#);
    }
}
