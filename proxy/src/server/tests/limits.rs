//! Every limit at its limit, over real sockets. How long things take is tested where time can be paused.

use std::time::Duration;

use super::cluster::{Client, Does, PATIENCE, Proxy, Server, handshake, settings};
use crate::clock::Stopwatch;
use crate::heartbeat;
use crate::settings::{IdleTimeout, Settings};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn refusals(reason: &str, count: usize) -> String {
    format!("berth_refusals_total{{reason=\"{reason}\"}} {count}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_how_long_the_websockets_of_its_sessions_may_be_silent() {
    let server = Server::start(Does::Open).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].websocket_idle_timeout = IdleTimeout::Auto;
    let proxy = Proxy::start(settings).await;
    let mut client = proxy.connect().await;
    client
        .send("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert!(client.answer().await.body.contains("pingInterval"));

    let began = Stopwatch::start();
    let mut upgraded = proxy.connect().await;
    let upgrade = handshake("").replace("websocket HTTP", "websocket&sid=x HTTP");
    upgraded.send(&upgrade).await;
    assert_eq!(upgraded.answer().await.status, 101);
    assert_eq!(upgraded.read_to_end().await, b"");
    // Without the server's words it would have been much longer than this test has patience.
    assert!(PATIENCE < heartbeat::IDLE_TIMEOUT);
    assert!(began.elapsed() >= heartbeat::MARGIN + Duration::from_millis(300));
    proxy
        .wait_for_metric("berth_websocket_closed_total{reason=\"idle\",upstream=\"app\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_websocket_is_told_to_go() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].websocket_max_age = Some(Duration::from_millis(200));
    let proxy = Proxy::start(settings).await;
    let (mut client, _) = proxy.handshake("").await;
    client.send("\u{1}\u{2}ab\u{1}\u{2}cd").await;
    assert_eq!(client.read(8).await, b"\x01\x02ab\x01\x02cd");
    assert_eq!(client.read_to_end().await, [0x88, 0x02, 0x03, 0xe9]);
    drop(client);
    for line in [
        "berth_websocket_closed_total{reason=\"max_age\",upstream=\"app\"} 1",
        "berth_websocket_bytes_total{direction=\"received\",upstream=\"app\"} 8",
    ] {
        proxy.wait_for_metric(line).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_websockets_are_counted() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let (mut client, _) = proxy.handshake("").await;
    client
        .0
        .try_write(b"\x81\x82mask12\x89\x80mask\x82\x80mask")
        .unwrap();
    client.read(20).await;
    drop(client);
    for direction in ["received", "sent"] {
        let name = "berth_websocket_messages_total";
        let line = format!("{name}{{direction=\"{direction}\",upstream=\"app\"}} 2");
        proxy.wait_for_metric(&line).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_with_too_many_fields_is_refused() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.head_fields_max = 20;
    let proxy = Proxy::start(settings).await;
    assert_eq!(proxy.get(&"X: y\r\n".repeat(19)).await.status, 200);
    assert_eq!(proxy.get(&"X: y\r\n".repeat(20)).await.status, 431);
    let beyond_any = "X: y\r\n".repeat(crate::head::FIELDS_MAX);
    assert_eq!(proxy.get(&beyond_any).await.status, 431);
    proxy.wait_for_metric(&refusals("too_many_fields", 2)).await;
    assert_eq!(server.seen(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_carries_so_many_requests() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.client_keepalive_requests = 3;
    let proxy = Proxy::start(settings).await;
    let mut client = proxy.connect().await;
    for connection in [None, None, Some("close")] {
        client.send(GET).await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.field("Connection")),
            (200, connection)
        );
    }
    assert_eq!(client.read_to_end().await, b"");
    assert_eq!(proxy.get("").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_so_many_places_and_others_have_theirs() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.connections_per_client_max = 2;
    let proxy = Proxy::start(settings).await;
    let mut inside = Vec::new();
    for _ in 0..2 {
        let (client, answer) = proxy.handshake("").await;
        assert_eq!(answer.status, 101);
        inside.push(client);
    }
    let mut third = proxy.connect().await;
    let answer = third.answer().await;
    assert_eq!(
        (answer.status, answer.field("Retry-After")),
        (429, Some("1"))
    );
    proxy
        .wait_for_metric(&refusals("too_many_of_client", 1))
        .await;
    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut elsewhere = Client(elsewhere.connect(proxy.address).await.unwrap());
    elsewhere.send(GET).await;
    assert_eq!(elsewhere.answer().await.status, 200);

    inside.pop();
    let back = async { while proxy.get("").await.status != 200 {} };
    tokio::time::timeout(PATIENCE, back).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_hop_has_as_many_connections_as_it_likes() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.connections_per_client_max = 1;
    settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let proxy = Proxy::start(settings).await;
    let mut inside = Vec::new();
    for _ in 0..3 {
        let (client, answer) = proxy.handshake("").await;
        assert_eq!(answer.status, 101);
        inside.push(client);
    }
}

const HALF_A_POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_sending_is_told_and_let_go() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.body_timeout = Duration::from_millis(100);
    let proxy = Proxy::start(settings).await;
    let mut client = proxy.connect().await;
    client.send(HALF_A_POST).await;
    assert_eq!(client.answer().await.status, 408);
    proxy.wait_for_metric(&refusals("body_timeout", 1)).await;
    assert_eq!(proxy.get("").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_too_slowly_is_told_and_let_go() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.rate_window = Duration::from_secs(1);
    let proxy = Proxy::start(settings).await;
    let mut client = proxy.connect().await;
    client.send(HALF_A_POST).await;
    assert_eq!(client.answer().await.status, 408);
    proxy.wait_for_metric(&refusals("body_too_slow", 1)).await;
    assert_eq!(proxy.get("").await.status, 200);
}

/// A client asks for more than the kernel's buffers hold and takes nothing.
#[track_caller]
fn check_cut(change: impl FnOnce(&mut Settings), reason: &'static str) -> impl Future<Output = ()> {
    let mut settings = settings(&[]);
    change(&mut settings);
    async move {
        let server = Server::start(Does::Echo).await;
        settings.upstreams[0].servers = vec![super::cluster::server(&server.address)];
        settings.limits.body_bytes_max = 1 << 30;
        let proxy = Proxy::start(settings).await;
        let mut client = proxy.connect().await;
        let body = vec![b'x'; 32 << 20];
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.send(&head).await;
        tokio::io::AsyncWriteExt::write_all(&mut client.0, &body)
            .await
            .unwrap();
        let line = format!("berth_answers_cut_total{{reason=\"{reason}\"}} 1");
        proxy.wait_for_metric(&line).await;
        assert_eq!(proxy.get("").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_takes_is_cut() {
    let change = |settings: &mut Settings| {
        settings.limits.send_timeout = Duration::from_millis(200);
    };
    check_cut(change, "send_timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_taken_too_slowly_is_cut() {
    let change = |settings: &mut Settings| {
        settings.limits.send_rate_min = 1 << 40;
        settings.limits.rate_window = Duration::from_secs(1);
    };
    check_cut(change, "send_rate").await;
}
