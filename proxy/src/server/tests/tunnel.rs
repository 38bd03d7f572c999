use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::cluster::{Does, PATIENCE, Proxy, Server, handshake, settings};
use super::exchange::sticky;
use crate::settings::IdleTimeout;

#[tokio::test(flavor = "multi_thread")]
async fn no_fresh_websocket_is_lost() {
    const WEBSOCKETS: usize = 2000;
    let server = Server::start(Does::Echo).await;
    let proxy = std::sync::Arc::new(Proxy::start(settings(&[&server.address])).await);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let proxy = std::sync::Arc::clone(&proxy);
        clients.spawn(async move {
            for _ in 0..WEBSOCKETS / 8 {
                let (mut client, answer) = proxy.handshake("").await;
                assert_eq!(answer.status, 101);
                client.send("\u{1}\u{5}hello").await;
                assert_eq!(client.read(7).await, b"\x01\x05hello");
            }
        });
    }
    while let Some(joined) = clients.join_next().await {
        joined.unwrap();
    }
    assert_eq!(server.seen(), WEBSOCKETS);
    proxy
        .wait_for_metric(&format!(
            "berth_websocket_connections_total{{upstream=\"app\"}} {WEBSOCKETS}"
        ))
        .await;
    proxy
        .wait_for_metric("berth_websocket_connections{upstream=\"app\"} 0")
        .await;
    let connections = format!(
        "berth_upstream_connections{{server=\"{}\",upstream=\"app\"}} 0",
        server.address
    );
    proxy.wait_for_metric(&connections).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_head_waits_for_the_101() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let mut client = proxy.connect().await;
    client.send(&format!("{}early", handshake(""))).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(client.read(5).await, b"early");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_head_never_reaches_a_server_that_declines() {
    let declines =
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nKeep-Alive: timeout=5\r\n\r\nno!";
    let server = Server::start(Does::Say(declines)).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let mut client = proxy.connect().await;
    client
        .send(&format!(
            "{}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            handshake("")
        ))
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "no!"));
    assert_eq!(
        (answer.field("Connection"), answer.field("Keep-Alive")),
        (Some("close"), None)
    );
    assert_eq!(client.read_to_end().await, b"");
    assert_eq!(server.seen(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_or_mute_server_is_skipped() {
    let (dead, hangs, server) = (
        Server::dead().await,
        Server::start(Does::Hangs).await,
        Server::start(Does::Echo).await,
    );
    let proxy = Proxy::start(settings(&[&dead, &hangs.address, &server.address])).await;
    for _ in 0..3 {
        let (_client, answer) = proxy.handshake("").await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.field("X-Server"), Some(server.address.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_left_is_a_bad_gateway() {
    let dead = Server::dead().await;
    let proxy = Proxy::start(settings(&[&dead])).await;
    let (_client, answer) = proxy.handshake("").await;
    assert_eq!(answer.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_a_gateway_timeout() {
    let server = Server::start(Does::Sleeps).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].read_timeout = Duration::from_millis(50);
    let proxy = Proxy::start(settings).await;
    assert_eq!(proxy.handshake("").await.1.status, 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_set_on_the_101_and_honoured() {
    let (first, second) = (
        Server::start(Does::EchoWithCookie).await,
        Server::start(Does::Echo).await,
    );
    let proxy = Proxy::start(sticky(&[&first.address, &second.address])).await;
    let (_client, answer) = proxy.handshake("").await;
    let cookie = answer.cookie("srv_id").unwrap();
    assert_eq!(answer.cookie("app").as_deref(), Some("app=1"));
    for _ in 0..3 {
        let (_client, answer) = proxy.handshake(&format!("Cookie: {cookie}\r\n")).await;
        assert_eq!(answer.field("X-Server"), Some(first.address.as_str()));
        assert_eq!(answer.cookie("srv_id"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_everything() {
    const BYTES: usize = 8 * 1024 * 1024;
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let (client, _) = proxy.handshake("").await;
    let (mut read, mut write) = client.0.into_split();
    let sent: Vec<u8> = (0..BYTES).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let expected = sent.clone();
    tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    tokio::time::timeout(
        PATIENCE,
        tokio::io::AsyncReadExt::read_to_end(&mut read, &mut got),
    )
    .await
    .unwrap()
    .unwrap();
    assert!(
        got == expected,
        "{} of {BYTES} bytes, all of them before the half-close came through",
        got.len()
    );
    let line =
        format!("berth_websocket_bytes_total{{direction=\"sent\",upstream=\"app\"}} {BYTES}");
    proxy.wait_for_metric(&line).await;
    proxy
        .wait_for_metric(
            "berth_websocket_closed_total{reason=\"client_closed\",upstream=\"app\"} 1",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_on_which_nobody_speaks_is_closed() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].websocket_idle_timeout = IdleTimeout::After(Duration::from_millis(100));
    let proxy = Proxy::start(settings).await;
    let (mut client, _) = proxy.handshake("").await;
    assert_eq!(client.read_to_end().await, b"");
    proxy
        .wait_for_metric("berth_websocket_closed_total{reason=\"idle\",upstream=\"app\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_overlooks_the_end_of_a_client_does_not_hold_the_tunnel() {
    let server = Server::start(Does::SwitchAndSleep).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let (client, answer) = proxy.handshake("").await;
    assert_eq!(answer.status, 101);
    drop(client);
    proxy
        .wait_for_metric(
            "berth_websocket_closed_total{reason=\"client_closed\",upstream=\"app\"} 1",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_says_goodbye_between_two_frames() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let (mut idle, _) = proxy.handshake("").await;
    let (mut inside, _) = proxy.handshake("").await;
    // The server echoes the first half of a frame.
    inside.send("\u{1}\u{4}ab").await;
    assert_eq!(inside.read(4).await, b"\x01\x04ab");
    proxy.handle.stop();
    assert_eq!(idle.read_to_end().await, [0x88, 0x02, 0x03, 0xf4]);
    inside.send("cd\u{1}\u{1}x").await;
    assert_eq!(inside.read_to_end().await, b"cd\x88\x02\x03\xf4");
    drop((idle, inside));
    proxy.ended().await;
}
