//! Socket.IO's packets in the main namespace, as WebSocket messages: what goes into a client's outbox. Pure.

use std::ops::Deref;

use bytes::{Bytes, BytesMut};
use engineioxide::frame;
use serde::Serialize;

/// Engine.IO's "message", and Socket.IO's "event" and "ack".
const EVENT: &str = "42";
const ACK: &str = "43";

/// An event, `["name",…]`.
pub(super) fn event(event: &str) -> Bytes {
    events(&[event])
}

/// Events, each a message of its own, one behind the other.
pub(super) fn events(events: &[impl Deref<Target = str>]) -> Bytes {
    let bytes = events
        .iter()
        .map(|event| frame::text_bytes(&[EVENT, event]));
    let mut run = BytesMut::with_capacity(bytes.sum());
    for event in events {
        frame::put_text(&mut run, &[EVENT, event]);
    }
    run.freeze()
}

/// The answer to a client's event.
pub(super) fn ack(id: i64, body: &impl Serialize) -> serde_json::Result<Bytes> {
    let body = serde_json::to_string(body)?;
    Ok(frame::text(&[ACK, &id.to_string(), "[", &body, "]"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engineioxide::frame::{Message, Messages};

    #[test]
    fn packets_are_as_socket_io_writes_them() {
        let texts = |frame: &Bytes| -> Vec<String> {
            let texts = Messages::of(frame).map(|message| match message {
                Message::Text(text) => String::from_utf8_lossy(text).into_owned(),
                Message::Binary(_) => "binary".to_owned(),
            });
            texts.collect()
        };
        assert_eq!(texts(&event(r#"["hi",1]"#)), [r#"42["hi",1]"#]);
        let both = [r#"["hi",1]"#, r#"["hi",2]"#];
        assert_eq!(
            texts(&events(&both)),
            both.map(|event| format!("42{event}"))
        );
        let body = serde_json::json!({"ok": true});
        assert_eq!(texts(&ack(17, &body).unwrap()), [r#"4317[{"ok":true}]"#]);
    }
}
