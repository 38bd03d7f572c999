use serde_json::json;

use super::super::packet;
use super::*;

fn mind(kind: Kind) -> Mind {
    let character = Character {
        id: 5,
        kind,
        rooms: vec![0],
        syncs: true,
        window: 8,
        content_bytes: 10,
        watches: false,
        polls: false,
    };
    Mind::new(character, Rooms::of("r"))
}

fn hear(mind: &mut Mind, packet: &str, now: u64) -> Vec<Act> {
    mind.heard(packet::read(packet), now)
}

fn sent(acts: &[Act]) -> Vec<&str> {
    let sends = acts.iter().filter_map(|act| match act {
        Act::Send(packet) => Some(packet.as_str()),
        Act::Write(_) | Act::Renew(_) => None,
    });
    sends.collect()
}

fn written(acts: &[Act]) -> Vec<&Did> {
    let dids = acts.iter().filter_map(|act| match act {
        Act::Write(did) => Some(did),
        Act::Send(_) | Act::Renew(_) => None,
    });
    dids.collect()
}

fn message(seq: u64) -> serde_json::Value {
    json!({ "roomId": "r-0", "seq": seq, "kind": "message", "content": format!("1.{seq} xx") })
}

fn live(seq: u64) -> String {
    format!("42{}", json!(["message", message(seq)]))
}

fn joined(id: u64, last: u64, seqs: &[u64]) -> String {
    let messages: Vec<_> = seqs.iter().map(|seq| message(*seq)).collect();
    let body = json!({ "ok": true, "epoch": "e", "lastSeq": last, "messages": messages });
    format!("43{id}{}", json!([body]))
}

