use proptest::prelude::*;

use super::*;

fn audience(rooms: &[&str], except: &[&str]) -> Audience {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Audience {
        rooms: names(rooms),
        except: names(except),
        volatile: false,
    }
}

/// Captured from Node.
#[test]
fn changes_are_written_as_node_writes_them() {
    let names = ["n1".to_owned(), "n2".to_owned()];
    let lobby = audience(&["lobby"], &[]);
    let text = |change| String::from_utf8(encode_change("u", change, &lobby).unwrap()).unwrap();
    assert_eq!(
        text(Change::Join(&names)),
        r#"{"uid":"u","type":2,"opts":{"rooms":["lobby"],"except":[]},"rooms":["n1","n2"]}"#
    );
    assert_eq!(
        text(Change::Leave(&names[..1])),
        r#"{"uid":"u","type":3,"opts":{"rooms":["lobby"],"except":[]},"rooms":["n1"]}"#
    );
    assert_eq!(
        text(Change::Disconnect),
        r#"{"uid":"u","type":4,"opts":{"rooms":["lobby"],"except":[]},"close":false}"#
    );
}

#[test]
fn events_between_servers_are_written_and_read_as_in_node() {
    let argument = serde_json::json!({"id": 7});
    let payload = encode_server_event("u", "hello", &argument).unwrap();
    assert_eq!(
        String::from_utf8(payload.clone()).unwrap(),
        r#"{"uid":"u","type":6,"data":["hello",{"id":7}]}"#
    );
    let request = decode(&payload).unwrap();
    assert_eq!(
        (request.kind, request.data),
        (Kind::ServerSideEmit, vec!["hello".into(), argument])
    );
}

#[test]
fn requests_of_every_age_are_read() {
    let emitter = br#"{"type":2,"opts":{"rooms":["lobby",7],"except":null},"rooms":["x",-1]}"#;
    let request = decode(emitter).unwrap();
    assert_eq!(
        (request.uid, request.id, request.kind),
        (None, None, Kind::Join)
    );
    assert_eq!(request.audience, Some(audience(&["lobby", "7"], &[])));
    assert_eq!(request.rooms, ["x", "-1"]);

    let old = br#"{"uid":"u","requestId":"r","type":3,"sid":"s","room":"x"}"#;
    let request = decode(old).unwrap();
    assert_eq!(
        (request.id.as_deref(), request.sid.as_deref()),
        (Some("r"), Some("s"))
    );
    assert_eq!(
        (request.audience, request.rooms),
        (None, vec!["x".to_owned()])
    );
}

#[test]
fn nonsense_is_refused() {
    for text in [
        "",
        "{",
        "{}",
        "[]",
        r#"{"type":99}"#,
        r#"{"type":"2"}"#,
        r#"{"type":2,"rooms":[{}]}"#,
    ] {
        assert!(decode(text.as_bytes()).is_err(), "{text}");
    }
    assert!(decode_acked_broadcast(b"\x80").is_err());
}

/// Captured from Node.
#[test]
fn questions_are_written_as_node_writes_them() {
    let lobby = audience(&["lobby"], &[]);
    let text = |question| {
        String::from_utf8(encode_question("neW5e6", "DMMdVK", question, &lobby).unwrap()).unwrap()
    };
    assert_eq!(
        text(Question::AllRooms),
        r#"{"uid":"neW5e6","requestId":"DMMdVK","type":1}"#
    );
    assert_eq!(
        text(Question::Sockets),
        r#"{"uid":"neW5e6","requestId":"DMMdVK","type":5,"opts":{"rooms":["lobby"],"except":[]}}"#
    );
}

/// Captured from Node: `io.timeout(800).emitWithAck("ping")`
#[test]
fn a_broadcast_that_wants_answers_is_written_as_node_writes_it() {
    let asker = Asker {
        uid: "neW5e6",
        id: "jaCOpe",
        timeout_ms: 800,
    };
    let data = Value::Str(r#"["q","ping"]"#.into(), None);
    let encoded = encode_acked_broadcast(asker, "/", &data, &Audience::default()).unwrap();
    let hex: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "85a3756964a66e6557356536a9726571756573744964a66a61434f7065a47479706507a67061636b657483a474\
         79706502a46461746192a171a470696e67a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490a5\
         666c61677381a774696d656f7574cd0320"
    );
    let decoded = decode_acked_broadcast(&encoded).unwrap();
    assert_eq!(
        (decoded.uid, decoded.id, decoded.timeout_ms),
        (Some("neW5e6"), "jaCOpe", Some(800))
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let _outcome = decode(&garbage);
        let _outcome = decode_acked_broadcast(&garbage);
    }

    #[test]
    fn any_json_is_read_or_refused(kind in 0..9_u8, rest in "[\\[\\]{}:,\"a-z0-9]{0,40}") {
        let _outcome = decode(format!("{{\"type\":{kind},{rest}}}").as_bytes());
    }
}
