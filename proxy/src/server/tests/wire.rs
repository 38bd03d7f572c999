//! HTTP/1.1 as it looks on the wire, between a client that writes bytes and a server that writes bytes.

use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::cluster::{Client, PATIENCE, Proxy, Server, server, settings};
use crate::settings::Settings;

/// A server that does this with every connection, and a proxy before it.
pub(super) async fn before<F>(serve: impl Fn(Client) -> F + Send + 'static) -> Proxy
where
    F: Future<Output = ()> + Send + 'static,
{
    before_settings(settings(&[]), serve).await
}

/// The same with a proxy of these settings, whose servers are replaced.
pub(super) async fn before_settings<F>(
    mut settings: Settings,
    serve: impl Fn(Client) -> F + Send + 'static,
) -> Proxy
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(Client(stream)));
        }
    });
    settings.upstreams[0].servers = vec![server(&address)];
    Proxy::start(settings).await
}

/// A server that answers every request head with these bytes and keeps the connection.
pub(super) async fn before_words(words: &'static str) -> Proxy {
    before(move |mut client| async move {
        while !head_of(&mut client.0).await.is_empty() {
            client.send(words).await;
        }
    })
    .await
}

/// Empty: the connection ended.
pub(super) async fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_gets_it_from_the_server() {
    let proxy = before(|mut client| async move {
        let head = head_of(&mut client.0).await;
        assert!(head.contains("Expect: 100-continue\r\n"), "{head}");
        client.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        let body = client.read(5).await;
        assert_eq!(body, b"hello");
        client
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
    })
    .await;
    let mut client = proxy.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello").await;
    assert_eq!(client.answer().await.body, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn early_hints_pass_to_those_who_know_them() {
    let words = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let proxy = before_words(words).await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    assert_eq!(
        client.head().await,
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    );
    assert_eq!(client.answer().await.status, 204);
    let mut old = proxy.connect().await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.answer().await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_early_arrives_and_ends_the_connection() {
    let proxy = before(|mut client| async move {
        head_of(&mut client.0).await;
        client
            .send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            .await;
        // Reads no more of the body.
        std::future::pending::<()>().await;
    })
    .await;
    let mut client = proxy.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegin")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (413, "no"));
    assert_eq!(client.read_to_end().await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_has_said_is_not_held_back() {
    let proxy = before(|mut client| async move {
        head_of(&mut client.0).await;
        client
            .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            .await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    assert!(client.head().await.contains("Content-Length: 10\r\n"));
    assert_eq!(client.read(5).await, b"first");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_length_ends_with_the_connection() {
    let proxy = before(|mut client| async move {
        head_of(&mut client.0).await;
        client.send("HTTP/1.1 200 OK\r\n\r\nsome words").await;
    })
    .await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    assert!(client.head().await.contains("Connection: close\r\n"));
    assert_eq!(client.read_to_end().await, b"some words");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_no_chunks_gets_the_content() {
    let proxy = before_words("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nwiki\r\n5\r\npedia\r\n0\r\nT: x\r\n\r\n").await;
    let mut old = proxy.connect().await;
    old.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let head = old.head().await;
    assert!(
        head.contains("Connection: close\r\n") && !head.contains("Transfer-Encoding"),
        "{head}"
    );
    assert_eq!(old.read_to_end().await, b"wikipedia");
    let mut client = proxy.connect().await;
    client.send(GET).await;
    assert!(
        client
            .head()
            .await
            .contains("Transfer-Encoding: chunked\r\n")
    );
    let whole = b"4\r\nwiki\r\n5\r\npedia\r\n0\r\nT: x\r\n\r\n";
    assert_eq!(
        client.read(whole.len()).await,
        whole,
        "trailer fields pass, extensions do not"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_may_keep_its_connection() {
    let proxy = before_words("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let mut old = proxy.connect().await;
    for _ in 0..2 {
        old.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await;
        let answer = old.answer().await;
        assert_eq!(answer.field("Connection"), Some("keep-alive"));
    }
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.answer().await.field("Connection"), Some("close"));
    assert_eq!(old.read_to_end().await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_ended_its_side_gets_its_answer() {
    let proxy = before_words("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    client.0.shutdown().await.unwrap();
    let told = String::from_utf8(client.read_to_end().await).unwrap();
    assert!(told.ends_with("\r\n\r\nok"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_the_same_in_every_split() {
    let proxy = before(|mut client| async move {
        loop {
            let head = head_of(&mut client.0).await;
            if head.is_empty() {
                return;
            }
            let mut body = Vec::new();
            while !body.ends_with(b"0\r\n\r\n") {
                body.push(client.0.read_u8().await.unwrap());
            }
            let length = body.len();
            client
                .send(&format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
                ))
                .await;
            client.0.write_all(&body).await.unwrap();
        }
    })
    .await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;e\r\nwiki\r\n1\r\n!\r\n0\r\nT: x\r\n\r\n";
    let expected = "4\r\nwiki\r\n1\r\n!\r\n0\r\n\r\n";
    let mut client = proxy.connect().await;
    for split in 1..request.len() {
        let (first, second) = request.split_at(split);
        client.send(first).await;
        tokio::task::yield_now().await;
        client.send(second).await;
        assert_eq!(client.answer().await.body, expected, "split at {split}");
    }
    for byte in request.bytes() {
        client.0.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await.body, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_two_readings_is_a_bad_gateway() {
    for words in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded: c\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "200 OK\r\n\r\n",
    ] {
        let proxy = before_words(words).await;
        assert_eq!(proxy.get("").await.status, 502, "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_nobody_asked_for_answer_nobody() {
    let proxy = before_words("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
    let mut client = proxy.connect().await;
    for _ in 0..3 {
        client.send(GET).await;
        assert_eq!(client.answer().await.body, "ok");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_died_is_replaced_and_held_against_nobody() {
    let proxy = before(|mut client| async move {
        head_of(&mut client.0).await;
        client
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
    })
    .await;
    let mut client = proxy.connect().await;
    for _ in 0..10 {
        client.send(GET).await;
        assert_eq!(client.answer().await.status, 200);
    }
    let metrics = proxy.admin("/metrics").await.body;
    assert!(
        !metrics.contains("berth_upstream_server_ejections_total{"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_does_not_fill_the_proxy() {
    let proxy = before(|mut client| async move {
        head_of(&mut client.0).await;
        client
            .send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            .await;
        let (piece, mut sent) = (vec![0; 64 * 1024], 0);
        // Kernel buffers take some megabytes; a proxy that buffers would take all.
        while timeout(
            std::time::Duration::from_millis(300),
            client.0.write_all(&piece),
        )
        .await
        .is_ok()
        {
            sent += piece.len();
            assert!(sent < 100_000_000, "somebody holds {sent} bytes");
        }
    })
    .await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    client.head().await;
    proxy.wait_for_metric("berth_connections 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_answer_has_a_length_and_no_body() {
    let proxy = before_words("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(client.head().await.contains("Content-Length: 1000\r\n"));
    }
    let proxy = before_words("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n").await;
    let mut client = proxy.connect().await;
    for _ in 0..2 {
        client.send(GET).await;
        assert!(client.head().await.starts_with("HTTP/1.1 304 "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_end_at_the_hop_that_they_are_about() {
    let proxy = before_words("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Hop, Set-Cookie\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nUpgrade: h2c\r\nSet-Cookie: a=b\r\nX-Kept: 1\r\n\r\n").await;
    let answer = proxy.get("").await;
    for (name, value) in [
        ("X-Hop", None),
        ("Keep-Alive", None),
        ("Upgrade", None),
        ("Connection", None),
        ("Set-Cookie", Some("a=b")),
        ("X-Kept", Some("1")),
    ] {
        assert_eq!(answer.field(name), value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_host_gets_one_on_its_way() {
    let server = Server::start(super::cluster::Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let mut old = proxy.connect().await;
    old.send("GET http://h.example/x?y HTTP/1.0\r\n\r\n").await;
    let told = old.answer().await.body;
    assert!(
        told.starts_with("GET /x?y HTTP/1.1\r\n") && told.contains("Host: h.example\r\n"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_its_own_end_is_not_waited_for_long() {
    let proxy = before(|mut client| async move {
        head_of(&mut client.0).await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut client = proxy.connect().await;
    client.send(GET).await;
    client.0.shutdown().await.unwrap();
    assert_eq!(timeout(PATIENCE, client.read_to_end()).await.unwrap(), b"");
    proxy.wait_for_metric("berth_requests_total{code=\"499\",method=\"GET\",transport=\"http\",upstream=\"app\"} 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_turns_out_bad_behind_the_answers_head_is_cut_and_the_answer_is_not() {
    let mut settings = settings(&[]);
    settings.limits.body_bytes_max = 1000;
    let (is_bad, told) = tokio::sync::watch::channel(0);
    let proxy = before_settings(settings, move |mut client| {
        let mut told = told.clone();
        async move {
            told.mark_unchanged();
            head_of(&mut client.0).await;
            client
                .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
                .await;
            told.changed().await.unwrap();
            client.send("-last").await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    for (bad, reason) in [("zz\r\n", "bad_request"), ("ffff\r\n", "body_too_large")] {
        let mut client = proxy.connect().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        client.head().await;
        assert_eq!(client.read(5).await, b"first");
        // Lies in the proxy's kernel before the server says anything.
        client.send(bad).await;
        is_bad.send_modify(|count| *count += 1);
        assert_eq!(client.read_to_end().await, b"-last");
        let line = format!("berth_request_bodies_cut_total{{reason=\"{reason}\"}} 1");
        proxy.wait_for_metric(&line).await;
    }
}
