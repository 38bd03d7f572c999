//! Where a body ends.

use super::Want::{Ends, Passed, Refused};
use super::{Case, NEXT, SMUGGLED, case, post, shown};

pub(super) fn all() -> Vec<Case> {
    let mut all = both();
    all.extend(alike());
    all.extend(codings());
    all.extend(lengths());
    all.extend(chunks());
    all.extend(trailers());
    all
}

/// A length and a coding.
fn both() -> Vec<Case> {
    let te_body = format!("0\r\n\r\n{SMUGGLED}");
    let (length, hidden) = (te_body.len(), SMUGGLED.len());
    let both = format!("Content-Length: {length}\r\nTransfer-Encoding: chunked");
    vec![
        case("CL.TE", Refused(0), post(&both, &te_body)),
        case(
            "TE.CL",
            Refused(0),
            post(
                "Transfer-Encoding: chunked\r\nContent-Length: 4",
                &format!("{hidden:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
            ),
        ),
        case(
            "CL 0 and TE",
            Refused(0),
            post("Content-Length: 0\r\nTransfer-Encoding: chunked", &te_body),
        ),
        case(
            "CL and TE identity",
            Refused(0),
            post("Content-Length: 5\r\nTransfer-Encoding: identity", "hello"),
        ),
        case(
            "TE in HTTP/1.0",
            Refused(0),
            format!("POST /~/a HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{te_body}"),
        ),
        case(
            "CL and TE in HTTP/1.0, kept alive",
            Refused(0),
            format!(
                "POST /~/a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n{both}\r\n\r\n{te_body}"
            ),
        ),
    ]
}

/// What looks like a length, a coding or a request, and is none.
fn alike() -> Vec<Case> {
    let hidden = SMUGGLED.len();
    vec![
        case(
            "CL and Transfer_Encoding",
            Passed(1),
            post("Content-Length: 5\r\nTransfer_Encoding: chunked", "hello"),
        ),
        case(
            "TE and Content_Length",
            Passed(1),
            post(
                "Transfer-Encoding: chunked\r\nContent_Length: 3",
                "5\r\nhello\r\n0\r\n\r\n",
            ),
        ),
        case(
            "only Content_Length",
            Passed(2),
            post("Content_Length: 64", NEXT),
        ),
        case(
            "a body that looks like a request",
            Passed(2),
            post(
                &format!("Content-Length: {hidden}"),
                &format!("{SMUGGLED}{NEXT}"),
            ),
        ),
        case(
            "a chunk that looks like a request",
            Passed(2),
            post(
                "Transfer-Encoding: chunked",
                &format!("{hidden:x}\r\n{SMUGGLED}\r\n0\r\n\r\n{NEXT}"),
            ),
        ),
    ]
}

const CODINGS_PASSING: &[&str] = &[
    " chunked ",
    "\tchunked",
    "  chunked\t ",
    "CHUNKED",
    " cHuNkEd",
];
const CODINGS_REFUSED: &[&str] = &[
    "xchunked",
    "chunkedx",
    "chunked;q=1",
    "\"chunked\"",
    "'chunked'",
    "",
    "identity",
    "gzip",
    "chunked, identity",
    "identity, chunked",
    "gzip, chunked",
    "chunked, chunked",
    "chunked,",
    ",chunked",
    "x chunked",
    "chun\tked",
    "\u{b}chunked",
    "\u{c}chunked",
    "chunked\u{b}",
    "\u{0}chunked",
    "chunked\u{0}",
    "\u{a0}chunked",
    "chunked\u{ff}",
    "\r\n chunked",
    "\r\n\tchunked",
    "\n chunked",
    "x\nchunked",
    "chunked\r",
    "x\r\r\n chunked",
];
const CODINGS_REFUSED_LINES: &[&str] = &[
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    " Transfer-Encoding: chunked",
    "\tTransfer-Encoding: chunked",
    "Transfer-Encoding\u{0}: chunked",
    "\u{0}Transfer-Encoding: chunked",
    "Transfer-Encoding\u{b}: chunked",
    "Transfer Encoding: chunked",
    "Transfer-Encoding chunked",
    "Transfer-Encoding;: chunked",
    "Transfer-Encoding\u{ff}: chunked",
    ":Transfer-Encoding: chunked",
    "X: a\nTransfer-Encoding: chunked",
    "X: a\rTransfer-Encoding: chunked",
    "X: a\r\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\ntransfer-encoding: x",
    "Transfer-Encoding: x\r\nTransfer-Encoding:",
];

fn codings() -> Vec<Case> {
    let body = format!("0\r\n\r\n{NEXT}");
    let te = |value: &str| post(&format!("Transfer-Encoding:{value}"), &body);
    let mut all = Vec::new();
    for value in CODINGS_PASSING {
        all.push(case(format!("TE {}", shown(value)), Passed(2), te(value)));
    }
    for value in CODINGS_REFUSED {
        let text = te(&format!(" {value}"));
        all.push(case(format!("TE {}", shown(value)), Refused(0), text));
    }
    for line in CODINGS_REFUSED_LINES {
        all.push(case(shown(line), Refused(0), post(line, &body)));
    }
    all
}

const LENGTHS_PASSING: &[&str] = &[
    "5",
    "5 ",
    "5\t",
    "\t5",
    "05",
    "0000000000000000000000000005",
];
const LENGTHS_REFUSED: &[&str] = &[
    "+5",
    "-5",
    "-0",
    "0x5",
    "5 5",
    "5, 5",
    "5,5",
    "5, 6",
    "5,",
    ",5",
    "5.0",
    "5e0",
    "5;",
    "_5",
    "1_0",
    "five",
    "",
    "\u{b}5",
    "5\u{0}",
    "\u{0}5",
    "5\u{b5}",
    "\u{b2}",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551621",
    "9223372036854775808",
    "4294967301",
    "99999999999999999999999999999999999999",
    "\r\n 5",
    "5\r\n 0",
    "5\n",
    "5\r",
];
const LENGTHS_REFUSED_LINES: &[&str] = &[
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 0\r\ncontent-length: 5",
    "Content-Length: 5\r\nContent-Length:",
    "Content-Length : 5",
    "Content-Length\t: 5",
    " Content-Length: 5",
    "Content Length: 5",
    "Content-Length\u{0}: 5",
    "X: a\nContent-Length: 5",
    "X: a\rContent-Length: 5",
    "Content-Length 5",
];

fn lengths() -> Vec<Case> {
    let whole = format!("hello{NEXT}");
    let named = |value: &str, want| {
        let text = post(&format!("Content-Length: {value}"), &whole);
        case(format!("CL {}", shown(value)), want, text)
    };
    let mut all: Vec<Case> = LENGTHS_PASSING
        .iter()
        .map(|value| named(value, Passed(2)))
        .collect();
    all.extend(LENGTHS_REFUSED.iter().map(|value| named(value, Refused(0))));
    for line in LENGTHS_REFUSED_LINES {
        all.push(case(shown(line), Refused(0), post(line, &whole)));
    }
    let text = post("Content-Length: 500", "hello");
    all.push(case("a body that does not come", Ends(0), text));
    all
}

const CHUNKS_PASSING: &[&str] = &[
    "5\r\nhello\r\n0\r\n\r\n",
    "00005\r\nhello\r\n00\r\n\r\n",
    "5;a=b\r\nhello\r\n0\r\n\r\n",
    "5;;;\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\r\nhello\r\n0;c=\"\r\n\r\n",
    "A\r\n0\r\n\r\nGET /\r\n0\r\n\r\n",
];
const CHUNKS_REFUSED_SIZES: &[&str] = &[
    "-5\r\n",
    "+5\r\n",
    "0x5\r\n",
    " 5\r\n",
    "5 \r\n",
    "5\t\r\n",
    "5_\r\n",
    "0_5\r\n",
    "5h\r\n",
    "\r\n5\r\n",
    ";\r\n",
    "5,a\r\n",
    "5\n",
    "5\r",
    "5\r\r\n",
    "10000000000000005\r\n",
    "fffffffffffffffb\r\n",
    "ffffffffffffffff\r\n",
    "ffffffff\r\n",
    "5;a\nb\r\n",
    "5;a\rb\r\n",
    "5;\n5\r\n",
    "5;\u{0}\r\n",
    "5\u{0}\r\n",
    "\u{b2}\r\n",
    "5;a=\"\n\"\r\n",
    "5 ;a\r\n",
];
const CHUNKS_REFUSED_ENDS: &[&str] = &[
    "\n0\r\n\r\n",
    "0\r\n\r\n",
    "XX0\r\n\r\n",
    "\r0\r\n\r\n",
    "\r\n0\n\n",
    "\r\n0\r\n\n",
    "\r\n0\r\n\rX",
    "\r\n-0\r\n\r\n",
    "\r\n\r\n",
    "\r\n0x0\r\n\r\n",
    "\r\n0 \r\n\r\n",
];

fn chunks() -> Vec<Case> {
    let chunked = |body: &str| post("Transfer-Encoding: chunked", body);
    // A size and what follows it; the body goes on by the book.
    let mut all = Vec::new();
    for body in CHUNKS_PASSING {
        let text = chunked(&format!("{body}{NEXT}"));
        all.push(case(format!("chunks {}", shown(body)), Passed(2), text));
    }
    for size in CHUNKS_REFUSED_SIZES {
        let text = chunked(&format!("{size}hello\r\n0\r\n\r\n{SMUGGLED}"));
        all.push(case(
            format!("chunk size {}", shown(size)),
            Refused(0),
            text,
        ));
    }
    for end in CHUNKS_REFUSED_ENDS {
        let text = chunked(&format!("5\r\nhello{end}{SMUGGLED}"));
        all.push(case(format!("chunk end {}", shown(end)), Refused(0), text));
    }
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(20_000));
    all.push(case(
        "a chunk extension of 20 kB",
        Refused(0),
        chunked(&long),
    ));
    all.push(case(
        "chunks that do not end",
        Ends(0),
        chunked("5\r\nhello\r\n"),
    ));
    all
}

const TRAILERS_PASSING: &[&str] = &[
    "Content-Length: 50",
    "Transfer-Encoding: chunked",
    "Host: evil\r\nX-Real-IP: 6.6.6.6",
    "X: y",
];
const TRAILERS_REFUSED: &[&str] = &[
    "GET /smuggled HTTP/1.1",
    "X : y",
    " X: y",
    "X: y\r\n z",
    "X: y\nZ: z",
    "X: y\rZ: z",
    "\u{0}: y",
    "X: \u{0}",
    ": y",
    "X",
];

/// Fields behind the last chunk.
fn trailers() -> Vec<Case> {
    let named = |lines: &str, want, rest: &str| {
        let text = post(
            "Transfer-Encoding: chunked",
            &format!("0\r\n{lines}\r\n\r\n{rest}"),
        );
        case(format!("trailer {}", shown(lines)), want, text)
    };
    let mut all: Vec<Case> = TRAILERS_PASSING
        .iter()
        .map(|lines| named(lines, Passed(2), NEXT))
        .collect();
    all.extend(
        TRAILERS_REFUSED
            .iter()
            .map(|lines| named(lines, Refused(0), SMUGGLED)),
    );
    all
}
