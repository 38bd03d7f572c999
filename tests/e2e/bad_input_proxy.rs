//! What the proxy answers to what it cannot or will not pass on. Each answer is typed, and the proxy lives.

use berth_tests::{Client, Proxy, Town, eventually, http, secs};
use nix::sys::signal::Signal;

fn request(path: &str, host: &str, more: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n").into_bytes()
}

async fn refused(town: &Town, request: &[u8], status: u16) {
    let answer = http::raw(&town.proxy().address(), request).await;
    let shown = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
    assert_eq!(http::status_of(&answer), status, "{shown:?} got {answer:?}");
}

async fn still_serves(town: &Town) {
    assert_eq!(
        http::status(&town.proxy().url("/api/instance")).await,
        Some(200)
    );
}

#[tokio::test]
async fn oversized_heads_are_431() {
    let town = Town::with_backends(1)
        .proxy(Proxy::round_robin())
        .start()
        .await;
    let long = "a".repeat(40 * 1024);
    refused(
        &town,
        &request("/", "berth", &format!("X-Long: {long}\r\n")),
        431,
    )
    .await;
    refused(&town, &request(&format!("/{long}"), "berth", ""), 431).await;
    let many: String = (0..4000)
        .map(|number| format!("X-{number}: value\r\n"))
        .collect();
    refused(&town, &request("/", "berth", &many), 431).await;
    still_serves(&town).await;
}

#[tokio::test]
async fn bad_requests_are_400() {
    let town = Town::with_backends(1)
        .proxy(Proxy::round_robin())
        .start()
        .await;
    let bad: [&[u8]; 7] = [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: berth\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: berth\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: berth\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS\r\n\r\n",
    ];
    for request in bad {
        refused(&town, request, 400).await;
    }
    still_serves(&town).await;
}

#[tokio::test]
async fn unknown_hosts_and_paths_are_404() {
    let proxy = Proxy::round_robin()
        .route("chat.example.com", "/socket.io/")
        .route("chat.example.com", "/api/");
    let town = Town::with_backends(1).proxy(proxy).start().await;
    refused(
        &town,
        &request("/api/instance", "other.example.com", ""),
        404,
    )
    .await;
    refused(&town, &request("/private", "chat.example.com", ""), 404).await;
    refused(
        &town,
        &request("/api/instance", "chat.example.com", ""),
        200,
    )
    .await;
    refused(
        &town,
        &request("/api/instance", "CHAT.example.com:8080", ""),
        200,
    )
    .await;
}

#[tokio::test]
async fn no_server_left_is_502_with_a_reason() {
    let mut town = Town::with_backends(2)
        .proxy(Proxy::round_robin())
        .start()
        .await;
    town.kill(1);
    town.kill(2);
    // The first requests find out; from then on nobody is asked any more.
    for _ in 0..8 {
        refused(&town, &request("/api/instance", "berth", ""), 502).await;
    }
    town.proxy()
        .program()
        .says("no live upstreams", secs(5))
        .await;
    let upgrade = Client::to(&town.proxy().address()).try_connect().await;
    assert_eq!(upgrade.err(), Some("HTTP 502".to_owned()));
    // An operator's probe sees it, and the proxy itself is alive.
    http::answers(&town.proxy().admin_url("/health/readiness"), 503, secs(5)).await;
    http::answers(&town.proxy().admin_url("/health/liveness"), 200, secs(5)).await;
}

#[tokio::test]
async fn a_silent_client_is_let_go() {
    let proxy = Proxy::round_robin().server_line("head_timeout = \"1s\"");
    let town = Town::with_backends(1).proxy(proxy).start().await;
    let answer = http::raw(&town.proxy().address(), b"GET / HTTP/1.1\r\nHost: be").await;
    assert!(
        answer.is_empty() || http::status_of(&answer) == 408,
        "{answer:?}"
    );
    still_serves(&town).await;
}

#[tokio::test]
async fn too_large_bodies_are_413() {
    let proxy = Proxy::round_robin().server_line("body_bytes_max = \"64KiB\"");
    let town = Town::with_backends(1).proxy(proxy).start().await;
    let head = "POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: berth\r\n";
    refused(
        &town,
        format!("{head}Content-Length: 100000\r\n\r\n").as_bytes(),
        413,
    )
    .await;
    still_serves(&town).await;
}

#[tokio::test]
async fn over_the_connection_limit_is_503() {
    let proxy = Proxy::round_robin().server_line("connections_max = 4");
    let town = Town::with_backends(1).proxy(proxy).start().await;
    let mut visitors = Vec::new();
    for _ in 0..4 {
        visitors.push(town.visitor().await);
    }
    refused(
        &town,
        &request("/api/instance", "berth", "Connection: close\r\n"),
        503,
    )
    .await;
    visitors.pop();
    eventually("a place is free again", secs(10), async || {
        (http::status(&town.proxy().url("/api/instance")).await == Some(200)).then_some(())
    })
    .await;
    assert_eq!(visitors[0].end(), None);
}

#[tokio::test]
async fn a_server_that_hangs_is_504() {
    let proxy = Proxy::round_robin().upstream_line("read_timeout = \"1s\"");
    let town = Town::with_backends(1).proxy(proxy).start().await;
    town.backend(1).program().signal(Signal::SIGSTOP);
    refused(&town, &request("/api/instance", "berth", ""), 504).await;
    town.backend(1).program().signal(Signal::SIGCONT);
    eventually("it serves again", secs(10), async || {
        (http::status(&town.proxy().url("/api/instance")).await == Some(200)).then_some(())
    })
    .await;
}
