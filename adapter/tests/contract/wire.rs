//! What Node and its emitter put on Redis, byte for byte, and what this side puts there.

use std::time::Duration;

use berth_adapter::{Cluster, RedisOptions};
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::prelude::{Builder, Client, Config};
use fred::types::Message;
use serde_json::{Value as Json, json};
use tokio::sync::broadcast;

use crate::client::Event;
use crate::redis_server::RedisServer;
use crate::server::Server;
use crate::soon;

const NAMESPACE: &str = "/";

/// A server, and a bare Redis client beside it.
struct Wire {
    _redis: RedisServer,
    server: Server,
    node: Client,
    _ears: Client,
    heard: broadcast::Receiver<Message>,
}

impl Wire {
    async fn open() -> Self {
        let redis = RedisServer::started().await;
        let cluster = Cluster::redis(RedisOptions::new(redis.url())).unwrap();
        let server = Server::start_clustered(cluster, NAMESPACE).await;
        let node = Builder::from_config(Config::from_url(&redis.url()).unwrap())
            .build()
            .unwrap();
        let heard = node.message_rx();
        node.init().await.unwrap();
        node.psubscribe("socket.io*").await.unwrap();
        // A second connection publishes: one that subscribes may not, in this protocol version.
        let ears = node;
        let node = ears.clone_new();
        node.init().await.unwrap();
        Self {
            _redis: redis,
            server,
            node,
            _ears: ears,
            heard,
        }
    }

    async fn say(&self, channel: &str, payload: impl Into<bytes::Bytes>) {
        self.node
            .publish::<(), _, _>(channel, payload.into())
            .await
            .unwrap();
    }

    async fn say_json(&self, channel: &str, payload: Json) {
        self.say(channel, payload.to_string()).await;
    }

    /// The next message on that channel.
    async fn hear(&mut self, channel: &str) -> Vec<u8> {
        soon("a message on the channel", async {
            loop {
                let message = self.heard.recv().await.unwrap();
                if *message.channel == *channel {
                    return message.value.as_bytes().unwrap().to_vec();
                }
            }
        })
        .await
    }

    async fn hear_json(&mut self, channel: &str) -> Json {
        serde_json::from_slice(&self.hear(channel).await).unwrap()
    }
}

const REQUESTS: &str = "socket.io-request#/#";
const RESPONSES: &str = "socket.io-response#/#";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

#[tokio::test]
async fn needs_redis_broadcasts_of_node_arrive() {
    let wire = Wire::open().await;
    let mut client = wire.server.client_in("lobby").await;
    let captured = "93a66e655735653683a47479706502a46461746192ac63686174206d65737361676582a4726f6f6d\
        a56c6f626279a474657874a568656c6c6fa36e7370a12f83a5726f6f6d7391a56c6f626279a665786365707490a5\
        666c61677380";
    wire.say("socket.io#/#lobby#", bytes(captured)).await;
    let message = json!(["chat message", { "room": "lobby", "text": "hello" }]);
    assert_eq!(client.next().await, Event::text(message));
}

