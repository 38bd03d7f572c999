use proptest::prelude::*;

use super::*;
use crate::settings::{Key, Sid};

const TARGET: &str = "/socket.io/?EIO=4&transport=polling&t=x&sid=";
const NEW: &str = "0123456789abcdef0123456789abcdef";
const OLD: &str = "fedcba9876543210fedcba9876543210";

fn envelope(keys: &[&str]) -> Envelope {
    Envelope::new(&Sid {
        keys: keys.iter().copied().map(Key::new).collect(),
        answer_gone: true,
    })
}

fn bound(reading: Reading) -> Option<(String, String)> {
    match reading {
        Reading::Bound(bound) => Some((bound.tag.into(), bound.target.into())),
        _ => None,
    }
}

/// What an envelope without keys reads from a GET: `TAG TARGET`, or a word.
#[track_caller]
fn check(target: &str, expected: &str) {
    let read = match envelope(&[]).read("GET", target) {
        Reading::Plain => "plain".to_owned(),
        Reading::Handshake {
            revision,
            is_polling,
        } => format!("handshake {} {is_polling}", revision.label()),
        Reading::Forged => "forged".to_owned(),
        Reading::Bound(bound) => format!("{} {}", bound.tag, bound.target),
    };
    assert_eq!(read, expected, "{target}");
}

#[test]
fn a_tag_is_taken_off_and_the_rest_stays() {
    check(
        "/a%20b/?x=%7E~&EIO=4&sid=X~b&&transport=polling&t=~Q",
        "b /a%20b/?x=%7E~&EIO=4&sid=X&&transport=polling&t=~Q",
    );
    check(
        "/?EIO=3&transport=websocket&sid=a~b%7Ec",
        "c /?EIO=3&transport=websocket&sid=a~b",
    );
    check(
        "http://h/?EIO=4&transport=polling&sid=a%7eb",
        "b http://h/?EIO=4&transport=polling&sid=a",
    );
}

#[test]
fn what_is_no_session_of_ours_stays_as_it_is() {
    for target in [
        "/",
        "/?sid=X~b",
        "/?EIO=4&sid=X~b",
        "/?EIO=2&transport=polling&sid=X~b",
        "/?EIO=4&transport=webtransport&sid=X~b",
        "/?EIO=4&transport=polling&sid=X",
        "/?EIO=4&transport=polling&sid=X~",
        "/?EIO=4&transport=polling&sid=X~b/c",
        "/?EIO=4&transport=polling&sid=X~b&sid=Y~c",
        "/?EIO=4&EIO=3&transport=polling",
        "*",
        "",
    ] {
        check(target, "plain");
    }
}

#[test]
fn a_handshake_has_no_session_id() {
    check("/x?EIO=4&transport=polling", "handshake 4 true");
    check("/x?transport=polling&EIO=3&sid=", "handshake 3 true");
    check("/x?EIO=4&transport=websocket", "handshake 4 false");
    check("/x?EIO=3&transport=polling&j=0", "handshake 3 false");
    let posted = envelope(&[]).read("POST", "/x?EIO=4&transport=polling");
    assert_eq!(posted, Reading::Plain);
}

#[test]
fn a_preflight_moves_and_the_rest_is_answered() {
    let read = |method| match envelope(&[]).read(method, &format!("{TARGET}X~b")) {
        Reading::Bound(bound) => bound.is_only,
        other => panic!("{other:?}"),
    };
    assert_eq!(["GET", "POST", "OPTIONS"].map(read), [true, true, false]);
}

#[track_caller]
fn wraps(body: &str, revision: Revision, wrapped: &str) {
    let found = envelope(&[]).wrap(body.as_bytes(), revision, "b");
    assert_eq!(
        found
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .as_deref(),
        Some(wrapped)
    );
}

#[test]
fn open_packets_are_wrapped() {
    wraps(
        r#"0{"sid":"X","upgrades":["websocket"],"pingInterval":25000}"#,
        Revision::Four,
        r#"0{"sid":"X~b","upgrades":["websocket"],"pingInterval":25000}"#,
    );
    wraps(
        "0{ \"upgrades\" : [{\"sid\":\"no\"}], \"x\":\"sid\", \"sid\" : \"X~a\"}\u{1e}40{\"sid\":\"S\"}",
        Revision::Four,
        "0{ \"upgrades\" : [{\"sid\":\"no\"}], \"x\":\"sid\", \"sid\" : \"X~a~b\"}\u{1e}40{\"sid\":\"S\"}",
    );
}

