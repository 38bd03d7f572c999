use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use proptest::prelude::proptest;

use super::{
    BadSecrets, CookieSettings, NAME, SameSite, Secrets, clear_cookie, new_sid, read_cookie, sign,
    unsign, write_cookie,
};

/// The value in cookie-signature's own documentation.
const HELLO: &str = "hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI";

fn secrets(list: &str) -> Secrets {
    Secrets::parse(list).unwrap()
}

fn request(lines: &[&[u8]]) -> HeaderMap {
    lines
        .iter()
        .map(|line| (COOKIE, HeaderValue::from_bytes(line).unwrap()))
        .collect()
}

#[test]
fn signs_as_cookie_signature_does() {
    assert_eq!(sign("hello", &secrets("tobiiscool")), HELLO);
    assert_eq!(unsign(HELLO, &secrets("tobiiscool")), Some("hello"));
    assert_eq!(unsign(HELLO, &secrets("luna")), None);
}

#[test]
fn the_first_secret_signs_and_all_verify() {
    let rotated = secrets("luna, tobiiscool");
    assert_eq!(unsign(HELLO, &rotated), Some("hello"));
    assert_eq!(sign("hello", &rotated), sign("hello", &secrets("luna")));
}

#[test]
fn secrets_are_never_empty_and_never_shown() {
    assert_eq!(Secrets::parse(" ").unwrap_err(), BadSecrets::None);
    assert_eq!(
        Secrets::new(Vec::<String>::new()).unwrap_err(),
        BadSecrets::None
    );
    assert_eq!(Secrets::parse("a,,b").unwrap_err(), BadSecrets::Empty);
    assert_eq!(format!("{:?}", secrets("tobiiscool")), "Secrets(***)");
}

#[test]
fn forgeries_are_refused() {
    let keys = secrets("tobiiscool");
    for forged in [
        "",
        ".",
        "hello",
        "hello.",
        "hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5Q",
        "hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI=",
        "hello.DGDUkGlIkCzPz-C0B064FNgHdEjox7ch8tOBGslZ5QI",
        "hello.dGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI",
        "hellp.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI",
        "hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QIxyz",
    ] {
        assert_eq!(unsign(forged, &keys), None, "{forged:?}");
    }
    assert_eq!(
        unsign(&sign("", &keys), &keys),
        None,
        "an empty sid names nobody"
    );
}

#[test]
fn a_written_cookie_is_express_sessions() {
    let keys = secrets("tobiiscool");
    let settings = CookieSettings {
        max_age_ms: Some(3_600_000),
        ..CookieSettings::default()
    };
    assert_eq!(
        write_cookie(&settings, "hello", &keys, 1_795_339_157_084),
        "connect.sid=s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI; Path=/; \
         Expires=Sun, 22 Nov 2026 10:19:17 GMT; HttpOnly; SameSite=Lax"
    );
    let settings = CookieSettings {
        name: "chat".to_owned(),
        path: "/chat".to_owned(),
        domain: Some(".example.com".to_owned()),
        max_age_ms: None,
        http_only: false,
        secure: true,
        same_site: Some(SameSite::None),
    };
    assert_eq!(
        write_cookie(&settings, "hello", &keys, 0),
        "chat=s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI; Domain=.example.com; \
         Path=/chat; Secure; SameSite=None"
    );
    assert_eq!(
        clear_cookie(&CookieSettings::default()),
        "connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax"
    );
}

#[test]
fn reads_a_cookie_as_node_does() {
    const GOOD: &str = "s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI";
    const BARE: &str = "s:hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI";
    let read = |lines: &[&str]| {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        read_cookie(&request(&lines), NAME, &secrets("tobiiscool"))
    };
    let hello = Some("hello".to_owned());
    assert_eq!(read(&[&format!("connect.sid={GOOD}")]), hello);
    assert_eq!(read(&[&format!("a=b;  connect.sid = {GOOD} ;c=d")]), hello);
    assert_eq!(read(&[&format!("connect.sid=\"{GOOD}\"")]), hello);
    assert_eq!(read(&[&format!("connect.sid={BARE}")]), hello, "unescaped");
    assert_eq!(
        read(&["a=b", &format!("connect.sid={GOOD}")]),
        hello,
        "a second header line"
    );
    // The first one with the name decides, right or wrong.
    assert_eq!(read(&[&format!("connect.sid=x; connect.sid={GOOD}")]), None);
    assert_eq!(
        read(&[&format!("connect.sid={GOOD}; connect.sid=x")]),
        hello
    );
    assert_eq!(read(&[]), None);
    assert_eq!(read(&["connect.sid"]), None);
    assert_eq!(read(&["connect.sid="]), None);
    assert_eq!(
        read(&[&format!("Connect.Sid={GOOD}")]),
        None,
        "names are case-sensitive"
    );
    assert_eq!(
        read(&[&format!("connect.sid={}", &GOOD[4..])]),
        None,
        "not marked as signed"
    );
    assert_eq!(read(&[&format!("connect.sid={GOOD}%zz")]), None);
    // Bytes that are no UTF-8 in somebody else's cookie do not log anybody out.
    let mut line = b"other=\xff; connect.sid=".to_vec();
    line.extend_from_slice(GOOD.as_bytes());
    assert_eq!(
        read_cookie(&request(&[&line]), NAME, &secrets("tobiiscool")),
        hello
    );
}

#[test]
fn new_sids_differ_and_fit_a_cookie() {
    let (one, two) = (new_sid(), new_sid());
    assert_ne!(one, two);
    assert_eq!(one.len(), 32);
    assert!(
        one.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    );
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(sid in ".{1,40}") {
        let keys = secrets("one,two");
        let line = write_cookie(&CookieSettings::default(), &sid, &keys, 0);
        let pair = line.split(';').next().unwrap();
        assert_eq!(read_cookie(&request(&[pair.as_bytes()]), NAME, &keys), Some(sid));
    }

    #[test]
    fn any_bytes_can_be_read(line in proptest::collection::vec(32..=255_u8, 0..80)) {
        let line: Vec<u8> = line.into_iter().filter(|byte| *byte != 127).collect();
        let line = [b"connect.sid=".as_slice(), &line].concat();
        assert_eq!(read_cookie(&request(&[&line]), NAME, &secrets("one")), None);
    }
}
