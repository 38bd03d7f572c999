//! Stickiness by session id, on the wire.

use super::cluster::{Client, Does, Proxy, Server, handshake, settings};
use crate::settings::{Balance, Key, Settings, Sid, Sticky};

const OPEN: &str =
    "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";

fn by_sid(servers: &[&str], keys: &[&str]) -> Settings {
    let mut settings = settings(servers);
    settings.upstreams[0].balance = Balance::RoundRobin;
    settings.upstreams[0].sticky = vec![Sticky::Sid(Sid {
        keys: keys.iter().copied().map(Key::new).collect(),
        answer_gone: true,
    })];
    settings
}

fn request(method: &str, sid: &str) -> String {
    format!(
        "{method} /socket.io/?EIO=4&transport=polling&t=1&sid={sid}&x=%7E HTTP/1.1\r\nHost: a\r\nOrigin: https://o.example\r\n\r\n"
    )
}

/// The session id in the answer to a handshake.
async fn session(client: &mut Client) -> String {
    client.send(OPEN).await;
    let answer = client.answer().await;
    assert_eq!(answer.field("Transfer-Encoding"), None);
    let (_, rest) = answer.body.split_once("\"sid\":\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_stays_through_any_proxy_and_method() {
    let keys = ["0123456789abcdef0123456789abcdef"];
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start(Does::Open).await);
    }
    let addresses: Vec<&str> = servers.iter().map(|server| &*server.address).collect();
    let proxies = [
        Proxy::start(by_sid(&addresses, &keys)).await,
        Proxy::start(by_sid(&addresses, &keys)).await,
    ];
    let mut homes = Vec::new();
    for _ in 0..6 {
        let mut client = proxies[0].connect().await;
        let sid = session(&mut client).await;
        let home = sid.split('~').next().unwrap().replace('-', ":");
        for (number, method) in ["GET", "POST", "OPTIONS", "GET"].iter().enumerate() {
            let mut client = proxies[number % 2].connect().await;
            client
                .send(&request(
                    method,
                    &sid.replace('~', ["~", "%7E"][number % 2]),
                ))
                .await;
            let answer = client.answer().await;
            assert_eq!(answer.field("X-Server"), Some(&*home));
            let line = format!(
                "{method} /socket.io/?EIO=4&transport=polling&t=1&sid={}&x=%7E HTTP/1.1",
                home.replace(':', "-")
            );
            assert_eq!(answer.body.lines().next(), Some(&*line));
        }
        let mut client = proxies[1].connect().await;
        client
            .send(&handshake("").replace("transport=", &format!("sid={sid}&transport=")))
            .await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.field("X-Server")),
            (101, Some(&*home))
        );
        homes.push(home);
    }
    homes.sort();
    homes.dedup();
    assert_eq!(homes.len(), 3, "new sessions are spread");
    let line = "berth_sticky_requests_total{method=\"sid\",result=\"new\",upstream=\"app\"} 6";
    proxies[0].wait_for_metric(line).await;
    let line =
        "berth_socketio_handshakes_total{eio=\"4\",transport=\"polling\",upstream=\"app\"} 6";
    proxies[0].wait_for_metric(line).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_is_told_so_at_once() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Open).await);
    let proxy = Proxy::start(by_sid(&[&server.address, &dead], &[])).await;
    // Refused on this very request, then out, then never heard of.
    let tag = crate::affinity::sid::tag_of(None, &dead);
    for sid in [
        format!("X~{tag}"),
        format!("X~{tag}"),
        "X~unknown".to_owned(),
    ] {
        for method in ["GET", "POST"] {
            let mut client = proxy.connect().await;
            client.send(&request(method, &sid)).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 400);
            assert_eq!(answer.body, r#"{"code":1,"message":"Session ID unknown"}"#);
            for (field, value) in [
                ("Content-Type", "application/json"),
                ("Access-Control-Allow-Origin", "https://o.example"),
                ("Access-Control-Allow-Credentials", "true"),
                ("Vary", "Origin"),
            ] {
                assert_eq!(answer.field(field), Some(value));
            }
        }
    }
    let (_client, answer) = {
        let mut client = proxy.connect().await;
        client
            .send(&handshake("").replace("transport=", &format!("sid=X~{tag}&transport=")))
            .await;
        let answer = client.answer().await;
        (client, answer)
    };
    assert_eq!(
        (answer.status, &*answer.body),
        (400, r#"{"code":1,"message":"Session ID unknown"}"#)
    );
    assert_eq!(server.seen(), 0);
    let mut client = proxy.connect().await;
    client.send(&request("OPTIONS", &format!("X~{tag}"))).await;
    assert_eq!(
        client.answer().await.field("X-Server"),
        Some(&*server.address)
    );
    proxy
        .wait_for_metric("berth_refusals_total{reason=\"session_gone\"} 7")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_moves_if_that_is_wished() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Open).await);
    let mut settings = by_sid(&[&server.address, &dead], &[]);
    settings.upstreams[0].sticky = vec![Sticky::Sid(Sid {
        keys: Vec::new(),
        answer_gone: false,
    })];
    let proxy = Proxy::start(settings).await;
    let tag = crate::affinity::sid::tag_of(None, &dead);
    let mut client = proxy.connect().await;
    client.send(&request("GET", &format!("X~{tag}"))).await;
    let answer = client.answer().await;
    assert_eq!(answer.field("X-Server"), Some(&*server.address));
    assert!(answer.body.contains("&sid=X&"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_open_packet_passes_byte_for_byte() {
    const ANSWERS: [&str; 4] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nContent-Encoding: gzip\r\n\r\n0{\"sid\":\"XX\"}",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\n\r\n0{\"sid\":\"X\"}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n0{\r\n3\r\n\"a\"\r\n0\r\n\r\n",
    ];
    for answer in ANSWERS {
        let direct = {
            let server = Server::start(Does::Say(answer)).await;
            let mut client = Client(
                tokio::net::TcpStream::connect(&server.address)
                    .await
                    .unwrap(),
            );
            client.send(OPEN).await;
            client.answer().await.body
        };
        let server = Server::start(Does::Say(answer)).await;
        let proxy = Proxy::start(by_sid(&[&server.address], &[])).await;
        let mut client = proxy.connect().await;
        client.send(OPEN).await;
        assert_eq!(client.answer().await.body, direct);
    }
    let large: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n0{{\"sid\":\"X\",\"p\":\"{}\"}}\r\n0\r\n\r\n", "p".repeat(0x2000 - 19)).into_boxed_str());
    let server = Server::start(Does::Say(large)).await;
    let proxy = Proxy::start(by_sid(&[&server.address], &[])).await;
    let mut client = proxy.connect().await;
    client.send(OPEN).await;
    let body = client.answer().await.body;
    assert_eq!(body.len(), 0x2000);
    assert!(body.starts_with("0{\"sid\":\"X\""), "{}", &body[..20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn revision_3_is_wrapped_with_its_length() {
    let server = Server::start(Does::Say(
        "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n12:0{\"sid\":\"X\"}2:40",
    ))
    .await;
    let proxy = Proxy::start(by_sid(&[&server.address], &[])).await;
    let mut client = proxy.connect().await;
    client.send(&OPEN.replace("EIO=4", "EIO=3")).await;
    let tag = crate::affinity::sid::tag_of(None, &server.address);
    assert_eq!(
        client.answer().await.body,
        format!("25:0{{\"sid\":\"X~{tag}\"}}2:40")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_asks_for_no_compression_and_keeps_its_connection() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(by_sid(&[&server.address], &[])).await;
    let mut client = proxy.connect().await;
    client.send(OPEN).await;
    let told = client.answer().await.body.to_lowercase();
    assert!(!told.contains("accept-encoding"), "{told}");
    client
        .send("GET /other HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        .await;
    let told = client.answer().await.body.to_lowercase();
    assert!(told.contains("accept-encoding: gzip"), "{told}");
}

/// A server that knows no session, as Node's says it to a polling client.
const UNKNOWN: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 41\r\n\r\n{\"code\":1,\"message\":\"Session ID unknown\"}";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_know_a_session_is_noticed() {
    let server = Server::start(Does::Say(UNKNOWN)).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let named = handshake("").replace("transport=", "sid=abc&transport=");
    for (number, text) in [request("GET", "abc"), request("POST", "abc"), named]
        .iter()
        .enumerate()
    {
        let mut client = proxy.connect().await;
        client.send(text).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body, r#"{"code":1,"message":"Session ID unknown"}"#);
        let line = format!(
            "berth_socketio_unknown_sid_total{{server=\"{}\",upstream=\"app\"}} {}",
            server.address,
            number + 1
        );
        proxy.wait_for_metric(&line).await;
    }
    // Who names no session says nothing about stickiness.
    let mut client = proxy.connect().await;
    client.send(OPEN).await;
    assert_eq!(client.answer().await.status, 400);
    proxy
        .wait_for_metric("berth_socketio_upgrades_total{result=\"refused\",upstream=\"app\"} 1")
        .await;
    let page = proxy.admin("/metrics").await.body;
    let line = format!(
        "berth_socketio_unknown_sid_total{{server=\"{}\",upstream=\"app\"}} 3",
        server.address
    );
    assert!(page.contains(&line), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_are_counted_by_how_they_end() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Open).await);
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let named = handshake("").replace("transport=", "sid=abc&transport=");
    let (_tunnel, fresh) = proxy.handshake("").await;
    assert_eq!(fresh.status, 101);
    let mut client = proxy.connect().await;
    client.send(&named).await;
    assert_eq!(client.answer().await.status, 101);
    proxy
        .wait_for_metric("berth_socketio_upgrades_total{result=\"ok\",upstream=\"app\"} 1")
        .await;

    let proxy = Proxy::start(settings(&[&dead])).await;
    let mut client = proxy.connect().await;
    client.send(&named).await;
    assert_eq!(client.answer().await.status, 502);
    proxy
        .wait_for_metric("berth_socketio_upgrades_total{result=\"failed\",upstream=\"app\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_elsewhere_is_a_redispatch() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Echo).await);
    let proxy = Proxy::start(settings(&[&dead, &server.address])).await;
    assert_eq!(proxy.get("").await.status, 200);
    for line in [
        "berth_upstream_retries_total{upstream=\"app\"} 1".to_owned(),
        "berth_upstream_redispatches_total{upstream=\"app\"} 1".to_owned(),
        format!(
            "berth_upstream_server_state{{server=\"{dead}\",state=\"out\",upstream=\"app\"}} 1"
        ),
        format!("berth_upstream_server_state{{server=\"{dead}\",state=\"up\",upstream=\"app\"}} 0"),
    ] {
        proxy.wait_for_metric(&line).await;
    }
}
