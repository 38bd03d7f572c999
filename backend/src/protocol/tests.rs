use proptest::prelude::{any, prop_assert, proptest};
use serde_json::{Value, json};

use super::*;
use crate::chat::change::{Change, Deed};
use crate::chat::message::{Draft, Entry, Marks, Place, Reactions, Sender};
use crate::chat::refusal::Code;

fn list(value: Value) -> Vec<Value> {
    value.as_array().unwrap().clone()
}

#[track_caller]
fn sends(arguments: Value, room: &str, content: &str) {
    let request = SendRequest::read(list(arguments)).unwrap();
    assert_eq!(
        (request.room.as_str(), request.wish.content.as_str()),
        (room, content)
    );
}

#[track_caller]
fn bad(result: Result<impl std::fmt::Debug, Refusal>) {
    assert_eq!(result.unwrap_err().code, Code::BadRequest);
}

#[test]
fn send_message_in_every_form() {
    sends(json!(["r", {"content": "hi", "type": "text"}]), "r", "hi");
    sends(json!([{"roomId": "r", "content": "hi"}]), "r", "hi");
    sends(json!(["r", "hi"]), "r", "hi");
    sends(
        json!(["r", {"content": "hi", "unknown": [1, {}]}, "more", null]),
        "r",
        "hi",
    );
}

#[test]
fn changes_in_both_forms() {
    let of = |request: Result<ChangeRequest, Refusal>| {
        let request = request.unwrap();
        (request.room.as_str().to_owned(), request.change)
    };
    let change = |deed| {
        let change = Change {
            ref_seq: 7,
            deed,
            client_msg_id: Some("c".to_owned()),
        };
        ("r".to_owned(), change)
    };
    let edit = change(Deed::Edit {
        content: "hi".to_owned(),
    });
    let fields =
        json!({"roomId": "r", "seq": 7, "content": "hi", "emoji": "👍", "clientMsgId": "c"});
    for arguments in [json!([fields]), json!(["r", fields])] {
        let arguments = list(arguments);
        assert_eq!(of(ChangeRequest::edit(arguments.clone())), edit);
        assert_eq!(
            of(ChangeRequest::delete(arguments.clone())),
            change(Deed::Delete)
        );
        for added in [true, false] {
            let emoji = "👍".to_owned();
            assert_eq!(
                of(ChangeRequest::react(arguments.clone(), added)),
                change(Deed::React { emoji, added })
            );
        }
    }
    bad(ChangeRequest::delete(list(json!(["r", {}]))));
    bad(ChangeRequest::edit(list(json!(["r", {"seq": 1}]))));
    bad(ChangeRequest::react(
        list(json!(["r", {"seq": -1, "emoji": "👍"}])),
        true,
    ));
    bad(ChangeRequest::react(list(json!(["r", {"seq": 1}])), true));
}

/// The event and the fields that not every entry has.
fn shown_as(entry: Entry) -> (&'static str, Value) {
    let draft = Draft {
        id: uuid::Uuid::nil(),
        sender: Sender {
            id: "u1".to_owned(),
            name: "Ann".to_owned(),
        },
        client_msg_id: "c".to_owned(),
        entry,
        timestamp_ms: 0,
    };
    let mut message = draft.placed(&RoomIdOf("r"), Place { seq: 9, n: 8 });
    if message.entry.kind() == "message" {
        message.marks = Marks {
            edited_at_ms: Some(1000),
            deleted_at_ms: None,
            reactions: vec![Reactions {
                emoji: "👍".to_owned(),
                users: (0..60).map(|n| n.to_string()).collect(),
            }],
        };
    }
    let (event, body) = shown(&message);
    let mut body = serde_json::to_value(body).unwrap();
    let fields = body.as_object_mut().unwrap();
    let always = "id roomId seq senderId senderName timestamp clientMsgId";
    for field in always.split(' ') {
        assert!(fields.remove(field).is_some(), "{field} of {event}");
    }
    (event, body)
}

#[test]
fn a_message_shows_what_was_done_to_it() {
    let (event, body) = shown_as(Entry::Message {
        message_type: "text".to_owned(),
        content: "hi".to_owned(),
        reply_to: Some(3),
    });
    assert_eq!(event, "message");
    assert_eq!(
        (&body["kind"], &body["type"]),
        (&json!("message"), &json!("text"))
    );
    assert_eq!(
        (&body["content"], &body["replyTo"]),
        (&json!("hi"), &json!(3))
    );
    assert_eq!(body["editedAt"], "1970-01-01T00:00:01.000Z");
    let reactions = &body["reactions"][0];
    assert_eq!(reactions["count"], 60);
    assert_eq!(reactions["users"].as_array().unwrap().len(), 50);
}