#[test]
fn lengths_of_revision_3_count_characters() {
    wraps(
        r#"12:0{"sid":"X"}2:40"#,
        Revision::Three,
        r#"14:0{"sid":"X~b"}2:40"#,
    );
    // 🚢 is two UTF-16 units, ü is one.
    let open = r#"0{"a":"ü🚢","sid":"X"}"#;
    let units = open.encode_utf16().count();
    wraps(
        &format!("{units}:{open}3:4üü"),
        Revision::Three,
        &format!("{}:{}3:4üü", units + 2, open.replace('X', "X~b")),
    );
}

#[test]
fn what_is_no_open_packet_is_left_alone() {
    for body in [
        "",
        "0",
        "0{}",
        "0{\"sid\":5}",
        "0{\"sid\":\"\"}",
        "0{\"sid\":\"a b\"}",
        "0{\"sid\":\"a\\u0041\"}",
        "0{\"sid\":\"ab",
        "0{\"a\":{\"sid\":\"X\"}}",
        "0{}{\"sid\":\"X\"}",
        "1{\"sid\":\"X\"}",
        "40{\"sid\":\"X\"}",
        "___eio[0](\"0{\\\"sid\\\":\\\"X\\\"}\");",
        "<html>{\"sid\":\"X\"}",
        "{\"code\":1,\"message\":\"Session ID unknown\"}",
    ] {
        for revision in [Revision::Three, Revision::Four] {
            assert_eq!(
                envelope(&[]).wrap(body.as_bytes(), revision, "b"),
                None,
                "{body}"
            );
        }
    }
    for body in [
        "99:0{\"sid\":\"X\"}",
        "5:0{\"sid\":\"X\"}",
        "+12:0{\"sid\":\"X\"}",
        "0{\"sid\":\"X\"}",
    ] {
        assert_eq!(
            envelope(&[]).wrap(body.as_bytes(), Revision::Three, "b"),
            None,
            "{body}"
        );
    }
    assert_eq!(
        envelope(&[]).wrap(b"0{\"sid\":\"X\xff\"}", Revision::Four, "b"),
        None
    );
}

/// The session id that a client would send, for the server that `tag` names.
fn issued(keys: &[&str], session: &str, tag: &str) -> String {
    let body = format!("0{{\"sid\":\"{session}\"}}");
    let wrapped = envelope(keys)
        .wrap(body.as_bytes(), Revision::Four, tag)
        .unwrap();
    let text = String::from_utf8(wrapped).unwrap();
    text[9..text.len() - 2].to_owned()
}

#[test]
fn keys_rotate() {
    let old = format!("{TARGET}{}", issued(&[OLD], "X", "b"));
    let expected = Some(("b".to_owned(), format!("{TARGET}X")));
    assert_eq!(bound(envelope(&[NEW, OLD]).read("GET", &old)), expected);
    assert_eq!(envelope(&[NEW]).read("GET", &old), Reading::Forged);
    let new = format!("{TARGET}{}", issued(&[NEW, OLD], "X", "b"));
    assert_eq!(bound(envelope(&[NEW]).read("GET", &new)), expected);
    assert_eq!(
        bound(envelope(&[]).read("GET", &new)),
        expected,
        "signed tags outlive the keys"
    );
}

#[test]
fn a_tag_without_its_signature_is_forged() {
    let signed = issued(&[NEW], "X", "b");
    let (_, seal) = signed.split_once('~').unwrap();
    for sid in [
        "X~b".to_owned(),
        format!("Y~{seal}"),
        signed.replace("~b.", "~a."),
        signed[..signed.len() - 2].to_owned(),
    ] {
        let read = envelope(&[NEW]).read("GET", &format!("{TARGET}{sid}"));
        assert_eq!(read, Reading::Forged, "{sid}");
    }
}

