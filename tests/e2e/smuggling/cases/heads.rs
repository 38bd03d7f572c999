//! Request lines, fields and hosts.

use super::Want::{Ends, Passed, Refused};
use super::{Case, NEXT, case, shown};

pub(super) fn all() -> Vec<Case> {
    let mut all = lines();
    all.extend(fields());
    all.extend(hosts());
    all.extend(targets());
    all.extend(sizes());
    all
}

const LINES_PASSING: &[&str] = &[
    "\r\nGET /~/a HTTP/1.1",
    "\r\n\r\n\r\nGET /~/a HTTP/1.1",
    "get /~/a HTTP/1.1",
    "X-Y!z /~/a HTTP/1.1",
];
const LINES_REFUSED: &[&str] = &[
    "GET /~/a",
    "GET /~/a HTTP/0.9",
    "GET /~/a HTTP/2.0",
    "GET /~/a HTTP/1.2",
    "GET /~/a HTTP/1.10",
    "GET /~/a HTTP/01.1",
    "GET /~/a HTTP/1",
    "GET /~/a http/1.1",
    "GET /~/a HTTP/1,1",
    "GET /~/a HTTP/1.1x",
    "GET /~/a HTTP/1.1 ",
    "GET /~/a HTTP/1.1\t",
    "GET /~/a  HTTP/1.1",
    "GET  /~/a HTTP/1.1",
    " GET /~/a HTTP/1.1",
    "\tGET /~/a HTTP/1.1",
    "GET\t/~/a\tHTTP/1.1",
    "GET /~/a\tHTTP/1.1",
    "GET /~/a b HTTP/1.1",
    "GET /~/a\u{b}HTTP/1.1",
    "G(T /~/a HTTP/1.1",
    "G\u{0}T /~/a HTTP/1.1",
    "G\u{c9}T /~/a HTTP/1.1",
    "/~/a HTTP/1.1",
    "GET HTTP/1.1",
    "GET",
    "\nGET /~/a HTTP/1.1",
    "\rGET /~/a HTTP/1.1",
    "\u{0}GET /~/a HTTP/1.1",
    "\r\n\nGET /~/a HTTP/1.1",
    "GET /~/a HTTP/1.1\r",
    "GET /~/a HTTP/1.1\nX: y",
    "GET /~/a HTTP/1.1\rX: y",
    "PRI * HTTP/2.0",
    "CONNECT h:443 HTTP/1.1",
    "CONNECT /~/a HTTP/1.1",
    "connect /~/a HTTP/1.1",
    "GET * HTTP/1.1",
];

/// Request lines, and what stands before them.
fn lines() -> Vec<Case> {
    let rest = format!("\r\nHost: h\r\n\r\n{NEXT}");
    let named = |line: &str, want| case(shown(line), want, format!("{line}{rest}"));
    let mut all: Vec<Case> = LINES_PASSING
        .iter()
        .map(|line| named(line, Passed(2)))
        .collect();
    all.extend(LINES_REFUSED.iter().map(|line| named(line, Refused(0))));
    let one = |name: &str, want, text: &str| case(name, want, text);
    all.push(one(
        "only line feeds",
        Refused(0),
        "GET /~/a HTTP/1.1\nHost: h\n\n",
    ));
    all.push(one(
        "only carriage returns",
        Ends(0),
        "GET /~/a HTTP/1.1\rHost: h\r\r",
    ));
    all.push(one(
        "a head ends in two line feeds",
        Refused(0),
        "GET /~/a HTTP/1.1\r\nHost: h\r\n\n",
    ));
    all.push(one(
        "HTTP/1.0 without Host",
        Passed(1),
        "GET /~/a HTTP/1.0\r\n\r\n",
    ));
    all
}

const FIELDS_PASSING: &[&str] = &[
    "X:y",
    "X:",
    "X: \u{80}\u{ff}",
    "!#$%&'*+-.^_`|z: y",
    "X: a\tb",
    "X_Y: z",
];
const FIELDS_REFUSED: &[&str] = &[
    "X : y",
    "X\t: y",
    "X: a\r\n b",
    "X: a\r\n\tb",
    "X: a\r\n ",
    " ",
    "\t",
    " X: y",
    "X",
    ": y",
    ":",
    "X y: z",
    "X\u{0}: y",
    "X: \u{0}",
    "X: a\u{0}b",
    "X: \u{1b}",
    "X: \u{7f}",
    "X: a\u{b}b",
    "X\u{b}: y",
    "X\u{80}: y",
    "X(a): y",
    "X/a: y",
    "X@a: y",
    "X{a}: y",
    "\"X\": y",
    "X: a\nY: b",
    "X: a\rY: b",
    "X: a\r",
    "\rX: a",
    "X: a\n\r\nY: b",
];
const FIELDS_SPOOFED: &[&str] = &[
    "X-Real-IP: 6.6.6.6",
    "x-real-ip: 6.6.6.6",
    "X_Real_IP: 6.6.6.6",
    "X-Real_IP: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "x_forwarded_for: 6.6.6.6",
    "X_Forwarded_Proto: 6.6.6.6",
    "X-Forwarded-Proto: 6.6.6.6",
    "Connection: X-Real-IP\r\nX-Real-IP: 6.6.6.6",
];

