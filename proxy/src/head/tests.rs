use proptest::prelude::*;

use super::*;

/// Lines are joined with CRLF and the head is ended; the answer is `ok` or the reason.
#[track_caller]
fn check(lines: &[&str], told: &str) {
    let head = format!("{}\r\n\r\n", lines.join("\r\n"));
    let mut room = room();
    let verdict = find_end(head.as_bytes()).and_then(|end| {
        assert_eq!(end, Some(head.len()));
        parse(head.as_bytes(), &mut room)
    });
    let words = match verdict {
        Ok(_) => "ok".to_owned(),
        Err(refusal) => format!("{} {}", refusal.status(), refusal.why()),
    };
    assert_eq!(words, told);
}

#[test]
fn what_clients_send_is_read() {
    check(&["GET / HTTP/1.1", "Host: a"], "ok");
    check(&["GET /?x=/ HTTP/1.1", "Host: a:80", "Cookie: a=b"], "ok");
    check(&["POST / HTTP/1.1", "Host: a", "Content-Length: 5"], "ok");
    check(
        &["POST / HTTP/1.1", "Host: a", "Transfer-Encoding: Chunked"],
        "ok",
    );
    check(&["OPTIONS * HTTP/1.1", "Host: a"], "ok");
    check(&["GET http://a/b HTTP/1.1", "Host: a"], "ok");
    check(&["GET / HTTP/1.0"], "ok");
}

#[test]
fn two_lengths_are_refused() {
    let both = "400 both Content-Length and Transfer-Encoding";
    check(
        &[
            "POST / HTTP/1.1",
            "Host: a",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
        ],
        both,
    );
    let twice = "400 more than one Content-Length";
    check(
        &[
            "POST / HTTP/1.1",
            "Host: a",
            "Content-Length: 5",
            "content-length: 6",
        ],
        twice,
    );
    check(
        &[
            "POST / HTTP/1.1",
            "Host: a",
            "Content-Length: 5",
            "content-length: 5",
        ],
        twice,
    );
    let malformed = "400 malformed Content-Length";
    for length in ["5, 5", "+5", "-1", "0x5", "", "5 5", "99999999999999999999"] {
        check(
            &[
                "POST / HTTP/1.1",
                "Host: a",
                &format!("Content-Length: {length}"),
            ],
            malformed,
        );
    }
}

#[test]
fn codings_other_than_chunked_are_refused() {
    let told = "400 Transfer-Encoding is not exactly chunked";
    for coding in [
        "gzip, chunked",
        "chunked, chunked",
        "identity",
        "xchunked",
        "\"chunked\"",
    ] {
        check(
            &[
                "POST / HTTP/1.1",
                "Host: a",
                &format!("Transfer-Encoding: {coding}"),
            ],
            told,
        );
    }
    check(&["POST / HTTP/1.0", "Transfer-Encoding: chunked"], told);
}

#[test]
fn there_is_one_host() {
    check(&["GET / HTTP/1.1"], "400 no Host");
    check(
        &["GET / HTTP/1.1", "Host: a", "Host: a"],
        "400 more than one Host",
    );
    check(&["GET / HTTP/1.1", "Host: a b"], "400 malformed Host");
    check(&["GET / HTTP/1.1", "Host: a/b"], "400 malformed Host");
    check(&["GET / HTTP/1.1", "Host: a@b"], "400 malformed Host");
}

#[test]
fn field_names_are_tokens() {
    let told = "400 malformed field name";
    check(&["GET / HTTP/1.1", "Host : a"], told);
    check(&["GET / HTTP/1.1", "Host: a", " folded"], told);
    check(&["GET / HTTP/1.1", "Host: a", "\tfolded"], told);
    check(&["GET / HTTP/1.1", "Host: a", "X\0: b"], told);
    check(&["GET / HTTP/1.1", "Host: a", ": b"], told);
}

#[test]
fn values_have_no_control_characters() {
    check(
        &["GET / HTTP/1.1", "Host: a", "X: b\0c"],
        "400 malformed field value",
    );
    check(
        &["GET / HTTP/1.1", "Host: a", "X: b\rc"],
        "400 malformed field value",
    );
}