#[tokio::test]
async fn needs_redis_nonsense_is_counted_and_harms_nobody() {
    let wire = Wire::open().await;
    let mut client = wire.server.client_in("lobby").await;
    for nonsense in [
        &b""[..],
        b"\xc1",
        b"\x93",
        b"{}",
        b"\x93\xa1x\x80\x80",
        b"[[[[",
    ] {
        wire.say("socket.io#/#lobby#", nonsense.to_vec()).await;
        wire.say("socket.io#/#", nonsense.to_vec()).await;
        wire.say(REQUESTS, nonsense.to_vec()).await;
    }
    wire.say_json(REQUESTS, json!({ "type": 5, "requestId": "x" }))
        .await;
    wire.server
        .namespace()
        .to("lobby")
        .emit("end", &())
        .await
        .unwrap();
    assert_eq!(client.next().await.data[0], "end");
    let mut link = wire.server.cluster.link();
    assert!(link.borrow_and_update().is_clustered());
    wire.say_json(
        REQUESTS,
        json!({ "type": 2, "opts": { "rooms": ["lobby"] }, "rooms": ["end"] }),
    )
    .await;
    soon("reading all of it", async {
        while wire.server.namespace().within("end").sockets().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(wire.server.cluster.counts().malformed, 19);
}

#[tokio::test]
async fn needs_redis_the_emitter_moves_and_disconnects_clients() {
    let wire = Wire::open().await;
    let mut client = wire.server.client_in("lobby").await;
    let opts = json!({ "rooms": ["lobby"], "except": [] });
    wire.say_json(
        REQUESTS,
        json!({ "type": 2, "opts": opts, "rooms": ["new", 42] }),
    )
    .await;
    wire.say_json(
        REQUESTS,
        json!({ "type": 3, "opts": opts, "rooms": ["new"] }),
    )
    .await;
    let emitted = "93a7656d697474657283a47479706502a46461746193ac66726f6d2d656d69747465722aa178a36e7370\
        a12f83a5726f6f6d7390a5666c61677380a665786365707490";
    let to_new = bytes(&emitted.replace("a5726f6f6d7390", "a5726f6f6d7391a36e6577"));
    let to_42 = bytes(
        &emitted
            .replace("a5726f6f6d7390", "a5726f6f6d73912a")
            .replace("a178", "a179"),
    );
    // The order of requests and broadcasts holds: they come on one connection.
    wire.say("socket.io#/#new#", to_new).await;
    wire.say("socket.io#/#42#", to_42).await;
    let event = client.next().await;
    assert_eq!(event, Event::text(json!(["from-emitter", 42, "y"])));
    wire.say_json(REQUESTS, json!({ "type": 4, "opts": opts, "close": true }))
        .await;
    client.disconnected().await;
}

#[tokio::test]
async fn needs_redis_changes_look_as_node_writes_them() {
    let mut wire = Wire::open().await;
    let _client = wire.server.client_in("lobby").await;
    wire.server
        .namespace()
        .within("lobby")
        .join(["n1", "n2"])
        .await
        .unwrap();
    let join = String::from_utf8(wire.hear(REQUESTS).await).unwrap();
    let (uid, rest) = join
        .strip_prefix(r#"{"uid":""#)
        .unwrap()
        .split_once('"')
        .unwrap();
    assert_eq!(uid.len(), 16);
    assert_eq!(
        rest,
        r#","type":2,"opts":{"rooms":["lobby"],"except":[]},"rooms":["n1","n2"]}"#
    );
    wire.server
        .namespace()
        .within("lobby")
        .except("x")
        .disconnect()
        .await
        .unwrap();
    let disconnect = String::from_utf8(wire.hear(REQUESTS).await).unwrap();
    assert!(
        disconnect
            .ends_with(r#","type":4,"opts":{"rooms":["lobby"],"except":["x"]},"close":false}"#),
        "{disconnect}"
    );
}

#[tokio::test]
async fn needs_redis_questions_of_node_are_answered() {
    let mut wire = Wire::open().await;
    let client = wire.server.client_in("lobby").await;
    let id = client.id.as_str();

    wire.say_json(
        REQUESTS,
        json!({ "uid": "neW5e6", "requestId": "a", "type": 1 }),
    )
    .await;
    let mut rooms = wire.hear_json(RESPONSES).await;
    rooms["rooms"]
        .as_array_mut()
        .unwrap()
        .sort_by_key(|room| room == "lobby");
    assert_eq!(rooms, json!({ "requestId": "a", "rooms": [id, "lobby"] }));

    let opts = json!({ "rooms": ["lobby"], "except": [] });
    wire.say_json(
        REQUESTS,
        json!({ "uid": "n", "requestId": "b", "type": 5, "opts": opts }),
    )
    .await;
    let sockets = wire.hear_json(RESPONSES).await;
    assert_eq!(sockets["requestId"], "b");
    assert_eq!(sockets["sockets"][0]["id"], id);
    assert_eq!(sockets["sockets"][0]["rooms"].as_array().unwrap().len(), 2);

    let nobody = json!({ "rooms": ["nobody"], "except": [] });
    wire.say_json(
        REQUESTS,
        json!({ "uid": "n", "requestId": "c", "type": 5, "opts": nobody }),
    )
    .await;
    assert_eq!(
        wire.hear_json(RESPONSES).await,
        json!({ "requestId": "c", "sockets": [] })
    );

    wire.say_json(
        REQUESTS,
        json!({ "uid": "n", "requestId": "d", "type": 0, "rooms": [] }),
    )
    .await;
    assert_eq!(
        wire.hear_json(RESPONSES).await,
        json!({ "requestId": "d", "sockets": [id] })
    );
}

#[tokio::test]
async fn needs_redis_a_broadcast_that_wants_answers_gets_them() {
    let mut wire = Wire::open().await;
    let captured = "85a3756964a66e6557356536a9726571756573744964a66a61434f7065a47479706507a67061636b657483\
        a47479706502a46461746192a171a470696e67a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490\
        a5666c61677381a774696d656f7574cd0320";
    wire.say(REQUESTS, bytes(captured)).await;
    assert_eq!(
        wire.hear_json(RESPONSES).await,
        json!({ "type": 8, "requestId": "jaCOpe", "clientCount": 0 })
    );
    let mut client = wire.server.client().await;
    wire.say(REQUESTS, bytes(captured)).await;
    assert_eq!(
        wire.hear_json(RESPONSES).await,
        json!({ "type": 8, "requestId": "jaCOpe", "clientCount": 1 })
    );
    client.acknowledge(&json!(["pong", 2])).await;
    let expected = [
        &bytes("83a47479706509a9726571756573744964a66a61434f7065a67061636b6574")[..],
        b"\xa4pong",
    ];
    assert_eq!(wire.hear(RESPONSES).await, expected.concat());
}
