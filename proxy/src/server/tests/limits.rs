//! Every limit at its limit, over real sockets. How long things take is tested where time can be paused.

use std::time::Duration;

use super::cluster::{Does, PATIENCE, Proxy, Server, handshake, settings};
use crate::clock::Stopwatch;
use crate::heartbeat;
use crate::settings::IdleTimeout;

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