fn fields() -> Vec<Case> {
    let named = |line: &str, want| {
        let text = format!("GET /~/a HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n{NEXT}");
        case(format!("field {}", shown(line)), want, text)
    };
    let mut all: Vec<Case> = FIELDS_PASSING
        .iter()
        .map(|line| named(line, Passed(2)))
        .collect();
    all.extend(FIELDS_REFUSED.iter().map(|line| named(line, Refused(0))));
    all.extend(FIELDS_SPOOFED.iter().map(|line| named(line, Passed(2))));
    all
}

const HOSTS_PASSING: &[&str] = &[
    "Host: h:80\r\n",
    "Host: [::1]\r\n",
    "Host: [::1]:80\r\n",
    "hOST:h\r\n",
    "Host: \r\n",
];
const HOSTS_REFUSED: &[&str] = &[
    "",
    "Host: h\r\nHost: h\r\n",
    "Host: h\r\nhost: i\r\n",
    "Host: h\r\nHost:\r\n",
    "Host: u@h\r\n",
    "Host: u:p@h\r\n",
    "Host: h/x\r\n",
    "Host: h?x\r\n",
    "Host: h#x\r\n",
    "Host: h i\r\n",
    "Host: h\ti\r\n",
    "Host: h\\i\r\n",
    "Host: h\u{80}\r\n",
    "Host: h\u{0}\r\n",
    "Host: h\"\r\n",
    "Host: h<i>\r\n",
    "Host : h\r\n",
    "Host: h\r\n i\r\n",
    "X: a\nHost: h\r\n",
];

fn hosts() -> Vec<Case> {
    let named = |line: &str, want| {
        let text = format!("GET /~/a HTTP/1.1\r\n{line}X: y\r\n\r\n{NEXT}");
        case(format!("host {}", shown(line.trim_end())), want, text)
    };
    let mut all: Vec<Case> = HOSTS_PASSING
        .iter()
        .map(|line| named(line, Passed(2)))
        .collect();
    all.extend(HOSTS_REFUSED.iter().map(|line| named(line, Refused(0))));
    all
}

const TARGETS_PASSING: &[&str] = &[
    "http://h/~/a",
    "HTTP://H/~/a",
    "/~/a%0d%0aX:y",
    "/~/a?b=http://i/",
    "/~/a\\b",
    "/~/a;b",
    "/~/a\"b",
];
const TARGETS_REFUSED: &[&str] = &[
    "http://i/~/a",
    "http://h:80/~/a",
    "http://u@h/~/a",
    "http:///~/a",
    "http:/~/a",
    "http://h\\i/~/a",
    "https://h/~/a",
    "ftp://h/~/a",
    "h:80",
    "h",
    "~/a",
    "?/~/a",
    "/~/a#b",
    "/~/a\u{0}",
    "/~/a\u{7f}",
    "/~/a\u{1b}",
    "/~/a\rb",
];

fn targets() -> Vec<Case> {
    let named = |target: &str, want| {
        let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n{NEXT}");
        case(format!("target {}", shown(target)), want, text)
    };
    let mut all: Vec<Case> = TARGETS_PASSING
        .iter()
        .map(|target| named(target, Passed(2)))
        .collect();
    all.extend(
        TARGETS_REFUSED
            .iter()
            .map(|target| named(target, Refused(0))),
    );
    all.push(case(
        "the target names a host, Host is empty",
        Refused(0),
        "GET http://h/~/a HTTP/1.1\r\nHost:\r\n\r\n",
    ));
    all
}

/// The edges of what a head may be.
fn sizes() -> Vec<Case> {
    let head = |fields: &str| format!("GET /~/a HTTP/1.1\r\nHost: h\r\n{fields}\r\n{NEXT}");
    let many = |count: usize| {
        (0..count)
            .map(|number| format!("X-{number}: y\r\n"))
            .collect::<String>()
    };
    let long = |letter: &str| letter.repeat(40_000);
    let field = |bytes| head(&format!("X: {}\r\n", "y".repeat(bytes)));
    let line =
        |method: &str, target: &str| format!("{method} /~/{target} HTTP/1.1\r\nHost: h\r\n\r\n");
    let endless = format!("GET /~/a HTTP/1.1\r\nX: {}", long("y"));
    vec![
        case("99 fields", Passed(2), head(&many(98))),
        case("101 fields", Refused(0), head(&many(100))),
        case("a field of 4 kB", Passed(2), field(4000)),
        case("a field of 40 kB", Refused(0), field(40_000)),
        case(
            "a name of 40 kB",
            Refused(0),
            head(&format!("{}: y\r\n", long("X"))),
        ),
        case("a target of 40 kB", Refused(0), line("GET", &long("a"))),
        case("a method of 40 kB", Refused(0), line(&long("G"), "a")),
        case("a head of 40 kB without an end", Refused(0), endless),
    ]
}
