use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::cluster::{self, Does, Proxy, Server, settings};
use crate::settings::{Cookie, Listen, ListenAddress, Route, ServerAddress, Settings, Sticky};

pub(super) fn sticky(servers: &[&str]) -> Settings {
    let mut settings = settings(servers);
    settings.upstreams[0].sticky = vec![Sticky::Cookie(Cookie {
        name: "srv_id".to_owned(),
        keys: Vec::new(),
        expires: Some(Duration::from_secs(3600)),
        domain: None,
        path: Some("/".to_owned()),
        secure: false,
        httponly: true,
        samesite: None,
        partitioned: false,
    })];
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_told_who_asks() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let answer = proxy
        .get("X-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n")
        .await;
    assert_eq!(answer.status, 200);
    let told = answer.body.to_lowercase();
    for line in [
        "host: a",
        "x-real-ip: 127.0.0.1",
        "x-forwarded-for: 1.1.1.1, 127.0.0.1",
        "x-forwarded-proto: http",
    ] {
        assert!(told.lines().any(|found| found == line), "{line} in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_carries_requests_of_every_shape() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let mut client = proxy.connect().await;
    client
        .send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    assert!(client.answer().await.body.ends_with("\r\n\r\nhello"));
    client.send("POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    assert!(client.answer().await.body.ends_with("\r\n\r\nhello"));
    client.send("HEAD /c HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200"));
    client.send("OPTIONS /d HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.answer().await.body.starts_with("OPTIONS /d "));
    assert_eq!(
        server.connections(),
        1,
        "the connection to the server is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_turn() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let mut client = proxy.connect().await;
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    for path in ["GET /1 ", "POST /2 ", "GET /3 "] {
        assert!(client.answer().await.body.starts_with(path));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_skipped_for_every_method() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Echo).await);
    let proxy = Proxy::start(settings(&[&dead, &server.address])).await;
    let mut client = proxy.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        .await;
    assert_eq!(client.answer().await.status, 200);
    for _ in 0..4 {
        assert_eq!(proxy.get("").await.status, 200);
    }
    proxy
        .wait_for_metric(&format!(
            "berth_upstream_server_fails_total{{reason=\"connect_refused\",server=\"{dead}\",upstream=\"app\"}} 1"
        ))
        .await;
    proxy
        .wait_for_metric(&format!(
            "berth_upstream_server_up{{server=\"{dead}\",upstream=\"app\"}} 0"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_is_skipped_only_if_repeating_is_safe() {
    let (hangs, server) = (
        Server::start(Does::Hangs).await,
        Server::start(Does::Echo).await,
    );
    let mut settings = settings(&[&hangs.address, &server.address]);
    settings.upstreams[0].servers[0].max_fails = 0;
    let proxy = Proxy::start(settings).await;
    let mut client = proxy.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        .await;
    assert_eq!(client.answer().await.status, 502);
    assert_eq!(server.seen(), 0, "a POST that was sent is not sent again");
    for _ in 0..4 {
        assert_eq!(proxy.get("").await.status, 200);
    }
    assert!(hangs.seen() > 1, "GETs met the server that hangs up, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_left_is_a_bad_gateway() {
    let (first, second) = (Server::dead().await, Server::dead().await);
    let proxy = Proxy::start(settings(&[&first, &second])).await;
    assert_eq!(proxy.get("").await.status, 502);
    assert_eq!(proxy.get("").await.status, 502);
    proxy
        .wait_for_metric("berth_refusals_total{reason=\"no_live_upstreams\"} 1")
        .await;
    let readiness = proxy.admin("/health/readiness").await;
    assert_eq!(
        (readiness.status, readiness.body.as_str()),
        (503, "upstream app: no live server\n")
    );
    assert_eq!(proxy.admin("/health/liveness").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_a_gateway_timeout() {
    let server = Server::start(Does::Sleeps).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].read_timeout = Duration::from_millis(50);
    let proxy = Proxy::start(settings).await;
    let answer = proxy.get("").await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.field("Server"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_server_is_tried_after_tries_timeout() {
    let (sleeps, answers) = (
        Server::start(Does::Sleeps).await,
        Server::start(Does::Say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await,
    );
    let mut settings = settings(&[&sleeps.address, &answers.address]);
    settings.upstreams[0].read_timeout = Duration::from_millis(50);
    settings.upstreams[0].tries_timeout = Duration::from_secs(3600);
    let patient = Proxy::start(settings.clone()).await;
    assert_eq!(patient.get("").await.status, 200);
    settings.upstreams[0].tries_timeout = Duration::from_millis(50);
    let hasty = Proxy::start(settings).await;
    assert_eq!(hasty.get("").await.status, 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_from_a_server_is_a_bad_gateway() {
    let server = Server::start(Does::Say("SSH-2.0-OpenSSH\r\n\r\n")).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    assert_eq!(proxy.get("").await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.limits.body_bytes_max = 10;
    let proxy = Proxy::start(settings).await;
    let mut client = proxy.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world")
        .await;
    assert_eq!(client.answer().await.status, 413);
    let mut client = proxy.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 413);
    proxy
        .wait_for_metric("berth_refusals_total{reason=\"body_too_large\"} 2")
        .await;
    proxy
        .wait_for_metric(&format!(
            "berth_upstream_server_up{{server=\"{}\",upstream=\"app\"}} 1",
            server.address
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_set_once_and_honoured() {
    let (first, second) = (
        Server::start(Does::EchoWithCookie).await,
        Server::start(Does::EchoWithCookie).await,
    );
    let proxy = Proxy::start(sticky(&[&first.address, &second.address])).await;
    let answer = proxy.get("").await;
    let (cookie, server) = (
        answer.cookie("srv_id").unwrap(),
        answer.field("X-Server").unwrap().to_owned(),
    );
    assert_eq!(
        answer.cookie("app").as_deref(),
        Some("app=1"),
        "the app's cookie passes"
    );
    for _ in 0..5 {
        let answer = proxy.get(&format!("Cookie: app=1; {cookie}\r\n")).await;
        assert_eq!(answer.field("X-Server"), Some(server.as_str()));
        assert_eq!(
            answer.cookie("srv_id"),
            None,
            "it is set only when it changes"
        );
    }
    let forged = proxy.get("Cookie: srv_id=forged\r\n").await;
    assert!(forged.cookie("srv_id").is_some());
    assert_eq!(forged.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_a_dead_server_moves_and_is_told_so() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Echo).await);
    let proxy = Proxy::start(sticky(&[&dead, &server.address])).await;
    let mark = crate::affinity::cookie::mark_of(&dead);
    let answer = proxy.get(&format!("Cookie: srv_id={mark}\r\n")).await;
    let own = crate::affinity::cookie::mark_of(&server.address);
    assert_eq!(answer.cookie("srv_id"), Some(format!("srv_id={own}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_not_found() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.routes = vec![Route {
        host: Some("chat".to_owned()),
        path: "/x".to_owned(),
        upstream: 0,
    }];
    let proxy = Proxy::start(settings).await;
    assert_eq!(proxy.get("").await.status, 404);
    let mut client = proxy.connect().await;
    client
        .send("GET /x HTTP/1.1\r\nHost: Chat:80\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_no_websocket_is_a_plain_request() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let answer = proxy.get("Upgrade: h2c\r\nConnection: Upgrade\r\n").await;
    assert!(
        !answer.body.to_lowercase().contains("upgrade"),
        "{}",
        answer.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_a_server_carries_so_many_requests_and_no_more() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].keepalive_requests = 2;
    let proxy = Proxy::start(settings).await;
    let mut asked_to_close = 0;
    for _ in 0..20 {
        let answer = proxy.get("").await;
        assert_eq!(answer.status, 200);
        asked_to_close += usize::from(answer.body.to_lowercase().contains("connection: close"));
    }
    // A connection that is not back in the pool in time is not used again, so only bounds are certain.
    assert!(asked_to_close > 0);
    assert!(server.seen() <= 2 * server.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keepalive_every_request_has_its_own_connection() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.upstreams[0].keepalive = 0;
    let proxy = Proxy::start(settings).await;
    for _ in 0..10 {
        let answer = proxy.get("").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.to_lowercase().contains("connection: close"));
    }
    assert_eq!(server.connections(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_in_the_file_system_work_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let (front, back) = (folder.path().join("front"), folder.path().join("back"));
    let server = Server::start(Does::Echo).await;
    let mut behind = settings(&[&server.address]);
    behind
        .listen
        .push(Listen::plain(ListenAddress::Unix(back.clone())));
    let _behind = Proxy::start(behind).await;
    let mut before = settings(&[]);
    before
        .listen
        .push(Listen::plain(ListenAddress::Unix(front.clone())));
    before.upstreams[0].servers = vec![crate::settings::Server {
        address: ServerAddress::Unix(back),
        ..cluster::server("0.0.0.0:1")
    }];
    let proxy = Proxy::start(before).await;
    let answer = proxy.get("").await;
    assert_eq!(
        (answer.status, answer.body.contains("127.0.0.1")),
        (200, true)
    );
    assert_eq!(proxy.handshake("").await.1.status, 101);
    let mut stream = tokio::net::UnixStream::connect(&front).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert!(told.contains("unix:"), "{told}");
    proxy.handle.stop();
    proxy.ended().await;
    assert!(!front.exists(), "the socket file goes with the proxy");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_is_cut_and_refused_nobody() {
    let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n\r\n3\r\nabc\r\n";
    let server = Server::start(Does::SayAndWait(cut)).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let mut client = proxy.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = client.head().await.to_lowercase();
    assert!(!head.contains("keep-alive: timeout"), "{head}");
    assert_eq!(client.read(8).await, b"3\r\nabc\r\n");
    // Only now: a server that breaks at once can take with it what Pingora has not written yet.
    server.close();
    assert_eq!(client.read_to_end().await, b"");
    proxy.wait_for_metric("berth_requests_total{code=\"200\",method=\"GET\",transport=\"http\",upstream=\"app\"} 1").await;
    assert!(
        !proxy
            .admin("/metrics")
            .await
            .body
            .contains("berth_refusals_total{")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_not_held_against_the_server() {
    let server = Server::start(Does::Sleeps).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    let mut client = proxy.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let busy = format!(
        "berth_upstream_connections{{server=\"{}\",upstream=\"app\"}}",
        server.address
    );
    proxy.wait_for_metric(&format!("{busy} 1")).await;
    drop(client);
    proxy.wait_for_metric("berth_requests_total{code=\"499\",method=\"GET\",transport=\"http\",upstream=\"app\"} 1").await;
    proxy.wait_for_metric(&format!("{busy} 0")).await;
    assert!(
        !proxy
            .admin("/metrics")
            .await
            .body
            .contains("berth_upstream_server_fails_total{")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_be_a_name() {
    let server = Server::start(Does::Echo).await;
    let name = server.address.replace("127.0.0.1", "localhost");
    let proxy = Proxy::start(settings(&[&name])).await;
    for _ in 0..3 {
        assert_eq!(proxy.get("").await.status, 200);
        assert_eq!(proxy.handshake("").await.1.status, 101);
    }
}
