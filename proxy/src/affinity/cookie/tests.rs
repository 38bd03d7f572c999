use proptest::prelude::*;

use super::*;
use crate::settings::Key;

const NEW: &str = "0123456789abcdef0123456789abcdef";
const OLD: &str = "fedcba9876543210fedcba9876543210";

fn settings(keys: &[&str]) -> settings::Cookie {
    settings::Cookie {
        name: "srv_id".to_owned(),
        keys: keys.iter().copied().map(Key::new).collect(),
        expires: None,
        domain: None,
        path: None,
        secure: false,
        httponly: false,
        samesite: None,
        partitioned: false,
    }
}

fn sticky(keys: &[&str]) -> StickyCookie {
    StickyCookie::new(&settings(keys), "app")
}

fn read(cookie: &StickyCookie, headers: &[&str]) -> Reading {
    cookie.read(headers.iter().map(|header| header.as_bytes()))
}

fn mark(text: &str, signer: Signer) -> Reading {
    Reading::Mark {
        mark: text.as_bytes().into(),
        signer,
    }
}

/// `NAME=VALUE` as it is set for the server of this mark.
fn issued(keys: &[&str], mark: &str) -> String {
    sticky(keys).set(mark, SystemTime::UNIX_EPOCH)
}

#[track_caller]
fn check(headers: &[&str], expected: Reading) {
    assert_eq!(read(&sticky(&[]), headers), expected);
}

#[track_caller]
fn is(headers: &[&str], found: &str) {
    check(headers, mark(found, Signer::Current));
}

#[test]
fn the_name_is_matched_exactly() {
    is(&["srv_id=a"], "a");
    is(&["x=1; srv_id=a; y=2"], "a");
    is(&["x=1;srv_id=a"], "a");
    is(&["srv_id=a=b "], "a=b");
    is(&["x=1", "srv_id=a"], "a");
    for other in ["xsrv_id=a", "srv_id2=a", "SRV_ID=a", "srv_id", "x=srv_id=a"] {
        check(&[other], Reading::Absent);
    }
    check(&[], Reading::Absent);
}

#[test]
fn two_marks_are_none() {
    check(&["srv_id=a; srv_id=b"], Reading::Ambiguous);
    check(&["srv_id=a", "x=1; srv_id=a"], Reading::Ambiguous);
    let one = issued(&[NEW], "a");
    let both = read(&sticky(&[NEW]), &[&format!("srv_id=forged; {one}")]);
    assert_eq!(both, Reading::Ambiguous);
    assert_eq!(both.mark(), Some(&b""[..]), "the mark of nobody");
}

#[test]
fn marks_are_nginx_md5() {
    assert_eq!(
        mark_of("127.0.0.1:3000"),
        "01c2a3a6a99837796bad2f82f71dfc33"
    );
    assert_eq!(mark_of("10.0.0.1:3000"), "a8d53865b0c64347ad8a694d6fccaa68");
}

#[test]
fn attributes_come_in_nginx_order() {
    let cookie = settings::Cookie {
        expires: Some(Duration::from_secs(3600)),
        domain: Some(".example.com".to_owned()),
        path: Some("/".to_owned()),
        secure: true,
        httponly: true,
        samesite: Some(settings::SameSite::None),
        partitioned: true,
        ..settings(&[])
    };
    assert_eq!(
        StickyCookie::new(&cookie, "app").set("a", SystemTime::UNIX_EPOCH),
        "srv_id=a; expires=Thu, 01 Jan 1970 01:00:00 GMT; max-age=3600; domain=.example.com; \
         httponly; secure; samesite=none; path=/; partitioned"
    );
    for (samesite, text) in [
        (settings::SameSite::Strict, "strict"),
        (settings::SameSite::Lax, "lax"),
    ] {
        let cookie = settings::Cookie {
            samesite: Some(samesite),
            ..settings(&[])
        };
        assert_eq!(
            StickyCookie::new(&cookie, "app").set("a", SystemTime::UNIX_EPOCH),
            format!("srv_id=a; samesite={text}")
        );
    }
}