#[test]
fn request_lines_are_strict() {
    check(&["GET / HTTP/2.0", "Host: a"], "400 unknown HTTP version");
    check(&["PRI * HTTP/2.0"], "400 unknown HTTP version");
    check(
        &["GET  / HTTP/1.1", "Host: a"],
        "400 malformed request line",
    );
    check(&["GET / x HTTP/1.1", "Host: a"], "400 unknown HTTP version");
    check(&["GET", "Host: a"], "400 malformed request line");
    check(&["GET a HTTP/1.1", "Host: a"], "400 malformed target");
    check(
        &["GET http:///a HTTP/1.1", "Host: a"],
        "400 malformed target",
    );
    check(
        &["CONNECT a:443 HTTP/1.1", "Host: a"],
        "400 CONNECT is not served",
    );
    check(
        &["CONNECT / HTTP/1.1", "Host: a"],
        "400 CONNECT is not served",
    );
    check(
        &["GET /#x HTTP/1.1", "Host: a"],
        "400 the target has a fragment",
    );
}

#[test]
fn bare_line_feeds_are_refused_at_once() {
    let told = Err(Refusal::BadRequest("a line ends without a carriage return"));
    assert_eq!(find_end(b"GET / HTTP/1.1\n"), told);
    assert_eq!(find_end(b"GET / HTTP/1.1\r\nHost: a\n\n"), told);
    assert_eq!(find_end(b"\n"), told);
}

#[test]
fn what_follows_the_head_is_not_looked_at() {
    assert_eq!(find_end(b"GET / HTTP/1.1\r\n\r\n\nbody\n"), Ok(Some(18)));
}

#[test]
fn too_many_fields_are_too_large() {
    let mut lines = vec!["GET / HTTP/1.1", "Host: a"];
    lines.resize(FIELDS_MAX + 1, "X: y");
    check(&lines, "ok");
    lines.push("X: y");
    check(
        &lines,
        "431 the request head has more than head_fields_max fields",
    );
}

#[test]
fn an_absolute_target_names_host_and_path() {
    let mut room = room();
    let head = parse(
        b"GET http://B.c/d?e HTTP/1.1\r\nHost: b.C\r\n\r\n",
        &mut room,
    )
    .unwrap();
    assert_eq!((head.host, head.path), (&b"B.c"[..], &b"/d"[..]));
}

#[test]
fn an_absolute_target_and_another_host_are_refused() {
    let mut room = room();
    let refused = parse(b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", &mut room);
    assert!(matches!(refused, Err(Refusal::BadRequest(_))));
    let mut room = self::room();
    let refused = parse(b"GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n", &mut room);
    assert!(matches!(refused, Err(Refusal::BadRequest(_))));
}

#[track_caller]
fn check_websocket(lines: &[&str], is_websocket: bool) {
    let head = format!("{}\r\nHost: a\r\n\r\n", lines.join("\r\n"));
    let mut room = room();
    assert_eq!(
        parse(head.as_bytes(), &mut room).unwrap().is_websocket(),
        is_websocket
    );
}

#[test]
fn a_websocket_handshake_is_known() {
    check_websocket(
        &[
            "GET / HTTP/1.1",
            "Upgrade: WebSocket",
            "Connection: keep-alive, Upgrade",
        ],
        true,
    );
    check_websocket(&["GET / HTTP/1.1", "Upgrade: websocket"], false);
    check_websocket(
        &["GET / HTTP/1.1", "Upgrade: h2c", "Connection: Upgrade"],
        false,
    );
    check_websocket(
        &[
            "POST / HTTP/1.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
        ],
        false,
    );
    check_websocket(
        &[
            "GET / HTTP/1.0",
            "Upgrade: websocket",
            "Connection: Upgrade",
        ],
        false,
    );
}

proptest! {
    #[test]
    fn no_bytes_are_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut room = room();
        if let Ok(Some(end)) = find_end(&bytes) {
            let _verdict = parse(&bytes[..end], &mut room);
        }
    }

    #[test]
    fn the_end_does_not_depend_on_how_much_follows(
        head in "[A-Z]{1,5} /[a-z]{0,9} HTTP/1.1\r\n([A-Z]: [a-z]{0,9}\r\n){0,4}\r\n",
        rest in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let mut bytes = head.clone().into_bytes();
        bytes.extend(rest);
        prop_assert_eq!(find_end(&bytes), Ok(Some(head.len())));
    }
}
