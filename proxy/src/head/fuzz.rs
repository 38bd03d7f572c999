//! Heads that were damaged at random: none may be read in two ways. Failures print the smallest head that shows them.

use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::read::{Bounds, Came, read};
use super::write::for_server;
use super::*;
use crate::alarm::Alarm;
use crate::headers::Forwarded;

const HEADS: [&str; 7] = [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "\r\nPOST /a?b=c HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\nCookie: a=b\r\n\r\nhello",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: [::1]\r\nTE: trailers\r\n\r\n0\r\n\r\n",
    "GET http://h/a HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\nX: y\r\n\r\n",
    "GET / HTTP/1.0\r\nX_Forwarded_For: 1\r\nX-Forwarded-For: 2\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\nContent_Length: 7\r\n\r\n",
    "GET /s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: a\r\n\r\n",
];
/// What parsers stumble over.
const PIECES: [&str; 18] = [
    "\r",
    "\n",
    "\r\n",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "\u{b}",
    "\u{80}",
    "_",
    "0",
    "-",
    "chunked",
    "Content-Length: 1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "\r\n ",
];

/// A head with a few damages: at a place, so many bytes are replaced by a piece.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damage = (
        any::<prop::sample::Index>(),
        0_usize..3,
        prop::sample::select(&PIECES[..]),
    );
    let damages = prop::collection::vec(damage, 0..4);
    (prop::sample::select(&HEADS[..]), damages).prop_map(|(head, damages)| {
        let mut bytes = head.as_bytes().to_vec();
        for (at, length, piece) in damages {
            let at = at.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, piece.bytes());
        }
        bytes
    })
}

/// What comes of these bytes in these pieces, and what is left behind the head.
fn came(bytes: &[u8], cuts: &[usize]) -> (Came, Vec<u8>) {
    const BOUNDS: Bounds = Bounds {
        bytes_max: 64 * 1024,
        idle_timeout: Duration::from_secs(60),
        head_timeout: Duration::from_secs(60),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut client, mut server) = tokio::io::duplex(64 * 1024);
        let (mut got, mut alarm) = (BytesMut::new(), Alarm::default());
        let send = async {
            let mut rest = bytes;
            for cut in cuts {
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
                rest = behind;
            }
            client.write_all(rest).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let (came, ()) = tokio::join!(read(&mut server, &mut got, BOUNDS, &mut alarm), send);
        let head = if let Came::Head(end) = &came {
            got[..*end].to_vec()
        } else {
            Vec::new()
        };
        (came, head)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn a_head_that_is_believed_has_one_reading(bytes in damaged()) {
        let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(&bytes);
        let Ok(Some(end)) = find_end(bytes) else { return Ok(()) };
        let mut room = room();
        let Ok(head) = parse(&bytes[..end], &mut room) else { return Ok(()) };

        // The parser sees the same end in everything that came, and the same words.
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        prop_assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(end)));
        prop_assert_eq!((request.method, request.path), (Some(head.method), Some(head.target)));
        prop_assert_eq!(&*request.headers, head.fields);

        // What a server gets is believed again, and means the same.
        let forwarded = Forwarded { real_ip: "192.0.2.1".into(), hops: Vec::new(), proto: "http" };
        let mut written = for_server(&head, head.target, &forwarded, None);
        written.extend_from_slice(b"\r\n");
        prop_assert_eq!(find_end(&written).ok().flatten(), Some(written.len()));
        let mut room = super::room();
        let again = parse(&written, &mut room);
        prop_assert!(again.is_ok(), "{:?} for {:?}", again, String::from_utf8_lossy(&written));
        let again = again.unwrap();
        prop_assert_eq!((again.method, again.path, again.host, again.body), (head.method, head.path, head.host, head.body));
        prop_assert!(again.target.starts_with('/') || again.target == "*");
        let lookalikes = again.fields.iter().filter(|field| {
            field.name.replace('_', "-").eq_ignore_ascii_case("Content-Length")
        });
        prop_assert!(lookalikes.count() <= usize::from(!matches!(head.body, Body::Chunked)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_pieces_in_which_a_head_comes_do_not_matter(
        bytes in damaged(),
        cuts in prop::collection::vec(1_usize..40, 0..20),
    ) {
        prop_assert_eq!(came(&bytes, &cuts), came(&bytes, &[]));
        prop_assert_eq!(came(&bytes, &vec![1; bytes.len()]), came(&bytes, &[]));
    }
}
