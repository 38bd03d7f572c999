//! What the backend answers to packets and payloads that are too large or make no sense: a typed error, and it lives.

use berth_tests::{Client, Town, Transport, http};
use serde_json::{Value, json};

fn is_refusal(answer: &Value, code: &str) {
    assert_eq!(answer["ok"], false, "{answer}");
    assert_eq!(answer["error"]["code"], code, "{answer}");
    assert!(answer["error"]["message"].is_string(), "{answer}");
    assert!(answer["error"]["retryable"].is_boolean(), "{answer}");
}

#[tokio::test]
async fn payloads_that_make_no_sense_are_bad_requests() {
    let town = Town::with_backends(1).start().await;
    let mut client = town.client(1).await;
    client.join("lobby").await;
    let long = "x".repeat(200);
    let joins = [
        vec![],
        vec![json!(null)],
        vec![json!(7)],
        vec![json!("")],
        vec![json!(long)],
        vec![json!("a\u{0}b")],
        vec![json!({})],
        vec![json!([])],
    ];
    for arguments in joins {
        is_refusal(&client.ask("joinRoom", &arguments).await, "BAD_REQUEST");
    }
    let drafts = [
        vec![],
        vec![json!("lobby")],
        vec![json!("lobby"), json!(null)],
        vec![json!("lobby"), json!({})],
        vec![json!("lobby"), json!({ "content": 7 })],
        vec![json!("lobby"), json!({ "content": "" })],
        vec![json!({ "content": "no room" })],
        vec![json!(""), json!({ "content": "nowhere" })],
    ];
    for arguments in drafts {
        is_refusal(&client.ask("sendMessage", &arguments).await, "BAD_REQUEST");
    }
    for arguments in [
        vec![],
        vec![json!({ "roomId": "lobby", "limit": -1 })],
        vec![json!({ "roomId": "lobby", "before": "x" })],
    ] {
        is_refusal(&client.ask("getHistory", &arguments).await, "BAD_REQUEST");
    }
    assert_eq!(
        client.join("lobby").await["lastSeq"],
        0,
        "something was stored"
    );
    client.say("lobby", "still here").await;
}

#[tokio::test]
async fn sending_to_a_room_one_is_not_in_is_refused() {
    let town = Town::with_backends(1).start().await;
    let mut client = town.client(1).await;
    is_refusal(&client.try_say("lobby", "from outside").await, "NOT_MEMBER");
    client.join("lobby").await;
    client.say("lobby", "from inside").await;
    client.ask("leaveRoom", &[json!("lobby")]).await;
    is_refusal(
        &client.try_say("lobby", "from outside again").await,
        "NOT_MEMBER",
    );
}

#[tokio::test]
async fn a_client_without_acks_is_told_by_an_event() {
    let town = Town::with_backends(1).start().await;
    let client = town.client(1).await;
    client.emit(
        "sendMessage",
        &[
            json!("lobby"),
            json!({ "content": "from outside", "type": "text" }),
        ],
    );
    let error = client.event("error").await;
    is_refusal(error.body(), "NOT_MEMBER");
    assert_eq!(error.body()["event"], "sendMessage");
    assert_eq!(error.body()["roomId"], "lobby");
}

#[tokio::test]
async fn too_large_content_is_refused_and_the_socket_stays() {
    for transport in [Transport::WebSocket, Transport::Polling] {
        let town = Town::with_backends(1).start().await;
        let mut client = Client::to(&town.backend(1).address())
            .by(transport)
            .connect()
            .await;
        client.join("lobby").await;
        is_refusal(
            &client.try_say("lobby", &"x".repeat(60_000)).await,
            "PAYLOAD_TOO_LARGE",
        );
        client.say("lobby", "small").await;
    }
}

#[tokio::test]
async fn oversized_packets_end_their_connection_only() {
    let town = Town::with_backends(1).start().await;
    let mut witness = town.client(1).await;
    witness.join("lobby").await;
    let huge = format!(
        "42[\"sendMessage\",\"lobby\",{{\"content\":\"{}\"}}]",
        "x".repeat(3_000_000)
    );
    let by_websocket = town.client(1).await;
    by_websocket.send_raw(&huge);
    by_websocket.ended().await;
    let by_polling = Client::to(&town.backend(1).address())
        .by(Transport::Polling)
        .connect()
        .await;
    by_polling.send_raw(&huge);
    by_polling.ended().await;
    witness.say("lobby", "still here").await;
    witness.hears("still here").await;
}

#[tokio::test]
async fn malformed_packets_never_harm_others() {
    let town = Town::with_backends(1).start().await;
    let mut witness = town.client(1).await;
    witness.join("lobby").await;
    let packets = [
        "",
        "9",
        "4",
        "42",
        "42[",
        "42[]",
        "42{}",
        "42[1]",
        "42[null]",
        "42[\"sendMessage\"",
        "42999999999999999999999[\"joinRoom\",\"a\"]",
        "43",
        "4399[1]",
        "44",
        "45",
        "451-[\"joinRoom\",{\"_placeholder\":true,\"num\":0}]",
        "459999999999-[\"x\"]",
        "46",
        "40/nowhere,",
        "40",
        "41",
        "2probe",
        "3probe",
        "5",
        "6",
        "bAAAA",
        "\u{1e}\u{1e}",
        "42[\"joinRoom\",\"\u{0}\"]",
    ];
    for packet in packets {
        for transport in [Transport::WebSocket, Transport::Polling] {
            let client = Client::to(&town.backend(1).address())
                .by(transport)
                .connect()
                .await;
            client.send_raw(packet);
        }
    }
    let deep = format!(
        "42[\"sendMessage\",\"lobby\",{}1{}]",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    town.client(1).await.send_raw(&deep);
    witness.say("lobby", "still here").await;
    witness.hears("still here").await;
    assert!(!town.backend(1).program().logged("panicked"), "it panicked");
}

#[tokio::test]
async fn bad_http_is_answered_as_engine_io_does() {
    let town = Town::with_backends(1).start().await;
    let cases = [
        ("/socket.io/?EIO=4&transport=carrier-pigeon", 400),
        (
            "/socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA",
            400,
        ),
        ("/socket.io/?EIO=9&transport=polling", 400),
        ("/api/rooms/lobby/messages?limit=x", 400),
        ("/api/rooms/lobby/messages?limit=100000", 400),
        ("/nowhere", 404),
    ];
    for (path, status) in cases {
        assert_eq!(
            http::status(&town.backend(1).url(path)).await,
            Some(status),
            "{path}"
        );
    }
}