#[test]
fn a_session_cookie_has_no_age_and_without_keys_the_value_is_the_mark() {
    assert_eq!(issued(&[], "a"), "srv_id=a");
}

#[test]
fn a_signed_value_is_the_mark_and_its_signature() {
    // printf 'cookie\0app\0srv_id\0a' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | head -c 16
    assert_eq!(issued(&[NEW], "a"), "srv_id=a.i5oTG_G2tQ3PNUuVmXLNOQ");
}

#[test]
fn keys_rotate() {
    let old = issued(&[OLD], "a");
    let rotating = read(&sticky(&[NEW, OLD]), &[&old]);
    assert_eq!(rotating, mark("a", Signer::Old));
    assert!(!rotating.is_good_for("a"), "it is set anew");
    assert_eq!(read(&sticky(&[NEW]), &[&old]), Reading::Forged);

    let new = issued(&[NEW, OLD], "a");
    for keys in [&[NEW, OLD][..], &[NEW]] {
        let reading = read(&sticky(keys), &[&new]);
        assert_eq!(reading, mark("a", Signer::Current));
        assert!(reading.is_good_for("a") && !reading.is_good_for("b"));
    }
}

#[test]
fn what_no_key_signed_for_here_is_forged() {
    let signed = issued(&[NEW], "a");
    let other_upstream = StickyCookie::new(&settings(&[NEW]), "other");
    let other_name = settings::Cookie {
        name: "other".to_owned(),
        ..settings(&[NEW])
    };
    let other_name = StickyCookie::new(&other_name, "app").set("a", SystemTime::UNIX_EPOCH);
    for wrong in [
        "srv_id=a".to_owned(),
        "srv_id=".to_owned(),
        "srv_id=.".to_owned(),
        "srv_id=a.".to_owned(),
        signed.replace("=a.", "=b."),
        signed.replace("=a.", "=a.a."),
        signed.replace("=a.", "=."),
        signed.replace("=a.", "=a"),
        signed[..signed.len() - 1].to_owned(),
        format!("{signed}A"),
        format!("srv_id=\"{}\"", &signed["srv_id=".len()..]),
        other_upstream.set("a", SystemTime::UNIX_EPOCH),
        other_name.replace("other=", "srv_id="),
    ] {
        assert_eq!(read(&sticky(&[NEW]), &[&wrong]), Reading::Forged, "{wrong}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_a_fault(headers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4)) {
        for keys in [&[][..], &[NEW, OLD]] {
            let read = sticky(keys).read(headers.iter().map(Vec::as_slice));
            prop_assert!(read.mark().is_none_or(|mark| !mark.contains(&b';')));
        }
    }

    #[test]
    fn what_is_set_is_found_among_other_cookies(
        route in "[!#-+\\--:<-\\[\\]-~]{1,32}",
        before in "[a-z]{1,5}=[a-z]{0,5}",
        is_signed in any::<bool>(),
    ) {
        let keys = if is_signed { &[NEW][..] } else { &[] };
        let header = format!("{before}; {}; z=1", issued(keys, &route));
        prop_assert_eq!(read(&sticky(keys), &[&header]), mark(&route, Signer::Current));
    }

    #[test]
    fn a_value_that_was_cut_off_is_forged(route in "[!#-+\\--:<-\\[\\]-~]{1,32}") {
        let header = issued(&[NEW], &route);
        for end in "srv_id=".len()..header.len() {
            let read = read(&sticky(&[NEW, OLD]), &[&header[..end]]);
            prop_assert!(matches!(read, Reading::Forged), "{}: {:?}", &header[..end], read);
        }
    }

    #[test]
    fn a_changed_byte_is_forged(route in "[!#-+\\--:<-\\[\\]-~]{1,32}", at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut header = issued(&[NEW], &route).into_bytes();
        let begin = "srv_id=".len();
        let at = begin + at.index(header.len() - begin);
        prop_assume!(header[at] != byte);
        header[at] = byte;
        let read = sticky(&[NEW, OLD]).read(std::iter::once(header.as_slice()));
        prop_assert!(matches!(read, Reading::Forged), "{:?}", read);
    }
}
