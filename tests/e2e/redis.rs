//! Redis carries messages between backends and is never the truth: without it each backend serves its own clients and says so.

use berth_tests::{Script, Town, eventually, http, secs};
use serde_json::json;

use crate::failover::nothing_lost_or_doubled;

/// The guide's words, which operators grep for.
const CLUSTERED: [&str; 4] = [
    "✅ Socket.IO Redis Pub client connected",
    "✅ Socket.IO Redis Sub client connected",
    "✅ Socket.IO Redis clients ready",
    "✅ Socket.IO Redis adapter enabled - Horizontal scaling ready",
];
const SINGLE: &str =
    "⚠️ Socket.IO Redis connection failed. Socket.IO will run in single-server mode.";

/// The word of Redis in readiness.
async fn readiness(town: &Town, number: usize) -> u16 {
    http::status(&town.backend(number).url("/health/readiness"))
        .await
        .expect("an answer")
}

#[tokio::test]
async fn a_town_with_redis_says_the_guides_lines() {
    let town = Town::with_backends(2).redis().start().await;
    for backend in town.backends() {
        for line in CLUSTERED {
            backend.program().says(line, secs(5)).await;
        }
        assert!(!backend.program().logged("single-server mode"));
    }
}

#[tokio::test]
async fn redis_comes_after_the_backends() {
    let mut town = Town::with_backends(2).stopped_redis().start().await;
    for backend in town.backends() {
        backend.program().says(SINGLE, secs(15)).await;
        assert_eq!(
            backend.metric("redis_connection_status", &[]).await,
            Some(0.0)
        );
    }
    let mut alice = town.client(1).await;
    let mut neighbour = town.client(1).await;
    alice.join("lobby").await;
    neighbour.join("lobby").await;
    alice.say("lobby", "only you hear me").await;
    neighbour.hears("only you hear me").await;

    let mut bob = town.client(2).await;
    bob.join("lobby").await;
    town.redis_mut().start_again().await;
    town.is_clustered().await;
    alice.say("lobby", "now everyone does").await;
    bob.hears("now everyone does").await;
    for backend in town.backends() {
        backend.program().says(CLUSTERED[3], secs(5)).await;
    }
    assert_eq!(readiness(&town, 1).await, 200);
}

#[tokio::test]
async fn redis_stops_and_starts_while_clients_chat() {
    let mut town = Town::with_backends(2).redis().start().await;
    let urls = [town.backend(1).url(""), town.backend(2).url("")];
    let options = json!({ "urls": urls, "clients": 4, "transports": ["websocket"] });
    let mut chat = Script::start("chatter.mjs", &options);
    chat.says("chatting", 1, secs(60)).await;
    chat.tell("meet");
    chat.says("met", 1, secs(60)).await;

    for round in 1..=2 {
        town.redis_mut().stop().await;
        for backend in town.backends() {
            eventually("the warning is logged", secs(15), async || {
                (backend.program().times_logged("single-server mode") >= round).then_some(())
            })
            .await;
            assert_eq!(
                http::status(&backend.url("/health/liveness")).await,
                Some(200)
            );
            eventually("the metric says so", secs(10), async || {
                (backend.metric("redis_connection_status", &[]).await == Some(0.0)).then_some(())
            })
            .await;
        }
        chat.tell("mark");
        chat.says("marked", round, secs(60)).await;

        town.redis_mut().start_again().await;
        town.is_clustered().await;
        chat.tell("meet");
        chat.says("met", round + 1, secs(60)).await;
    }
    chat.tell("stop");
    let books = chat.finish(secs(90)).await;
    nothing_lost_or_doubled(&books);
    assert_eq!(
        books["disconnects"],
        json!([[], [], [], []]),
        "Redis disturbed clients: {books}"
    );
}

#[tokio::test]
async fn redis_cuts_the_subscribers_off() {
    let town = Town::with_backends(2).redis().start().await;
    let urls = [town.backend(1).url(""), town.backend(2).url("")];
    let options = json!({ "urls": urls, "clients": 2, "transports": ["websocket"] });
    let mut chat = Script::start("chatter.mjs", &options);
    chat.says("chatting", 1, secs(60)).await;
    for round in 1..=3 {
        let killed = town
            .redis()
            .command(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .await;
        assert_ne!(killed, ":0", "there was no subscriber");
        chat.tell("meet");
        chat.says("met", round, secs(60)).await;
        town.is_clustered().await;
    }
    // And the connection that publishes.
    town.redis()
        .command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
        .await;
    chat.tell("meet");
    chat.says("met", 4, secs(60)).await;
    chat.tell("stop");
    nothing_lost_or_doubled(&chat.finish(secs(60)).await);
}

#[tokio::test]
async fn garbage_on_redis_channels_is_counted_and_survived() {
    let town = Town::with_backends(2).redis().start().await;
    let mut alice = town.client(1).await;
    let mut bob = town.client(2).await;
    alice.join("lobby").await;
    bob.join("lobby").await;
    let room = "socket.io#/#lobby#";
    let channels = [
        room,
        "socket.io#/#",
        "socket.io-request#/#",
        "socket.io-response#/#",
    ];
    for channel in channels {
        for garbage in [
            "",
            "x",
            "{",
            "{\"type\":99}",
            "[]",
            "\u{93}\u{a1}",
            "null",
            "{\"requestId\":\"a\",\"type\":5}",
        ] {
            town.redis().command(&["PUBLISH", channel, garbage]).await;
        }
    }
    alice.say("lobby", "still here").await;
    bob.hears("still here").await;
    bob.say("lobby", "me too").await;
    alice.hears("me too").await;
}
