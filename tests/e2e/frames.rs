//! WebSocket frames by the book and against it, after the Autobahn test suite's chapters 1 to 7, 9 and 10: through the
//! proxy a client gets byte for byte what the server tells it directly.

use std::fmt::Write;

use berth_tests::{Port, Proxy, RunningProxy, secs, within};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// A message has begun, a message goes on, a message ends.
const BEGINS: u8 = 0x01;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;

struct Case {
    name: String,
    bytes: Vec<u8>,
    /// The client writes so many bytes at once.
    chop: usize,
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x1a, 0x00, 0xff, 0x7f];
    let length = payload.len();
    let mut bytes = vec![first];
    let short = u8::try_from(length).ok().filter(|short| *short < 126);
    if let Some(short) = short {
        bytes.push(0x80 | short);
    } else if let Ok(medium) = u16::try_from(length) {
        bytes.push(0x80 | 126);
        bytes.extend_from_slice(&medium.to_be_bytes());
    } else {
        bytes.push(0x80 | 127);
        bytes.extend_from_slice(&(length as u64).to_be_bytes());
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes()[..], reason].concat())
}

/// These frames, and a goodbye.
fn case(name: impl Into<String>, frames: &[Vec<u8>], chop: usize) -> Case {
    let mut bytes = frames.concat();
    bytes.extend(close(1000, b""));
    Case {
        name: name.into(),
        bytes,
        chop,
    }
}

/// Sizes of messages, whole and chopped.
fn sizes() -> Vec<Case> {
    let mut all = Vec::new();
    for size in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 1 << 20] {
        for (name, first) in [("text", TEXT), ("binary", BINARY)] {
            let message = frame(first, &vec![b'*'; size]);
            all.push(case(format!("{name} of {size}"), &[message], usize::MAX));
        }
    }
    all.push(case(
        "binary of 16 MiB",
        &[frame(BINARY, &vec![0xfe; 16 << 20])],
        usize::MAX,
    ));
    for chop in [1, 64, 997] {
        let message = frame(TEXT, &vec![b'*'; 3000]);
        all.push(case(
            format!("chopped into {chop}"),
            &[message.clone(), message],
            chop,
        ));
    }
    let many: Vec<_> = (0..1000)
        .map(|number: u32| frame(BINARY, &number.to_be_bytes()))
        .collect();
    all.push(case("a thousand messages", &many, usize::MAX));
    all
}

fn control_frames() -> Vec<Case> {
    let mut all = Vec::new();
    for size in [0, 1, 125, 126] {
        all.push(case(
            format!("ping of {size}"),
            &[frame(PING, &vec![0xff; size])],
            usize::MAX,
        ));
    }
    all.push(case("ten pings", &vec![frame(PING, b"x"); 10], 1));
    all.push(case(
        "a pong that nobody asked for",
        &[frame(PONG, b"x"), frame(PING, b"y")],
        usize::MAX,
    ));
    for bits in [0x10, 0x20, 0x40, 0x70] {
        all.push(case(
            format!("reserved bits {bits:x}"),
            &[frame(TEXT | bits, b"x")],
            usize::MAX,
        ));
        all.push(case(
            format!("a ping's reserved bits {bits:x}"),
            &[frame(PING | bits, b"x")],
            1,
        ));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let frames = [
            frame(TEXT, b"before"),
            frame(0x80 | opcode, b"x"),
            frame(PING, b""),
        ];
        all.push(case(format!("opcode {opcode}"), &frames, usize::MAX));
    }
    let mut unmasked = frame(TEXT, b"");
    unmasked[1] &= 0x7f;
    all.push(case("without a mask", &[unmasked], usize::MAX));
    all.push(case(
        "a ping in two",
        &[frame(0x09, b"a"), frame(ENDS, b"b")],
        usize::MAX,
    ));
    all
}

