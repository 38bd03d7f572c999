//! Active checks, failing open and failures of WebSockets, with servers that are well and unwell on demand.

use std::time::Duration;

use super::cluster::{Does, Proxy, Server, settings};
use crate::config;
use crate::server::Source;
use crate::settings::{HealthCheck, HealthRequest, Settings};

/// Quick checks of `/health`.
fn checked(servers: &[&str]) -> Settings {
    let mut settings = settings(servers);
    settings.upstreams[0].health_check = Some(HealthCheck {
        request: Some(HealthRequest {
            path: "/health".to_owned(),
            host: None,
            status: 200..=399,
        }),
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(2),
        rise: 2,
        fall: 2,
    });
    settings
}

fn up(server: &str, is_up: bool) -> String {
    let up = u8::from(is_up);
    format!("berth_upstream_server_up{{server=\"{server}\",upstream=\"app\"}} {up}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwell_server_gets_nothing_until_it_is_well() {
    let (first, second) = (
        Server::start(Does::Echo).await,
        Server::start(Does::Echo).await,
    );
    first.set_unwell(true);
    let proxy = Proxy::start(checked(&[&first.address, &second.address])).await;
    for _ in 0..6 {
        assert_eq!(proxy.get("").await.status, 200);
    }
    assert_eq!((first.seen(), second.seen()), (0, 6), "from the start on");

    first.set_unwell(false);
    proxy.wait_for_metric(&up(&first.address, true)).await;
    for _ in 0..4 {
        assert_eq!(proxy.get("").await.status, 200);
    }
    assert_eq!(first.seen(), 2);

    first.set_unwell(true);
    proxy.wait_for_metric(&up(&first.address, false)).await;
    let seen = first.seen();
    for _ in 0..4 {
        assert_eq!(proxy.get("").await.status, 200);
    }
    assert_eq!(first.seen(), seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_becomes_well_starts_slowly() {
    let (first, second) = (
        Server::start(Does::Echo).await,
        Server::start(Does::Echo).await,
    );
    first.set_unwell(true);
    let mut settings = checked(&[&first.address, &second.address]);
    for server in &mut settings.upstreams[0].servers {
        // So long that the test sees nothing but its beginning.
        server.slow_start = Duration::from_secs(86_400);
    }
    let proxy = Proxy::start(settings).await;
    let weight = |server: &Server, part: &str| {
        let server = &server.address;
        format!("berth_upstream_server_weight_ratio{{server=\"{server}\",upstream=\"app\"}} {part}")
    };
    first.set_unwell(false);
    proxy.wait_for_metric(&up(&first.address, true)).await;
    proxy.wait_for_metric(&weight(&first, "0.001")).await;
    proxy.wait_for_metric(&weight(&second, "1")).await;
    for _ in 0..10 {
        assert_eq!(proxy.get("").await.status, 200);
    }
    assert_eq!((first.seen(), second.seen()), (0, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connect_check_knows_a_dead_server_before_any_request() {
    let (dead, server) = (Server::dead().await, Server::start(Does::Echo).await);
    let mut settings = checked(&[&dead, &server.address]);
    settings.upstreams[0].health_check.as_mut().unwrap().request = None;
    let proxy = Proxy::start(settings).await;
    let page = proxy.admin("/metrics").await.body;
    assert!(page.contains(&up(&dead, false)), "{page}");
    assert!(page.contains(&up(&server.address, true)), "{page}");
    let failed = format!(
        "berth_health_checks_total{{result=\"failed\",server=\"{dead}\",upstream=\"app\"}}"
    );
    assert!(page.contains(&failed), "{page}");
    for _ in 0..4 {
        assert_eq!(proxy.get("").await.status, 200);
    }
    let page = proxy.admin("/metrics").await.body;
    assert!(!page.contains("berth_upstream_retries_total"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_are_unwell_the_setting_decides() {
    let (first, second) = (
        Server::start(Does::Echo).await,
        Server::start(Does::Echo).await,
    );
    first.set_unwell(true);
    second.set_unwell(true);
    let mut settings = checked(&[&first.address, &second.address]);
    let closed = Proxy::start(settings.clone()).await;
    assert_eq!(closed.get("").await.status, 502);
    closed
        .wait_for_metric("berth_refusals_total{reason=\"no_live_upstreams\"} 1")
        .await;

    settings.upstreams[0].fail_open = true;
    let open = Proxy::start(settings).await;
    for _ in 0..2 {
        assert_eq!(open.get("").await.status, 200);
    }
    assert_eq!((first.seen(), second.seen()), (1, 1), "all are equally bad");
    open.wait_for_metric("berth_upstream_fail_open_total{upstream=\"app\"} 2")
        .await;
    assert_eq!(open.admin("/health/readiness").await.status, 503);

    second.set_unwell(false);
    open.wait_for_metric(&up(&second.address, true)).await;
    for _ in 0..2 {
        assert_eq!(open.get("").await.status, 200);
    }
    assert_eq!((first.seen(), second.seen()), (1, 3));
    open.wait_for_metric("berth_upstream_fail_open_total{upstream=\"app\"} 2")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_brings_new_servers_in_after_their_first_check() {
    let (old, new) = (
        Server::start(Does::Echo).await,
        Server::start(Does::Echo).await,
    );
    new.set_unwell(true);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    let write = |servers: &[&Server], check: &str| {
        let servers: Vec<_> = servers.iter().map(|server| &server.address).collect();
        let text = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [upstream.app]\nservers = {servers:?}\n{check}"
        );
        std::fs::write(&file, text).unwrap();
    };
    let check = "[upstream.app.health_check]\npath = \"/health\"\ninterval = \"100ms\"\nrise = 1\n";
    write(&[&old], check);
    let proxy = Proxy::start_from(config::load(&file).unwrap(), Source::File(file.clone())).await;
    let reloaded =
        |count: usize| format!("berth_config_reloads_total{{result=\"success\"}} {count}");

    write(&[&old, &new], check);
    proxy.handle.reload();
    proxy.wait_for_metric(&reloaded(1)).await;
    for _ in 0..4 {
        assert_eq!(proxy.get("").await.status, 200);
    }
    assert_eq!(new.seen(), 0);
    new.set_unwell(false);
    proxy.wait_for_metric(&up(&new.address, true)).await;

    old.set_unwell(true);
    proxy.wait_for_metric(&up(&old.address, false)).await;
    write(&[&old, &new], "");
    proxy.handle.reload();
    proxy.wait_for_metric(&up(&old.address, true)).await;
    let seen = old.seen();
    for _ in 0..2 {
        assert_eq!(proxy.get("").await.status, 200);
    }
    assert_eq!(old.seen(), seen + 1, "who is not checked any more serves");
}

/// Opens WebSockets to a server that does this and one that echoes, and tells whether the first is out by them.
async fn is_out_by_websockets(does: Does, early_close: Option<Duration>) -> bool {
    let (first, second) = (Server::start(does).await, Server::start(Does::Echo).await);
    let mut settings = settings(&[&first.address, &second.address]);
    settings.upstreams[0].websocket_early_close = early_close;
    let proxy = Proxy::start(settings).await;
    let (mut client, _) = proxy.handshake("").await;
    client.read_to_end().await;
    drop(client);
    // The books are closed when the tunnel's connection is given back.
    proxy
        .wait_for_metric(&format!(
            "berth_upstream_connections{{server=\"{}\",upstream=\"app\"}} 0",
            first.address
        ))
        .await;
    assert_eq!(first.seen(), 1);
    let page = proxy.admin("/metrics").await.body;
    page.contains(&up(&first.address, false))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_dies_early_counts_if_that_is_set() {
    const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let soon = Some(Duration::from_secs(3600));
    let dies = Does::SwitchAndSay(b"\x01\x02hi");
    let says_goodbye = Does::SwitchAndSay(b"\x01\x02hi\x88\x02\x03\xe8");
    assert!(is_out_by_websockets(dies, soon).await);
    assert!(!is_out_by_websockets(dies, None).await);
    assert!(!is_out_by_websockets(says_goodbye, soon).await);
    assert!(!is_out_by_websockets(dies, Some(Duration::from_nanos(1))).await);
    assert!(is_out_by_websockets(Does::Say(BROKEN), soon).await);
    assert!(!is_out_by_websockets(Does::Say(BROKEN), None).await);
    assert!(!is_out_by_websockets(Does::Say(DENIED), soon).await);
}
