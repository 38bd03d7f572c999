//! The guide's test scenario: two clients, two servers, `joinRoom`, `sendMessage`, `message`; with the official client.

use berth_tests::{Proxy, Script, Town, secs};
use serde_json::{Value, json};

/// How the official client is told to connect, and the transport it must end on.
fn transports() -> [(&'static str, Value, &'static str); 3] {
    [
        ("websocket", json!(["websocket"]), "websocket"),
        ("polling", json!(["polling"]), "polling"),
        ("default", Value::Null, "websocket"),
    ]
}

/// The first pair uses the guide's own room.
fn room(transport: &str) -> String {
    match transport {
        "websocket" => "test-room".to_owned(),
        other => format!("test-room-{other}"),
    }
}

async fn play(pairs: Vec<Value>) {
    let count = pairs.len();
    let result = Script::run("guide.mjs", &json!({ "pairs": pairs }), secs(90)).await;
    assert_eq!(result["played"], json!(count));
}

/// Plays with both clients at the proxy; `place` is what they have besides its address.
async fn play_through(town: &Town, place: &Value, names: &[&str]) {
    let mut pairs = Vec::new();
    for (name, transports, transport) in transports() {
        if !names.contains(&name) {
            continue;
        }
        let mut client = place.clone();
        client["url"] = json!(town.proxy().url(""));
        client["transports"] = transports;
        pairs.push(json!({
            "name": name, "room": room(name), "first": client, "second": client, "transport": transport,
        }));
    }
    assert_eq!(pairs.len(), names.len());
    play(pairs).await;
}

const ALL: [&str; 3] = ["websocket", "polling", "default"];

#[tokio::test]
async fn straight_to_two_servers_by_every_transport() {
    let town = Town::with_backends(2).redis().mongo().start().await;
    let client = |number: usize, transports: &Value| json!({ "url": town.backend(number).url(""), "transports": transports });
    let pairs = transports().map(|(name, transports, transport)| {
        json!({
            "name": name,
            "room": room(name),
            "first": client(1, &transports),
            "second": client(2, &transports),
            "transport": transport,
        })
    });
    play(pairs.to_vec()).await;
}

#[tokio::test]
async fn through_the_proxy_with_ip_hash_by_every_transport() {
    let plan = Town::with_backends(3)
        .redis()
        .proxy(Proxy::ip_hash().behind_localhost());
    let town = plan.start().await;
    play_through(&town, &json!({ "forwardedFor": "10.0.0.1" }), &ALL).await;
}

#[tokio::test]
async fn through_the_proxy_with_a_sticky_cookie_by_every_transport() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::sticky_cookie());
    let town = plan.start().await;
    play_through(&town, &json!({ "cookies": true }), &ALL).await;
}

#[tokio::test]
async fn through_the_proxy_with_round_robin_by_websocket() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::round_robin());
    let town = plan.start().await;
    play_through(&town, &json!({}), &["websocket"]).await;
}

#[tokio::test]
async fn through_the_proxy_with_least_conn_by_websocket() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::least_conn());
    let town = plan.start().await;
    play_through(&town, &json!({}), &["websocket"]).await;
}
