//! Chunks and answers that were damaged at random. What passes means the same to hyper, whatever the pieces in which it
//! came. Failures print the smallest input that shows them.

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::answer::{Asked, HEAD_BYTES_MAX, Parsed, parse};
use super::chunked::{Chunked, Keep};

const BODIES: [&str; 5] = [
    "5\r\nhello\r\n0\r\n\r\n",
    "1;a=\"b\"\r\nx\r\n00a\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "2\r\n\r\n\r\n0\r\nX: y\r\nContent-Length: 5\r\n\r\n",
    "0\r\n\r\n",
    "10\r\n0123456789abcdef\r\nF\r\n0123456789abcde\r\n0;z\r\n\r\n",
];
const ANSWERS: [&str; 5] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 204 No Content\r\nConnection: keep-alive, x\r\nX: y\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n",
    "HTTP/1.1 500\r\nContent-Length: 0\r\nServer: s\r\n\r\n",
];
const PIECES: [&str; 17] = [
    "\r",
    "\n",
    "\r\n",
    "\0",
    " ",
    "\t",
    ";",
    ":",
    "0",
    "f",
    "-",
    "+",
    "x",
    "_",
    "\"",
    "Content-Length: 1\r\n",
    "Transfer-Encoding: chunked\r\n",
];

/// One of these with a few damages: at a place, so many bytes are replaced by a piece.
fn damaged(whole: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let damage = (
        any::<prop::sample::Index>(),
        0_usize..3,
        prop::sample::select(&PIECES[..]),
    );
    let damages = prop::collection::vec(damage, 0..3);
    (prop::sample::select(whole), damages).prop_map(|(whole, damages)| {
        let mut bytes = whole.as_bytes().to_vec();
        for (at, length, piece) in damages {
            let at = at.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, piece.bytes());
        }
        bytes
    })
}

/// What is kept, and how much was the body's; nothing if it did not end.
fn followed(keep: Keep, bytes: &[u8], cuts: &[usize]) -> Option<(Vec<u8>, usize)> {
    let (mut chunked, mut kept, mut used) = (Chunked::new(keep), Vec::new(), 0);
    let mut cuts = cuts.iter();
    while !chunked.is_done() && used < bytes.len() {
        let length = cuts
            .next()
            .map_or(usize::MAX, |cut| *cut)
            .min(bytes.len() - used);
        let mut piece = bytes[used..used + length].to_vec();
        let passed = chunked.filter(&mut piece).ok()?;
        kept.extend_from_slice(&piece[..passed.kept]);
        used += passed.used;
    }
    chunked.is_done().then_some((kept, used))
}

/// The content of a chunked answer as hyper reads it.
fn content_by_hyper(chunks: &[u8]) -> Option<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (stream, mut server) = tokio::io::duplex(64 * 1024);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let answered = sender.send_request(http::Request::new(Empty::<Bytes>::new()));
        let answer = [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            chunks,
        ]
        .concat();
        let said = async {
            // Not before it was asked: an answer to nobody is refused.
            tokio::task::yield_now().await;
            server.write_all(&answer).await.unwrap();
            server.shutdown().await.unwrap();
        };
        let (answered, ()) = tokio::join!(answered, said);
        let content = answered.ok()?.into_body().collect().await.ok();
        connection.abort();
        Some(content?.to_bytes().to_vec())
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(is_head, is_http11, is_handshake)| {
        Asked {
            is_head,
            is_http11,
            is_handshake,
        }
    })
}

/// Enough to compare: which kind, the head, and where it ends.
fn told(parsed: &Result<Parsed, super::answer::Invalid>) -> (&'static str, &[u8], usize) {
    match parsed {
        Err(_) => ("invalid", &[], 0),
        Ok(Parsed::Partial) => ("partial", &[], 0),
        Ok(Parsed::Interim { head, end }) => ("interim", head, *end),
        Ok(Parsed::Final { answer, end }) => ("final", &answer.head, *end),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn chunks_that_pass_mean_the_same_to_hyper(bytes in damaged(&BODIES)) {
        let Some((content, used)) = followed(Keep::Content, &bytes, &[]) else { return Ok(()) };
        prop_assert_eq!(content_by_hyper(&bytes[..used]), Some(content.clone()));
        for keep in [Keep::All, Keep::Chunks] {
            let (passed, _) = followed(keep, &bytes, &[]).unwrap();
            prop_assert_eq!(content_by_hyper(&passed), Some(content.clone()));
            // What passed passes again as it is, to its end.
            prop_assert_eq!(followed(keep, &passed, &[]), Some((passed.clone(), passed.len())));
        }
    }

    #[test]
    fn the_pieces_in_which_chunks_come_do_not_matter(
        bytes in damaged(&BODIES),
        cuts in prop::collection::vec(1_usize..9, 0..60),
    ) {
        for keep in [Keep::All, Keep::Chunks, Keep::Content] {
            let whole = followed(keep, &bytes, &[]);
            prop_assert_eq!(&followed(keep, &bytes, &cuts), &whole);
            prop_assert_eq!(&followed(keep, &bytes, &vec![1; bytes.len()]), &whole);
        }
    }

    #[test]
    fn an_answer_that_is_believed_has_one_reading(bytes in damaged(&ANSWERS), asked in asked()) {
        let whole = parse(&bytes, asked);
        for cut in 0..bytes.len().min(HEAD_BYTES_MAX) {
            let part = parse(&bytes[..cut], asked);
            let is_same = told(&part) == told(&whole);
            prop_assert!(is_same || matches!(part, Ok(Parsed::Partial)), "{:?} {:?}", part, whole);
        }
        let (kind, head, end) = told(&whole);
        prop_assert!(end <= bytes.len());
        let text = String::from_utf8_lossy(head).replace("\r\n", "|");
        prop_assert!(!text.contains(['\r', '\n', '\0']), "{}", text);
        let text = text.to_ascii_lowercase();
        let framed = text.matches("|content-length:").count() + text.matches("|transfer-encoding:").count();
        prop_assert!(framed <= usize::from(kind == "final"), "{}", text);
    }
}
