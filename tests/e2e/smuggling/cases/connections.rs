//! Several requests on one connection, and those that change what the connection is.

use super::Want::{Ends, Passed, Refused};
use super::{Case, NEXT, SMUGGLED, case, post, shown};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const H2C: &str = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA";

pub(super) fn all() -> Vec<Case> {
    let mut all = bodies();
    all.extend(upgrades());
    all.extend(websockets());
    all.extend(nominations());
    all.extend(pipelines());
    all.extend(last_requests());
    all
}

fn get(version: &str, fields: &str, rest: &str) -> String {
    format!("GET /~/a {version}\r\nHost: h\r\n{fields}\r\n\r\n{rest}")
}

/// Bodies where few expect them, and the word to send them.
fn bodies() -> Vec<Case> {
    let (length, mut all) = (SMUGGLED.len(), Vec::new());
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "X"] {
        let head = format!("{method} /~/a HTTP/1.1\r\nHost: h\r\n");
        let chunks = format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n{NEXT}");
        all.push(case(
            format!("{method} with chunks"),
            Passed(2),
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}"),
        ));
        all.push(case(
            format!("{method} with a length"),
            Passed(2),
            format!("{head}Content-Length: {length}\r\n\r\n{SMUGGLED}{NEXT}"),
        ));
    }
    for expect in ["100-continue", "100-Continue", "100-continue, x", "x", ""] {
        let text = post(
            &format!("Expect: {expect}\r\nContent-Length: 5"),
            &format!("hello{NEXT}"),
        );
        all.push(case(format!("Expect: {expect}"), Passed(2), text));
    }
    all.push(case(
        "Expect in HTTP/1.0",
        Passed(1),
        "POST /~/a HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    ));
    all.push(case(
        "Expect, and a request as the body",
        Passed(1),
        post(
            &format!("Expect: 100-continue\r\nContent-Length: {length}"),
            SMUGGLED,
        ),
    ));
    all.push(case(
        "a length beyond what is allowed, and a request",
        Refused(0),
        post("Content-Length: 1048577", SMUGGLED),
    ));
    all.push(case(
        "chunks beyond what is allowed, and a request",
        Refused(0),
        post(
            "Transfer-Encoding: chunked",
            &format!("100001\r\n{SMUGGLED}"),
        ),
    ));
    all
}

fn upgrades() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, want, text: String| all.push(case(name, want, text));
    let hello = format!("hello{NEXT}");
    add("h2c", Passed(2), get("HTTP/1.1", H2C, NEXT));
    add(
        "h2c with a body",
        Passed(2),
        post(&format!("{H2C}\r\nContent-Length: 5"), &hello),
    );
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    add(
        "h2c, and the preface at once",
        Refused(1),
        get("HTTP/1.1", H2C, preface),
    );
    let other = "Connection: upgrade\r\nUpgrade: x";
    add(
        "an upgrade to something else",
        Passed(2),
        get("HTTP/1.1", other, NEXT),
    );
    all
}

fn websockets() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, want, text: String| all.push(case(name, want, text));
    let hello = format!("hello{NEXT}");
    add(
        "WebSocket, declined, and a request",
        Ends(1),
        get("HTTP/1.1", WEBSOCKET, SMUGGLED),
    );
    let wrong = WEBSOCKET.replace("13", "99");
    add(
        "WebSocket of a wrong version, and a request",
        Ends(1),
        get("HTTP/1.1", &wrong, SMUGGLED),
    );
    for (name, fields, rest) in [
        ("WebSocket with a length", "Content-Length: 5", "hello"),
        (
            "WebSocket with chunks",
            "Transfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "WebSocket with two lengths",
            "Content-Length: 0\r\nContent-Length: 5",
            "hello",
        ),
    ] {
        let text = get("HTTP/1.1", &format!("{WEBSOCKET}\r\n{fields}"), rest);
        add(name, Refused(0), text);
    }
    let empty = format!("{WEBSOCKET}\r\nContent-Length: 0");
    add(
        "WebSocket with a length of 0, and a request",
        Ends(1),
        get("HTTP/1.1", &empty, SMUGGLED),
    );
    add(
        "WebSocket in HTTP/1.0",
        Ends(1),
        get("HTTP/1.0", WEBSOCKET, SMUGGLED),
    );
    let body = format!("{WEBSOCKET}\r\nContent-Length: 5");
    add("WebSocket by POST", Passed(2), post(&body, &hello));
    let lone = "Upgrade: websocket";
    add(
        "WebSocket that Connection does not name",
        Passed(2),
        get("HTTP/1.1", lone, NEXT),
    );
    all
}