#[test]
fn comes_back_with_its_cursor_and_pages_until_nothing_is_missing() {
    let mut mind = mind(Kind::Good);
    let acts = mind.connected("b", 7, 0);
    assert_eq!(
        sent(&acts),
        [r#"420["joinRoom",{"roomId":"r-0","limit":1}]"#]
    );
    hear(&mut mind, &joined(0, 2, &[2]), 1);
    hear(&mut mind, &live(3), 2);
    mind.lost();

    let acts = mind.connected("c", 7, 3);
    assert!(
        sent(&acts)[0].contains(r#""lastSeq":3,"epoch":"e""#),
        "{acts:?}"
    );
    let acts = hear(&mut mind, &joined(1, 6, &[4]), 4);
    assert_eq!(
        sent(&acts),
        [r#"422["getHistory",{"roomId":"r-0","after":4,"limit":200}]"#]
    );
    assert!(!written(&acts).contains(&&Did::CaughtUp));
    let acts = hear(&mut mind, &joined(2, 6, &[5, 6]), 5);
    assert!(written(&acts).contains(&&Did::CaughtUp), "{acts:?}");
    assert_eq!(mind.standing().cursors, [(0, Some(6))]);
}

#[test]
fn a_gap_is_asked_for_after_a_moment() {
    let mut mind = mind(Kind::Good);
    mind.connected("b", 7, 0);
    hear(&mut mind, &joined(0, 0, &[]), 1);
    let acts = hear(&mut mind, &live(2), 10);
    assert_eq!(sent(&acts), Vec::<&str>::new());
    let at = mind.wake_at().unwrap();
    assert_eq!(sent(&mind.tick(at)).len(), 1);
}

#[test]
fn what_was_not_acked_is_sent_again_with_the_same_id() {
    let mut mind = mind(Kind::Good);
    mind.connected("b", 7, 0);
    hear(&mut mind, &joined(0, 0, &[]), 1);
    let (mark, acts) = mind.say(0, 2);
    assert!(
        sent(&acts)[0].contains(r#""clientMsgId":"m-5-1""#),
        "{acts:?}"
    );
    // No answer, then a lost connection.
    let acts = mind.tick(2 + ANSWER_PATIENCE_MICROS);
    assert!(sent(&acts)[0].contains("m-5-1"), "{acts:?}");
    mind.lost();
    mind.connected("b", 7, 3);
    let acts = hear(&mut mind, &joined(3, 0, &[]), 4);
    assert!(sent(&acts)[0].contains("m-5-1"), "{acts:?}");
    let third = Did::Send {
        room: 0,
        mark: mark.unwrap(),
        attempt: 3,
    };
    assert!(written(&acts).contains(&&third), "{acts:?}");
    hear(
        &mut mind,
        "434[{\"ok\":true,\"seq\":1,\"duplicate\":true}]",
        5,
    );
    assert_eq!(mind.standing().unacked, 0);
}

#[test]
fn a_refused_message_is_sent_again_when_the_server_says_so() {
    let mut mind = mind(Kind::Good);
    mind.connected("b", 7, 0);
    hear(&mut mind, &joined(0, 0, &[]), 1);
    mind.say(0, 2);
    let no =
        r#"431[{"ok":false,"error":{"code":"OVERLOADED","retryable":true,"retryAfterMs":50}}]"#;
    assert_eq!(sent(&hear(&mut mind, no, 10)), Vec::<&str>::new());
    assert_eq!(mind.wake_at(), Some(50_010));
    assert_eq!(sent(&mind.tick(50_010)).len(), 1);
}

#[test]
fn a_vanilla_client_knows_no_ids_and_no_acks() {
    let mut mind = mind(Kind::Vanilla);
    let acts = mind.connected("b", 7, 0);
    assert_eq!(sent(&acts), [r#"42["joinRoom","r-0"]"#]);
    let (_, acts) = mind.say(0, 1);
    assert_eq!(
        sent(&acts),
        [r#"42["sendMessage",{"roomId":"r-0","content":"5.1 xxxxxx","type":"text"}]"#]
    );
    hear(&mut mind, &live(9), 2);
    assert_eq!(mind.standing().cursors, [(0, Some(9))]);
}

#[test]
fn what_no_room_of_the_row_can_have_said_is_a_stray() {
    let mut mind = mind(Kind::Good);
    mind.connected("b", 7, 0);
    let foreign = r#"42["message",{"roomId":"x-0","seq":1,"kind":"message","content":"1.1 x"}]"#;
    let acts = hear(&mut mind, foreign, 1);
    assert!(matches!(written(&acts)[0], Did::Stray { .. }), "{acts:?}");
}

#[test]
fn comes_back_into_several_rooms_by_one_question() {
    let mut mind = mind(Kind::Good);
    mind.character.rooms = vec![0, 1];
    mind.seats.insert(1, Seat::default());
    mind.connected("b", 7, 0);
    hear(&mut mind, &joined(0, 3, &[3]), 1);
    hear(&mut mind, &joined(1, 0, &[]), 1);
    mind.lost();
    let acts = mind.connected("c", 7, 2);
    assert_eq!(
        sent(&acts),
        [
            r#"422["sync",{"rooms":[{"roomId":"r-0","lastSeq":3,"epoch":"e"},{"roomId":"r-1","lastSeq":0,"epoch":"e"}]}]"#
        ]
    );
    let first = json!({ "roomId": "r-0", "epoch": "e", "lastSeq": 4, "messages": [message(4)] });
    let second = json!({ "roomId": "r-1", "error": { "code": "UNAVAILABLE", "retryAfterMs": 5 } });
    let answer = json!([{ "ok": true, "rooms": [first, second] }]);
    let acts = hear(&mut mind, &format!("432{answer}"), 3);
    assert!(!written(&acts).contains(&&Did::CaughtUp), "{acts:?}");
    let acts = mind.tick(5_003);
    assert!(
        sent(&acts)[0].starts_with(r#"423["joinRoom",{"roomId":"r-1","lastSeq":0"#),
        "{acts:?}"
    );
    let acts = hear(&mut mind, &joined(3, 0, &[]), 5_004);
    assert!(written(&acts).contains(&&Did::CaughtUp), "{acts:?}");
    assert_eq!(mind.standing().cursors, [(0, Some(4)), (1, Some(0))]);
}

#[test]
fn follows_who_is_there_and_looks_where_nothing_said_it() {
    let mut mind = mind(Kind::Good);
    mind.character.watches = true;
    mind.connected("b", 7, 0);
    let list = json!([{ "id": "ann" }]);
    let body = json!({ "ok": true, "epoch": "e", "lastSeq": 0, "messages": [],
        "presence": { "count": 1, "users": list } });
    let acts = hear(&mut mind, &format!("430{}", json!([body])), 1);
    assert!(matches!(
        written(&acts)[..],
        [Did::Joined { .. }, Did::Present { .. }, Did::CaughtUp]
    ));
    let news = json!(["presence", { "roomId": "r-0", "joined": [{ "id": "ben" }], "left": [], "count": 2 }]);
    let acts = hear(&mut mind, &format!("42{news}"), 2);
    assert!(matches!(
        written(&acts)[..],
        [Did::Presence { count: 2, .. }]
    ));
    assert!(sent(&acts).is_empty());
    // It was somebody whose name it has not heard.
    let news = json!(["presence", { "roomId": "r-0", "joined": [], "left": [], "count": 3 }]);
    let acts = hear(&mut mind, &format!("42{news}"), 2_000_000);
    assert_eq!(sent(&acts), [r#"421["getPresence",{"roomId":"r-0"}]"#]);
    // What it is told to look at it asks again.
    let answer = json!({ "ok": true, "count": 1, "users": list });
    hear(&mut mind, &format!("431{}", json!([answer])), 2_000_001);
    assert!(!mind.standing().has_looked);
    let acts = mind.look_around(2_000_002);
    assert_eq!(sent(&acts), [r#"422["getPresence",{"roomId":"r-0"}]"#]);
    let acts = hear(&mut mind, &format!("432{}", json!([answer])), 2_000_003);
    assert!(matches!(
        written(&acts)[..],
        [Did::Present {
            people: Some(_),
            ..
        }]
    ));
    assert!(mind.standing().has_looked);
}