#[test]
fn tags_can_stand_in_a_url() {
    assert_eq!(tag_of(Some("b-2_x"), "127.0.0.1:3000"), "b-2_x");
    assert_eq!(tag_of(None, "127.0.0.1:3000"), "01c2a3a6a998");
    for route in ["a.b", "a~b", "ü", "a/b", ""] {
        assert!(is_tag(&tag_of(Some(route), "127.0.0.1:3000")), "{route}");
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_wrapped_is_read_again(
        session in "[!#-\\[\\]-~]{1,40}",
        tag in "[A-Za-z0-9_-]{1,32}",
        is_signed in any::<bool>(),
        is_encoded in any::<bool>(),
    ) {
        let keys = if is_signed { &[NEW][..] } else { &[] };
        let sid = issued(keys, &session, &tag);
        let seal = sid[session.len() + 1..].to_owned();
        // As encodeURIComponent does it, or a stricter cousin.
        let (session, tilde) = (percent_encoded(&session), if is_encoded { "%7E" } else { "~" });
        let read = envelope(keys).read("GET", &format!("{TARGET}{session}{tilde}{seal}&b64=1"));
        prop_assert_eq!(bound(read), Some((tag, format!("{TARGET}{session}&b64=1"))));
    }

    #[test]
    fn an_escaped_tilde_is_one_and_half_an_escape_is_none(
        session in "[A-Za-z0-9_-]{1,24}",
        escape in prop::sample::select(&["~", "%7E", "%7e", "%7", "%", "%7G", "%257E"][..]),
    ) {
        let read = bound(envelope(&[]).read("GET", &format!("{TARGET}{session}{escape}b")));
        let is_one = matches!(escape, "~" | "%7E" | "%7e");
        prop_assert_eq!(read.is_some(), is_one, "{}", escape);
    }

    #[test]
    fn only_the_key_makes_a_signature(session in "[A-Za-z0-9_-]{1,24}", seal in "[A-Za-z0-9_.-]{1,60}") {
        let read = envelope(&[NEW]).read("GET", &format!("{TARGET}{session}~{seal}"));
        prop_assert_eq!(bound(read), None);
    }

    #[test]
    fn any_target_is_read_without_a_fault(target in "[/?&=~%7EeIO34sidtranspolg.\u{e9}-]{0,80}") {
        if let Reading::Bound(bound) = envelope(&[]).read("GET", &target) {
            prop_assert!(is_tag(&bound.tag));
            prop_assert!(bound.target.len() < target.len());
        }
    }

    #[test]
    fn any_session_value_is_read_without_a_fault(value in ".{0,60}") {
        for keys in [&[][..], &[NEW, OLD]] {
            let _read = envelope(keys).read("GET", &format!("{TARGET}{value}"));
        }
    }

    #[test]
    fn any_answer_is_judged_without_a_fault(body in prop::collection::vec(any::<u8>(), 0..100), three in any::<bool>()) {
        let revision = if three { Revision::Three } else { Revision::Four };
        let _wrapped = envelope(&[]).wrap(&body, revision, "b");
    }

    #[test]
    fn any_near_answer_grows_by_its_seal_alone(body in "[0-9]{0,2}:?0?\\{?[\"sid:{}X, \\\\]{0,40}") {
        if let Some(wrapped) = envelope(&[]).wrap(body.as_bytes(), Revision::Four, "b") {
            let wrapped = String::from_utf8(wrapped).unwrap();
            prop_assert_eq!(wrapped.replacen("~b", "", 1), body);
        }
    }
}

proptest! {
    // Each case tries some 500 changes.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    #[test]
    fn no_bit_of_a_signed_session_id_can_change_and_no_end_be_cut_off(session in "[A-Za-z0-9_-]{1,24}", tag in "[A-Za-z0-9_-]{1,32}") {
        let sid = issued(&[NEW], &session, &tag);
        let read = |sid: &str| bound(envelope(&[NEW, OLD]).read("GET", &format!("{TARGET}{sid}")));
        prop_assert!(read(&sid).is_some());
        for bit in 0..8 * sid.len() {
            let mut changed = sid.clone().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            // A target that is not text is refused before.
            let Ok(changed) = String::from_utf8(changed) else { continue };
            prop_assert_eq!(read(&changed), None, "{}", changed);
        }
        for end in 0..sid.len() {
            prop_assert_eq!(read(&sid[..end]), None, "{}", &sid[..end]);
        }
    }
}
