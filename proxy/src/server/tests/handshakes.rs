//! Limits on new Engine.IO sessions, on the wire.

use super::cluster::{Answer, Does, Proxy, Server, handshake, settings};
use crate::settings::{Balance, Handshakes, Rate, Settings};

/// A second token is a minute away.
fn slow(burst: u32) -> Option<Rate> {
    Some(Rate {
        per_minute: 1,
        burst,
    })
}

fn limited(servers: &[&str], overall: Option<Rate>, per_server: Option<Rate>) -> Settings {
    let mut settings = settings(servers);
    settings.upstreams[0].handshakes = Handshakes {
        overall,
        per_server,
    };
    settings
}

async fn ask(proxy: &Proxy, line: &str) -> Answer {
    let mut client = proxy.connect().await;
    client
        .send(&format!(
            "{line} HTTP/1.1\r\nHost: a\r\nOrigin: https://o.example\r\n\r\n"
        ))
        .await;
    client.answer().await
}

async fn open(proxy: &Proxy) -> Answer {
    ask(proxy, "GET /socket.io/?EIO=4&transport=polling&t=abc").await
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_handshakes_are_told_when_to_come_back() {
    let server = Server::start(Does::Open).await;
    let proxy = Proxy::start(limited(&[&server.address], slow(3), None)).await;
    for _ in 0..3 {
        assert_eq!(open(&proxy).await.status, 200);
    }
    for _ in 0..20 {
        let answer = open(&proxy).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.body, "503 Service Unavailable\n");
        let seconds: u64 = answer.field("Retry-After").unwrap().parse().unwrap();
        assert!((30..=64).contains(&seconds), "{seconds}");
        for (field, value) in [
            ("Access-Control-Allow-Origin", "https://o.example"),
            ("Access-Control-Expose-Headers", "Retry-After"),
        ] {
            assert_eq!(answer.field(field), Some(value));
        }
    }
    assert_eq!(server.seen(), 3);
    let (_client, answer) = proxy.handshake("").await;
    assert_eq!(answer.status, 503, "a WebSocket begins a session as well");
    assert!(answer.field("Retry-After").is_some());
    for line in [
        "berth_handshakes_limited_total{upstream=\"app\"} 21",
        "berth_refusals_total{reason=\"handshake_limited\"} 21",
    ] {
        proxy.wait_for_metric(line).await;
    }
    let page = proxy.admin("/metrics").await.body;
    assert!(
        !page.contains("berth_upstream_server_fails_total"),
        "{page}"
    );

    let bound = handshake("").replace("transport=", "sid=abc&transport=");
    let mut client = proxy.connect().await;
    client.send(&bound).await;
    assert_eq!(client.answer().await.status, 101, "sessions go on");
    for line in [
        "GET /socket.io/?EIO=4&transport=polling&sid=abc",
        "POST /socket.io/?EIO=4&transport=polling&sid=abc",
        "OPTIONS /socket.io/?EIO=4&transport=polling",
        "GET /socket.io/socket.io.js",
        "GET /",
    ] {
        assert_eq!(ask(&proxy, line).await.status, 200, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tokens_leaves_new_clients_to_others() {
    let (one, two) = (
        Server::start(Does::Open).await,
        Server::start(Does::Open).await,
    );
    let addresses = [&*one.address, &*two.address];
    let proxy = Proxy::start(limited(&addresses, None, slow(2))).await;
    for _ in 0..2 {
        assert_eq!(open(&proxy).await.status, 200);
        assert_eq!(proxy.handshake("").await.1.status, 101);
    }
    assert_eq!(open(&proxy).await.status, 503);
    assert_eq!(proxy.handshake("").await.1.status, 503);
    assert_eq!((one.seen(), two.seen()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_address_has_a_server_waits_for_that() {
    let (one, two) = (
        Server::start(Does::Open).await,
        Server::start(Does::Open).await,
    );
    let mut settings = limited(&[&one.address, &two.address], None, slow(2));
    settings.upstreams[0].balance = Balance::IpHash;
    let proxy = Proxy::start(settings).await;
    for status in [200, 200, 503, 503] {
        assert_eq!(open(&proxy).await.status, status);
    }
    let mut seen = [one.seen(), two.seen()];
    seen.sort_unstable();
    assert_eq!(seen, [0, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_two_servers_are_asked_for_costs_one_token() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Open).await);
    let proxy = Proxy::start(limited(&[&dead, &server.address], slow(2), None)).await;
    for status in [200, 200, 503] {
        assert_eq!(open(&proxy).await.status, status);
    }
    proxy
        .wait_for_metric("berth_upstream_retries_total{upstream=\"app\"} 1")
        .await;
}
