use super::*;
use crate::head;

const HEAD: &[u8] = b"GET /a//b/../c%20d/./?sid=S1&Token=t%20k&sid=S2&flag HTTP/1.1\r\n\
    Host: Chat.Example.COM.:8080\r\n\
    X-Room-Id: lobby\r\n\
    Via: one\r\n\
    via: two\r\n\
    Cookie: bad, user = u1 ; srv_id=s\r\n\
    Cookie: user=u2; last=z\r\n\r\n";

#[track_caller]
fn check(key: &str, expected: &str) {
    let mut room = head::room();
    let head = head::parse(HEAD, &mut room).unwrap();
    let client = Client::behind(
        Some("192.0.2.7".parse().unwrap()),
        &[],
        std::iter::empty(),
        None,
    );
    let found = HashKey::parse(key).unwrap().of(&client, &head);
    assert_eq!(String::from_utf8_lossy(&found), expected, "{key}");
}

#[test]
fn every_variable_is_nginxs() {
    check("$remote_addr", "192.0.2.7");
    check(
        "$request_uri",
        "/a//b/../c%20d/./?sid=S1&Token=t%20k&sid=S2&flag",
    );
    check("$uri", "/a/c d/");
    check("$host", "chat.example.com");
    check("$http_x_room_id", "lobby");
    check("$http_via", "one, two");
}

#[test]
fn an_argument_is_the_first_of_its_name_as_it_was_sent() {
    check("$arg_sid", "S1");
    check("$arg_token", "t%20k");
    check("$arg_flag,$arg_none", ",");
}

#[test]
fn a_cookie_is_the_first_of_its_name() {
    check("$cookie_user", "u1 ");
    check("$cookie_SRV_ID", "s");
    check("$cookie_last", "z");
    check("<$cookie_use>", "<>");
}

#[test]
fn text_stands_between_variables() {
    check("$remote_addr:$arg_sid", "192.0.2.7:S1");
    check("a${host}b", "achat.example.comb");
    check("$arg_sid-$arg_sid", "S1-S1");
}

#[test]
fn binary_addresses_are_bytes() {
    let mut room = head::room();
    let head = head::parse(HEAD, &mut room).unwrap();
    let key = HashKey::parse("$binary_remote_addr").unwrap();
    let of = |ip: &str| {
        let peer = Some(ip.parse().unwrap());
        key.of(&Client::behind(peer, &[], std::iter::empty(), None), &head)
    };
    assert_eq!(of("192.0.2.7"), [192, 0, 2, 7]);
    assert_eq!(of("::1").len(), 16);
}

#[test]
fn paths_are_normalized_as_nginx_does() {
    for (path, uri) in [
        ("/", "/"),
        ("//", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/../..", "/"),
        ("/%61%2Fb", "/a/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/100%", "/100%"),
        ("/%zz", "/%zz"),
        ("/...", "/..."),
        ("*", "*"),
    ] {
        let mut found = b"before".to_vec();
        normalize(&mut found, path.as_bytes());
        assert_eq!(
            String::from_utf8_lossy(&found),
            format!("before{uri}"),
            "{path}"
        );
    }
}

#[test]
fn what_is_no_key_is_told() {
    for (text, reason) in [
        ("", NoKey::NoVariable),
        ("remote_addr", NoKey::NoVariable),
        ("$", NoKey::Malformed),
        ("$remote_addr$", NoKey::Malformed),
        ("${host", NoKey::Malformed),
        ("$arg_", NoKey::UnknownVariable("arg_".to_owned())),
        (
            "$remote_adr",
            NoKey::UnknownVariable("remote_adr".to_owned()),
        ),
    ] {
        assert_eq!(HashKey::parse(text), Err(reason), "{text}");
    }
}

#[test]
fn the_lists_of_variables_are_complete() {
    for name in HashKey::VARIABLES {
        HashKey::parse(&format!("${name}")).unwrap();
    }
    for prefix in HashKey::PREFIXES {
        HashKey::parse(&format!("${prefix}x")).unwrap();
    }
}

/// Escapes as nginx takes them off: once, and what is none stays.
fn without_escapes(text: &[u8]) -> Vec<u8> {
    match text {
        [] => Vec::new(),
        [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            let digits = format!("{}{}", char::from(*high), char::from(*low));
            let byte = u8::from_str_radix(&digits, 16).unwrap();
            [&[byte][..], &without_escapes(rest)].concat()
        }
        [first, rest @ ..] => [&[*first][..], &without_escapes(rest)].concat(),
    }
}

proptest::proptest! {
    #[test]
    fn escapes_are_taken_off_once(segment in "[%a-cA-C0-3g]{1,20}") {
        let expected = without_escapes(segment.as_bytes());
        let mut key = Vec::new();
        // No digit here makes a slash or a dot, which would be resolved as well.
        normalize(&mut key, format!("/{segment}").as_bytes());
        proptest::prop_assert_eq!(key, [b"/", &expected[..]].concat());
    }

    #[test]
    fn any_request_has_a_key(path in "/[a-c./%2eF]{0,20}", cookie in "[a-b=;, ]{0,20}") {
        let text = format!("GET {path}?a=b HTTP/1.1\r\nHost: h\r\nCookie: {cookie}\r\n\r\n");
        let mut room = head::room();
        let head = head::parse(text.as_bytes(), &mut room).unwrap();
        let client = Client::behind(None, &[], std::iter::empty(), None);
        let key = HashKey::parse("$uri").unwrap().of(&client, &head);
        proptest::prop_assert!(key.starts_with(b"/"));
        let key = HashKey::parse("$cookie_a$request_uri$host").unwrap().of(&client, &head);
        proptest::prop_assert!(key.ends_with(b"?a=bh"));
    }
}
