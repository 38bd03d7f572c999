//! What Engine.IO tells clients, who may connect from where, and that a fresh WebSocket is never lost.

use berth_tests::{Client, Proxy, Town, http};
use serde_json::{Value, json};

#[tokio::test]
async fn the_handshake_says_the_guides_settings() {
    let town = Town::with_backends(1).start().await;
    let url = town.backend(1).url("/socket.io/?EIO=4&transport=polling");
    let answer = http::get(&url).await;
    assert_eq!(answer.status(), 200);
    let body = answer.text().await.expect("a body");
    let open: Value =
        serde_json::from_str(body.strip_prefix('0').expect("an open packet")).expect("JSON");
    assert_eq!(open["pingInterval"], 25_000, "{open}");
    assert_eq!(open["pingTimeout"], 60_000, "{open}");
    assert_eq!(open["upgrades"], json!(["websocket"]), "{open}");
}

#[tokio::test]
async fn other_origins_may_connect_with_credentials_when_allowed() {
    let origin = "https://chat.example.com";
    let town = Town::with_backends(1)
        .setting("BERTH_CORS_ORIGIN", origin)
        .start()
        .await;
    let url = town.backend(1).url("/socket.io/?EIO=4&transport=polling");
    let client = http::client();
    let answer = client
        .get(&url)
        .header("origin", origin)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.headers()["access-control-allow-origin"], origin);
    assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
    let preflight = client
        .request(reqwest::Method::OPTIONS, &url)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = preflight.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    assert_eq!(answer.headers()["access-control-allow-origin"], origin);
    let answer = client
        .get(&url)
        .header("origin", "https://evil.example")
        .send()
        .await
        .expect("an answer");
    let allowed = answer.headers().get("access-control-allow-origin");
    assert!(
        allowed.is_none_or(|allowed| allowed == origin),
        "{allowed:?}"
    );
}

#[tokio::test]
async fn guests_have_names_and_users_keep_theirs() {
    let town = Town::with_backends(1).start().await;
    let named = Client::to(&town.backend(1).address())
        .named("Grace")
        .connect()
        .await;
    assert_eq!(named.event("welcome").await.body()["name"], "Grace");
    let nameless = town.client(1).await;
    let welcome = nameless.event("welcome").await;
    let name = welcome.body()["name"].as_str().expect("a name");
    assert!(name.starts_with("Guest-"), "{name}");
    for key in ["userId", "instanceId", "serverTime", "limits"] {
        assert!(
            !welcome.body()[key].is_null(),
            "no {key} in {:?}",
            welcome.body()
        );
    }
}

#[tokio::test]
async fn no_fresh_websocket_is_lost() {
    let town = Town::with_backends(2)
        .proxy(Proxy::round_robin())
        .start()
        .await;
    let address = town.proxy().address();
    for round in 0..15 {
        let dials = (0..20).map(|_| Client::to(&address).try_connect());
        for client in futures_util::future::join_all(dials).await {
            let client = client.unwrap_or_else(|error| panic!("round {round}: {error}"));
            client.event("welcome").await;
        }
    }
}

#[tokio::test]
async fn large_messages_pass_the_tunnel_whole() {
    let town = Town::with_backends(1)
        .proxy(Proxy::round_robin())
        .start()
        .await;
    let mut client = town.visitor().await;
    client.join("lobby").await;
    // Larger than any buffer on the way, smaller than the content limit times the characters' width.
    let content = "ü".repeat(1500);
    for number in 0..50 {
        client.say("lobby", &format!("{number} {content}")).await;
    }
    let heard = client.hears_messages(50).await;
    let whole =
        |(number, message): (usize, &Value)| message["content"] == format!("{number} {content}");
    assert!(heard.iter().enumerate().all(whole));
}

#[tokio::test]
async fn who_joins_at_once_is_a_member() {
    let town = Town::with_backends(1).start().await;
    let address = town.backend(1).address();
    for round in 0..20 {
        let joins = (0..20).map(|_| async {
            let mut client = Client::to(&address).connect().await;
            client.join("lobby").await;
            client
                .ask("getHistory", &[json!({ "roomId": "lobby", "after": 0 })])
                .await
        });
        for page in futures_util::future::join_all(joins).await {
            assert_eq!(page["ok"], true, "round {round}: {page}");
        }
    }
}
