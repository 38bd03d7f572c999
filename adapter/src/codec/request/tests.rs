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

#[test]
fn an_acknowledgement_is_its_first_argument() {
    let text = |json: &'static str| Value::Str(json.into(), None);
    let head = b"\x83\xa4type\x09\xa9requestId\xa1r\xa6packet";
    for (ack, packet) in [
        (r#"["pong",2]"#, &b"\xa4pong"[..]),
        (r#"[{"a":1}]"#, b"\x81\xa1a\x01"),
        ("[]", b"\xc0"),
    ] {
        assert_eq!(
            encode_ack("r", &text(ack)).unwrap(),
            [head, packet].concat(),
            "{ack}"
        );
    }
    assert_eq!(
        encode_client_count("jaCOpe", 1).unwrap(),
        br#"{"type":8,"requestId":"jaCOpe","clientCount":1}"#
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