fn fragments() -> Vec<Case> {
    let (a, b, c) = (frame(BEGINS, b"a"), frame(GOES_ON, b"b"), frame(ENDS, b"c"));
    let (ping, text) = (frame(PING, b"p"), frame(TEXT, b"t"));
    let mut all = Vec::new();
    for chop in [usize::MAX, 1] {
        let mut add = |name: &str, frames: &[Vec<u8>]| all.push(case(name, frames, chop));
        add("three fragments", &[a.clone(), b.clone(), c.clone()]);
        add(
            "pings between fragments",
            &[a.clone(), ping.clone(), b.clone(), ping.clone(), c.clone()],
        );
        add(
            "empty fragments",
            &[frame(BEGINS, b""), frame(GOES_ON, b""), frame(ENDS, b"")],
        );
        add("an end without a beginning", &[c.clone(), text.clone()]);
        add("a middle without a beginning", &[b.clone(), text.clone()]);
        add(
            "a message inside another",
            &[a.clone(), text.clone(), c.clone()],
        );
        add("a beginning without an end", &[a.clone(), b.clone()]);
    }
    let mut parts = vec![frame(BEGINS, &[b'*'; 1300])];
    parts.extend(vec![frame(GOES_ON, &[b'*'; 1300]); 49]);
    parts.push(frame(ENDS, &[b'*'; 536]));
    all.push(case("64 KiB in fragments of 1300", &parts, usize::MAX));
    all
}

fn texts_and_goodbyes() -> Vec<Case> {
    let mut all = Vec::new();
    let texts: [&[u8]; 9] = [
        "κόσμε".as_bytes(),
        "\u{10ffff}".as_bytes(),
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\xaf",
        b"\x80",
        b"\xff",
        b"a\xce",
        b"\xf8\x88\x80\x80\x80",
    ];
    for text in texts {
        let (first, rest) = text.split_at(1);
        all.push(case(
            format!("text {text:x?}"),
            &[frame(TEXT, text)],
            usize::MAX,
        ));
        let split = [frame(BEGINS, first), frame(ENDS, rest)];
        all.push(case(format!("split text {text:x?}"), &split, 1));
    }
    for code in [
        0, 999, 1000, 1001, 1003, 1004, 1005, 1006, 1011, 1012, 1015, 1016, 2999, 3000, 4999, 5000,
        65_535,
    ] {
        let frames = [close(code, b"bye"), frame(PING, b"late")];
        all.push(case(format!("goodbye {code}"), &frames, usize::MAX));
    }
    let payloads: [&[u8]; 4] = [b"", b"x", b"\x03\xe8\xff\xfe", &[3; 126]];
    for payload in payloads {
        let frames = [frame(CLOSE, payload), frame(TEXT, b"late")];
        all.push(case(
            format!("goodbye of {} bytes", payload.len()),
            &frames,
            usize::MAX,
        ));
    }
    all
}

/// Echoes messages until it hears a goodbye or nonsense, then says no more and waits for the client to leave.
async fn echo(stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            break;
        }
    }
    let stream = socket.get_mut();
    let _told = stream.shutdown().await;
    let _rest = stream.read_to_end(&mut Vec::new()).await;
}

/// All that a client gets for these bytes.
async fn told(address: &str, case: &Case) -> Vec<u8> {
    let talk = async {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut from, mut to) = stream.into_split();
        to.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(from.read_u8().await.unwrap());
        }
        assert!(
            head.starts_with(b"HTTP/1.1 101 "),
            "{}",
            String::from_utf8_lossy(&head)
        );
        let send = async {
            for piece in case.bytes.chunks(case.chop) {
                // A server that has heard enough need not take the rest.
                if to.write_all(piece).await.is_err() {
                    break;
                }
            }
        };
        let mut got = Vec::new();
        let (_sent, _end) = tokio::join!(send, from.read_to_end(&mut got));
        got
    };
    within(&format!("the end of {:?}", case.name), secs(30), talk).await
}

#[tokio::test]
async fn frames_pass_as_they_are_whatever_they_are() {
    let port = Port::reserve();
    let listener = TcpListener::bind(port.address()).await.unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(echo(stream));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let address = format!("{{ address = \"{}\" }}", port.address());
    let proxy = RunningProxy::before(Proxy::round_robin(), folder.path(), &[address]).await;
    let mut cases = sizes();
    cases.extend(control_frames());
    cases.extend(fragments());
    cases.extend(texts_and_goodbyes());
    let (mut wrong, mut total) = (String::new(), 0);
    for case in &cases {
        let directly = told(&port.address(), case).await;
        let proxied = told(&proxy.address(), case).await;
        total += directly.len();
        if directly != proxied {
            let (ours, theirs) = (proxied.len(), directly.len());
            writeln!(wrong, "{}: {ours} bytes instead of {theirs}", case.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(
        total > 18 << 20,
        "the server said only {total} bytes in {} cases",
        cases.len()
    );
    server.abort();
}
