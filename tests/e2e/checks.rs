//! Active checks of real backends: who says that it is not ready gets no clients, unless nobody is.

use berth_tests::{Proxy, Script, Stack, Town, eventually, http, secs};
use serde_json::json;

/// How the proxy asks in these tests: often.
const CHECKS: &str =
    "health_check = { path = \"/health/readiness\", interval = \"100ms\", rise = 1, fall = 2 }";

async fn up(town: &Town, number: usize) -> Option<f64> {
    let server = town.backend(number).address();
    let labels = [("upstream", "town"), ("server", server.as_str())];
    town.proxy()
        .metric("berth_upstream_server_up", &labels)
        .await
}

async fn becomes(town: &Town, number: usize, is_up: bool) {
    let wanted = Some(f64::from(u8::from(is_up)));
    eventually("the verdict", secs(20), async || {
        (up(town, number).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn backends_that_lost_redis_serve_all_the_same_and_are_well_again_with_it() {
    let proxy = Proxy::round_robin().upstream_line(CHECKS);
    let mut town = Town::with_backends(2).redis().proxy(proxy).start().await;
    let url = town.proxy().url("/api/instance");
    becomes(&town, 1, true).await;

    town.redis_mut().stop().await;
    becomes(&town, 1, false).await;
    becomes(&town, 2, false).await;
    // Both fail for one common reason, and both can serve.
    for _ in 0..4 {
        assert_eq!(http::status(&url).await, Some(200));
    }
    let labels = [("upstream", "town")];
    let opened = town
        .proxy()
        .metric("berth_upstream_fail_open_total", &labels);
    assert!(opened.await >= Some(4.0));
    let program = town.proxy().program();
    program.says("server fails its checks", secs(5)).await;
    program.says("asking the least bad one", secs(5)).await;

    town.redis_mut().start_again().await;
    becomes(&town, 1, true).await;
    becomes(&town, 2, true).await;
    assert_eq!(http::status(&url).await, Some(200));
    let program = town.proxy().program();
    program.says("passes its checks again", secs(5)).await;
}

#[tokio::test]
async fn a_dead_backend_is_known_before_any_client_meets_it() {
    let proxy = Proxy::round_robin().upstream_line(CHECKS);
    let mut town = Town::with_backends(2).proxy(proxy).start().await;
    becomes(&town, 2, true).await;
    town.kill(2);
    becomes(&town, 2, false).await;
    let url = town.proxy().url("/api/instance");
    for _ in 0..6 {
        assert_eq!(http::status(&url).await, Some(200));
    }
    let retries = town
        .proxy()
        .metric("berth_upstream_retries_total", &[("upstream", "town")]);
    assert_eq!(retries.await, None, "somebody met the dead one");
}

#[tokio::test]
async fn clients_of_a_backend_that_drains_land_on_another_one_and_stay_there() {
    let town = Town::with_backends(2)
        .redis()
        .setting("ADMIN_TOKEN", "a token for this test")
        .proxy(Proxy::ip_hash().upstream_line(CHECKS))
        .start()
        .await;
    becomes(&town, 1, true).await;
    becomes(&town, 2, true).await;
    let servers = town.backends().iter();
    let servers: serde_json::Map<_, _> = servers
        .map(|backend| (backend.name().to_owned(), json!(backend.url(""))))
        .collect();
    let options = json!({
        "url": town.proxy().url(""),
        "servers": servers,
        "token": "a token for this test",
    });
    Script::run("drain.mjs", &options, secs(60)).await;
}

#[tokio::test]
async fn nobody_is_sent_to_a_drained_backend_of_the_stack_though_it_has_the_fewest_connections() {
    let token = "a token for this test";
    let stack = Stack::with_operator(2, token).await;
    let order = reqwest::Client::new()
        .post(stack.url("/api/admin/drain"))
        .bearer_auth(token)
        .json(&json!({"instanceId": "berth-1", "spreadMs": 0}));
    let answer = order.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
    let handshake = stack.url("/socket.io/?EIO=4&transport=polling");
    eventually("every new client is let in", secs(20), async || {
        for _ in 0..8 {
            let answer = http::get(&handshake).await;
            let by = answer.headers().get("x-berth-instance").cloned()?;
            if answer.status() != 200 || by != "berth-2" {
                return None;
            }
        }
        Some(())
    })
    .await;
}
