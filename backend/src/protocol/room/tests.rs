use serde_json::json;

use super::*;
use crate::chat::refusal::Code;

fn of(fields: Value) -> Vec<Value> {
    vec![fields]
}

#[track_caller]
fn bad(result: Result<impl std::fmt::Debug, Refusal>) {
    let code = result.unwrap_err().code;
    assert!(
        matches!(code, Code::BadRequest | Code::PayloadTooLarge),
        "{code:?}"
    );
}

#[test]
fn a_room_is_private_unless_it_is_said() {
    let request = CreateRequest::read(of(json!({"name": " Team "}))).unwrap();
    let expected = CreateRequest {
        room: None,
        name: "Team".to_owned(),
        access: Access::Private,
        rules: Rules::default(),
    };
    assert_eq!(request, expected);
    let fields = json!({"name": "Team", "type": "public", "roomId": "team",
        "settings": {"slowModeMs": 5000, "readOnly": true, "maxMembers": 9, "unknown": 1}});
    let request = CreateRequest::read(of(fields)).unwrap();
    assert_eq!(request.access, Access::Public);
    let rules = Rules {
        slow_mode_ms: 5_000,
        read_only: true,
        members_max: 9,
    };
    assert_eq!(request.rules, rules);
    for fields in [
        json!({}),
        json!({"name": " "}),
        json!({"name": "x".repeat(129)}),
        json!({"name": "x", "type": "dm"}),
        json!({"name": "x", "roomId": ""}),
        json!({"name": "x", "settings": 7}),
        json!({"name": "x", "settings": {"slowModeMs": -1}}),
        json!({"name": "x", "settings": {"slowModeMs": 1_u64 << 32}}),
        json!({"name": "x", "settings": {"readOnly": "yes"}}),
        json!("x"),
    ] {
        bad(CreateRequest::read(of(fields)));
    }
    bad(CreateRequest::read(vec![]));
}

#[test]
fn an_update_changes_what_it_names() {
    let room = Room {
        id: RoomId::parse("r").unwrap(),
        name: "Before".to_owned(),
        access: Access::Private,
        created_by: None,
        created_at_ms: 0,
        rules: Rules {
            slow_mode_ms: 7,
            read_only: true,
            members_max: 3,
        },
        version: 0,
    };
    let updated = |fields: Value| {
        UpdateRequest::read(of(fields))
            .and_then(|request| request.applied_to(&room))
            .unwrap()
    };
    assert_eq!(updated(json!({"roomId": "r"})), room);
    let after = updated(json!({"roomId": "r", "name": "After", "settings": {"slowModeMs": 0}}));
    assert_eq!(
        (after.name.as_str(), after.rules.slow_mode_ms),
        ("After", 0)
    );
    assert!(after.rules.read_only);
}

#[test]
fn bans_and_mutes_have_an_end_or_none() {
    let until = |fields: Value| MemberRequest::read(of(fields)).unwrap().until_ms(1_000);
    let ask = |ms: Value| json!({"roomId": "r", "userId": "u", "durationMs": ms});
    assert_eq!(until(ask(json!(500))), Some(1_500));
    assert_eq!(until(ask(json!(0))), None);
    assert_eq!(until(ask(Value::Null)), Some(FOREVER));
    assert_eq!(until(ask(json!(u64::MAX))), Some(FOREVER));
    assert_eq!(Until::from(FOREVER).0, "forever");
    assert_eq!(Until::from(1_000).0, "1970-01-01T00:00:01.000Z");
    bad(MemberRequest::read(of(json!({"roomId": "r"}))));
    bad(MemberRequest::read(of(
        json!({"roomId": "r", "userId": "x".repeat(129)}),
    )));
    bad(MemberRequest::read(of(
        json!({"roomId": "r", "userId": "u", "role": "king"}),
    )));
    bad(MemberRequest::read(of(
        json!({"roomId": "r", "userId": "u", "reason": "a\nb"}),
    )));
}
