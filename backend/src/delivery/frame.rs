//! What an event on the bus says about its place in a log: enough to put it in line, without looking at what it is.
//!
//! Pure. An entry of a log is `["name",{"roomId":…,"seq":…,…}]`, whatever its kind. Everything else is somebody else's event.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::chat::room::RoomId;
use crate::date::parse_iso;

/// An entry's place, and when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) room: RoomId,
    pub(super) seq: u64,
    pub(super) made_ms: Option<i64>,
    /// Which log it is of, where that is said.
    pub(super) epoch: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    room_id: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow)]
    epoch: Option<Cow<'a, str>>,
}

/// Says where a room's log ends, in the same form.
pub(super) fn end(room: &RoomId, seq: u64, epoch: Option<&str>) -> String {
    serde_json::json!(["end", { "roomId": room.as_str(), "seq": seq, "epoch": epoch }]).to_string()
}

/// The place of an event that is for this room, if it has one.
pub(super) fn read(event: &str, room: &str) -> Option<Frame> {
    let (_name, body): (IgnoredAny, Body<'_>) = serde_json::from_str(event).ok()?;
    let is_in_log = body.room_id == room && body.seq > 0;
    is_in_log.then_some(())?;
    Some(Frame {
        room: RoomId::parse(room).ok()?,
        seq: body.seq,
        made_ms: body.timestamp.and_then(|text| parse_iso(&text)),
        epoch: body.epoch.map(Cow::into_owned),
    })
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn an_entry_of_any_kind_has_its_place() {
        let room = RoomId::parse("r").unwrap();
        let texts = [
            r#"["message",{"id":"x","roomId":"r","seq":7,"content":"\"hi\"","timestamp":"1970-01-01T00:00:01.000Z"}]"#,
            r#"["messageUpdated",{"seq":7,"refSeq":3,"roomId":"\u0072","timestamp":"1970-01-01T00:00:01.000Z"}]"#,
        ];
        for text in texts {
            let (seq, made_ms) = (7, Some(1_000));
            let (room, epoch) = (room.clone(), None);
            assert_eq!(
                read(text, "r"),
                Some(Frame {
                    room,
                    seq,
                    made_ms,
                    epoch
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn an_end_is_read_as_it_was_said() {
        let room = RoomId::parse("r \"1\"").unwrap();
        let frame = read(&end(&room, 7, Some("e")), room.as_str()).unwrap();
        assert_eq!((frame.seq, frame.epoch.as_deref()), (7, Some("e")));
        assert_eq!(
            read(&end(&room, 7, None), room.as_str()).unwrap().epoch,
            None
        );
    }

    #[test]
    fn other_events_have_none() {
        let texts = [
            "",
            "[]",
            r#"["message"]"#,
            r#"["message","hi"]"#,
            r#"["message",{"roomId":"r"}]"#,
            r#"["message",{"roomId":"other","seq":7}]"#,
            r#"["message",{"roomId":"r","seq":0}]"#,
            r#"["message",{"roomId":"r","seq":-1}]"#,
            r#"["message",{"roomId":"r","seq":"7"}]"#,
            r#"["message",{"roomId":"r","seq":7},"more"]"#,
            r#"["message",{"roomId":"r","seq":7}"#,
        ];
        for text in texts {
            assert_eq!(read(text, "r"), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_event_of_the_bus_has_a_place_or_none(
            text in any::<String>(),
            fields in r#"\["e",\{("roomId":"r"|"seq":-?[0-9]{1,22}|"epoch":[0-9"]{1,3}|,|[{}\]]){0,6}\}\]"#,
        ) {
            black_box((read(&text, "r"), read(&fields, "r")));
        }

        #[test]
        fn an_end_of_any_room_is_read_as_it_was_said(
            name in "[\\PC]{1,20}",
            seq in 1..u64::MAX,
            epoch in proptest::option::of("[\\PC]{0,9}"),
        ) {
            if let Ok(room) = RoomId::parse(&name) {
                let frame = read(&end(&room, seq, epoch.as_deref()), room.as_str());
                let made_ms = None;
                prop_assert_eq!(frame, Some(Frame { room, seq, made_ms, epoch }));
            }
        }
    }
}