#[test]
fn each_kind_of_entry_has_its_event_and_its_fields() {
    let emoji = "👍".to_owned();
    let entries = [
        (
            Entry::Edit {
                ref_seq: 3,
                content: "ho".to_owned(),
            },
            (
                "messageUpdated",
                json!({"kind": "edit", "refSeq": 3, "content": "ho"}),
            ),
        ),
        (
            Entry::Delete { ref_seq: 3 },
            ("messageDeleted", json!({"kind": "delete", "refSeq": 3})),
        ),
        (
            Entry::Reaction {
                ref_seq: 3,
                emoji,
                added: false,
            },
            (
                "reaction",
                json!({"kind": "reaction", "refSeq": 3, "emoji": "👍", "added": false}),
            ),
        ),
        (
            Entry::System {
                event: "memberJoined".to_owned(),
                content: "Ann has joined".to_owned(),
                subject: Some("u1".to_owned()),
            },
            (
                "systemMessage",
                json!({"kind": "system", "type": "memberJoined", "content": "Ann has joined", "subjectId": "u1"}),
            ),
        ),
    ];
    for (entry, expected) in entries {
        assert_eq!(shown_as(entry), expected);
    }
}

#[test]
fn join_and_history_in_every_form() {
    let wanted = JoinRequest {
        room: RoomIdOf("r"),
        last_seq: Some(7),
        epoch: Some("e".into()),
        limit: Some(5),
    };
    let fields = json!({"lastSeq": 7, "epoch": "e", "limit": 5});
    assert_eq!(
        JoinRequest::read(list(json!(["r", fields]))).unwrap(),
        wanted
    );
    let object = json!([{"roomId": "r", "lastSeq": 7, "epoch": "e", "limit": 5}]);
    assert_eq!(JoinRequest::read(list(object)).unwrap(), wanted);
    assert_eq!(
        JoinRequest::read(list(json!(["r", null])))
            .unwrap()
            .last_seq,
        None
    );
    let history = HistoryRequest::read(list(json!([{"roomId": "r", "before": 9}]))).unwrap();
    assert_eq!(
        history.cursor,
        Cursor {
            before: Some(9),
            ..Cursor::default()
        }
    );
}

#[expect(non_snake_case, reason = "reads as the constructor it stands for")]
fn RoomIdOf(text: &str) -> crate::chat::room::RoomId {
    crate::chat::room::RoomId::parse(text).unwrap()
}

#[test]
fn malformed_arguments_are_refused() {
    for arguments in [
        json!([]),
        json!([null]),
        json!([42]),
        json!([true, {}]),
        json!([[["r"]]]),
        json!([{}]),
        json!([{"roomId": 5, "content": "x"}]),
        json!(["", {"content": "x"}]),
        json!(["r\u{0}", {"content": "x"}]),
        json!(["r"]),
        json!(["r", 7]),
        json!(["r", []]),
        json!(["r", {}]),
        json!(["r", {"content": null}]),
        json!(["r", {"content": {"_placeholder": true, "num": 0}}]),
        json!(["r", {"content": "x", "type": 1}]),
        json!(["r", {"content": "x", "clientMsgId": ["a"]}]),
    ] {
        bad(SendRequest::read(list(arguments)));
    }
    for fields in [
        json!({"limit": -1}),
        json!({"lastSeq": 1.5}),
        json!({"lastSeq": "7"}),
    ] {
        bad(JoinRequest::read(vec![json!("r"), fields]));
    }
    bad(arguments(&format!(
        "{}{}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    )));
    bad(arguments("[]"));
    bad(arguments("{}"));
    bad(arguments("[\"x\""));
}

#[test]
fn refusals_on_the_wire() {
    let refusal = Refusal::new(Code::RateLimited, "slow down").retry_after_ms(5);
    assert_eq!(
        serde_json::to_value(Refused::ack(&refusal)).unwrap(),
        json!({"ok": false, "error": {"code": "RATE_LIMITED", "message": "slow down", "retryable": true, "retryAfterMs": 5}})
    );
    let refusal = Refusal::new(Code::NotMember, "join first");
    let context = Context {
        event: "sendMessage",
        room_id: Some("r"),
        client_msg_id: None,
    };
    assert_eq!(
        serde_json::to_value(Refused::event(&refusal, context)).unwrap(),
        json!({"ok": false, "error": {"code": "NOT_MEMBER", "message": "join first", "retryable": false},
            "event": "sendMessage", "roomId": "r"})
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(packet in any::<String>()) {
        if let Ok(arguments) = arguments(&packet) {
            prop_assert!(SendRequest::read(arguments.clone()).is_ok() || SendRequest::read(arguments).is_err());
        }
    }
}

#[test]
fn an_event_is_known_by_its_name_alone() {
    for event in Event::ALL {
        let name = event.as_str();
        for text in [format!(r#"["{name}"]"#), format!(" [ \"{name}\" , 1]")] {
            assert_eq!(Event::of(&text), Some(event), "{text}");
        }
        assert_eq!(Event::of(&format!(r#"["{name}s"]"#)), None);
    }
    for text in [
        "",
        "[",
        "[]",
        r#"[""]"#,
        r#"["joinRoom"#,
        r#"{"joinRoom":1}"#,
    ] {
        assert_eq!(Event::of(text), None, "{text}");
    }
}