const NOMINATIONS_NAMES: &[&str] = &[
    "Host",
    "Content-Length",
    "content-length, x",
    "close, Content-Length",
    "Transfer-Encoding",
    "Cookie",
    "X-Real-IP",
    "X-Forwarded-For",
    "Connection",
    "keep-alive, Host",
    "Authorization",
    ",,,",
    "\"Content-Length\"",
];

/// What `Connection` may not take away.
fn nominations() -> Vec<Case> {
    let mut all = Vec::new();
    for name in NOMINATIONS_NAMES {
        let fields = format!("Connection: {name}\r\nCookie: a=b\r\nContent-Length: 5");
        let is_last = name.starts_with("close");
        let (want, rest) = if is_last { (1, SMUGGLED) } else { (2, NEXT) };
        let text = post(&fields, &format!("hello{rest}"));
        all.push(case(
            format!("Connection: {} with a length", shown(name)),
            Passed(want),
            text,
        ));
    }
    let fields = "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked";
    let text = post(fields, &format!("0\r\n\r\n{NEXT}"));
    all.push(case(
        "Connection: Transfer-Encoding with chunks",
        Passed(2),
        text,
    ));
    all
}

fn pipelines() -> Vec<Case> {
    let first = "GET /~/a HTTP/1.1\r\nHost: h\r\n\r\n";
    let last = "GET /~/c HTTP/1.1\r\nHost: h\r\n\r\n";
    let body = post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n");
    let bad_chunks = post("Transfer-Encoding: chunked", "5\r\nhelloX\r\n");
    let two_lengths = post("Content-Length: 0\r\nContent-Length: 4", "");
    let long = post(
        "Content-Length: 5",
        &format!("hello, world\r\n\r\n{SMUGGLED}"),
    );
    let mut all = Vec::new();
    let mut add = |name: &str, want, text: String| all.push(case(name, want, text));
    add("three requests", Passed(3), format!("{first}{NEXT}{last}"));
    add(
        "requests with and without bodies",
        Passed(4),
        format!("{body}{first}{body}{NEXT}"),
    );
    add(
        "empty lines between requests",
        Passed(2),
        format!("{first}\r\n\r\n{NEXT}"),
    );
    add(
        "a line feed between requests",
        Refused(1),
        format!("{first}\n{SMUGGLED}"),
    );
    add(
        "a request, a bad one, a request",
        Refused(1),
        format!("{first}GET / HTTP/9\r\n\r\n{SMUGGLED}"),
    );
    add(
        "a request, bad chunks, a request",
        Refused(1),
        format!("{first}{bad_chunks}{SMUGGLED}"),
    );
    add(
        "a request, two lengths, a request",
        Refused(1),
        format!("{first}{two_lengths}{SMUGGLED}"),
    );
    add("a body longer than its length", Refused(1), long);
    all
}

/// Whether anything may follow.
fn last_requests() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, want, text: String| all.push(case(name, want, text));
    let first = "GET /~/a HTTP/1.1\r\nHost: h\r\n\r\n";
    let close = "Connection: close";
    add(
        "a request behind close",
        Passed(1),
        get("HTTP/1.1", close, SMUGGLED),
    );
    add(
        "a request behind HTTP/1.0",
        Passed(1),
        get("HTTP/1.0", "X: y", SMUGGLED),
    );
    let kept = "Connection: keep-alive";
    add(
        "a request behind HTTP/1.0, kept alive",
        Passed(2),
        get("HTTP/1.0", kept, NEXT),
    );
    add(
        "half a request behind one",
        Ends(1),
        format!("{first}GET /smuggled HTTP/1.1\r\nHo"),
    );
    all
}
