use proptest::prelude::{any, prop_assert, proptest};
use serde_json::{Value, json};

use super::*;
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
