//! Metrics and health as an operator reads them.

use berth_tests::{Proxy, Town, eventually, http, secs};
use serde_json::json;

#[tokio::test]
async fn the_backend_has_the_guides_metrics() {
    let town = Town::with_backends(1).redis().start().await;
    let backend = town.backend(1);
    http::get(&backend.url("/api/instance")).await;
    let page = backend.metrics().await;
    assert!(
        http::each_is(&page, "redis_connection_status", 1.0),
        "{page}"
    );
    assert!(
        http::metric(&page, "http_active_connections", &[]).is_some(),
        "{page}"
    );
    assert!(
        http::metric(&page, "http_requests_total", &[]) >= Some(1.0),
        "{page}"
    );
    for name in [
        "redis_connection_status",
        "http_active_connections",
        "http_requests_total",
    ] {
        assert!(
            page.contains(&format!("# HELP {name} ")),
            "{name} has no help"
        );
        assert!(
            page.contains(&format!("# TYPE {name} ")),
            "{name} has no type"
        );
    }
}

#[tokio::test]
async fn connections_are_counted_up_and_down() {
    let town = Town::with_backends(1).start().await;
    let backend = town.backend(1);
    let active = async || {
        backend
            .metric("http_active_connections", &[])
            .await
            .unwrap_or(0.0)
    };
    // The one that asks is a connection, too.
    eventually("only we are connected", secs(5), async || {
        (active().await <= 1.0).then_some(())
    })
    .await;
    let clients = [
        backend.client().await,
        backend.client().await,
        backend.client().await,
    ];
    assert_eq!(active().await, 4.0);
    drop(clients);
    eventually("they are gone", secs(5), async || {
        (active().await <= 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn readiness_tells_every_dependency() {
    let mut town = Town::with_backends(1).redis().own_mongo().start().await;
    let url = town.backend(1).url("/health/readiness");
    http::answers(&url, 200, secs(10)).await;
    let body = http::json(&url).await.to_string();
    assert!(body.contains("redis") && body.contains("mongodb"), "{body}");

    town.redis_mut().stop().await;
    http::answers(&url, 503, secs(15)).await;
    assert_eq!(
        http::status(&town.backend(1).url("/health/liveness")).await,
        Some(200)
    );
    town.redis_mut().start_again().await;
    http::answers(&url, 200, secs(30)).await;

    town.mongo_mut().stop().await;
    http::answers(&url, 503, secs(15)).await;
    assert_eq!(
        http::status(&town.backend(1).url("/health/liveness")).await,
        Some(200)
    );
    town.mongo_mut().start_again().await;
    http::answers(&url, 200, secs(30)).await;
}

#[tokio::test]
async fn every_answer_names_its_instance() {
    let town = Town::with_backends(1).start().await;
    for path in [
        "/",
        "/metrics",
        "/health/liveness",
        "/health/readiness",
        "/api/instance",
        "/nowhere",
    ] {
        let answer = http::get(&town.backend(1).url(path)).await;
        assert_eq!(
            answer
                .headers()
                .get("x-berth-instance")
                .map(|name| name.as_bytes()),
            Some("backend-1".as_bytes()),
            "{path}"
        );
    }
    let instance = http::json(&town.backend(1).url("/api/instance")).await;
    assert_eq!(instance["instanceId"], "backend-1");
    assert!(instance["version"].is_string(), "{instance}");
}

#[tokio::test]
async fn history_is_served_over_http() {
    let town = Town::with_backends(2).start().await;
    let mut client = town.client(1).await;
    client.join("lobby").await;
    for number in 1..=5 {
        client.say("lobby", &format!("message {number}")).await;
    }
    let url = town
        .backend(2)
        .url("/api/rooms/lobby/messages?after=2&limit=2");
    let page = http::json(&url).await;
    let seqs: Vec<_> = page["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| message["seq"].clone())
        .collect();
    assert_eq!(seqs, [json!(3), json!(4)], "{page}");
    assert_eq!(page["hasMore"], true, "{page}");
}

#[tokio::test]
async fn the_proxy_counts_what_it_does() {
    let town = Town::with_backends(2)
        .redis()
        .proxy(Proxy::round_robin())
        .start()
        .await;
    let proxy = town.proxy();
    http::answers(&proxy.admin_url("/health/readiness"), 200, secs(5)).await;
    for _ in 0..5 {
        assert_eq!(http::status(&proxy.url("/api/instance")).await, Some(200));
    }
    let visitor = town.visitor().await;
    let page = proxy.metrics().await;
    assert!(
        http::metric(&page, "berth_requests_total", &[("code", "200")]) >= Some(5.0),
        "{page}"
    );
    assert_eq!(
        http::metric(&page, "berth_websocket_connections", &[]),
        Some(1.0),
        "{page}"
    );
    for number in 1..=2 {
        let address = town.backend(number).address();
        assert_eq!(
            http::metric(&page, "berth_upstream_server_up", &[("server", &address)]),
            Some(1.0),
            "{page}"
        );
    }
    drop(visitor);
    eventually("the WebSocket is counted down", secs(5), async || {
        (proxy.metric("berth_websocket_connections", &[]).await == Some(0.0)).then_some(())
    })
    .await;
}

/// Every metric explains itself on the page, where operators read it, and is named as Prometheus wants it.
fn explains_itself(page: &str) {
    let samples = page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut names: Vec<&str> = samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    names.dedup();
    assert!(names.len() >= 5, "{page}");
    for name in names {
        let parts = ["_bucket", "_sum", "_count"];
        let family = parts
            .iter()
            .find_map(|part| name.strip_suffix(part))
            .unwrap_or(name);
        let help = |family: &str| {
            let start = format!("# HELP {family} ");
            page.lines()
                .find_map(|line| line.strip_prefix(&start).map(str::to_owned))
        };
        let help = help(name).or_else(|| help(family)).unwrap_or_default();
        assert!(
            help.len() >= 10,
            "{name} does not say what it counts: {help:?}"
        );
    }
    for line in page.lines().filter(|line| line.starts_with("# TYPE ")) {
        if let Some(name) = line
            .strip_suffix(" counter")
            .and_then(|line| line.split(' ').nth(2))
        {
            assert!(name.ends_with("_total"), "{name} is a counter");
        }
    }
}

#[tokio::test]
async fn every_metric_explains_itself() {
    let town = Town::with_backends(2)
        .redis()
        .proxy(Proxy::sticky_cookie())
        .start()
        .await;
    let mut visitor = town.visitor().await;
    visitor.join("lobby").await;
    visitor.say("lobby", "count me").await;
    http::get(&town.proxy().url("/api/instance")).await;
    explains_itself(&town.backend(1).metrics().await);
    explains_itself(&town.proxy().metrics().await);
}

#[tokio::test]
async fn the_health_verbs_answer_with_their_exit_code() {
    let town = Town::with_backends(1)
        .proxy(Proxy::round_robin())
        .start()
        .await;
    let mut proxy = std::process::Command::new(berth_tests::binary("berth-proxy"));
    let status = proxy
        .args(["health", "-c"])
        .arg(town.proxy().file())
        .status()
        .expect("berth-proxy health");
    assert_eq!(status.code(), Some(0));
    let backend = |url: &str| {
        let mut command = std::process::Command::new(berth_tests::binary("berth-backend"));
        command
            .args(["health", "--url", url])
            .status()
            .expect("berth-backend health")
            .code()
    };
    assert_eq!(backend(&town.backend(1).url("/health/liveness")), Some(0));
    assert_eq!(backend("http://127.0.0.1:9/health/liveness"), Some(1));
}

#[tokio::test]
async fn logs_are_plain_text_in_a_pipe() {
    let town = Town::with_backends(1)
        .proxy(Proxy::round_robin())
        .start()
        .await;
    for program in [town.backend(1).program(), town.proxy().program()] {
        program.says("listening", secs(5)).await;
        let log = program.log();
        assert!(
            !log.iter().any(|line| line.contains('\u{1b}')),
            "colours for nobody: {log:?}"
        );
    }
}

#[tokio::test]
async fn logs_are_json_when_asked_for() {
    let town = Town::with_backends(1)
        .setting("LOG_FORMAT", "json")
        .start()
        .await;
    let program = town.backend(1).program();
    program.says("listening", secs(5)).await;
    for line in program.log() {
        let event: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(event.is_object(), "{line}");
    }
}
