use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(payload: &[u8], expected: Option<Answer>) {
    let decoded = decode(&Bytes::copy_from_slice(payload)).unwrap();
    assert_eq!(decoded, expected.map(|answer| ("r".to_owned(), answer)));
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

/// Of all that Node says about a socket only the id and the rooms are used.
#[test]
fn answers_are_read() {
    check(
        br#"{"requestId":"r","rooms":["a",1]}"#,
        Some(Answer::Rooms(vec!["a".to_owned(), "1".to_owned()])),
    );
    check(
        br#"{"requestId":"r","sockets":[{"id":"s","handshake":{"url":"/"},"rooms":["s"],"data":{}}]}"#,
        Some(Answer::Sockets(vec![RemoteSocket {
            id: "s".to_owned(),
            rooms: vec!["s".to_owned()],
        }])),
    );
    check(
        br#"{"type":8,"requestId":"r","clientCount":3}"#,
        Some(Answer::Clients(3)),
    );
    check(
        b"\x83\xa4type\x08\xa9requestId\xa1r\xabclientCount\x03",
        Some(Answer::Clients(3)),
    );
    let ack = Answer::Acknowledgement(Bytes::from_static(b"\xa4pong"));
    check(
        b"\x83\xa4type\x09\xa9requestId\xa1r\xa6packet\xa4pong",
        Some(ack),
    );
}

/// Answers to changes of versions before 4, and to events between servers.
#[test]
fn other_answers_are_nobodys() {
    check(br#"{"requestId":"r"}"#, None);
    check(br#"{"type":6,"requestId":"r","data":"world"}"#, None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let _outcome = decode(&Bytes::from(garbage));
    }
}
