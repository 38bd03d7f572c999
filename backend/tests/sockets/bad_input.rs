//! Clients that send nonsense: a typed answer, and nobody else notices.

use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::place::Place;

#[tokio::test]
async fn nonsense_is_a_bad_request() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    client.call(&json!(["joinRoom", "r"])).await;
    let arguments = [
        json!([]),
        json!([null]),
        json!([7]),
        json!([true]),
        json!([[]]),
        json!([{}]),
        json!([""]),
        json!(["x".repeat(200)]),
        json!(["a\u{0}b"]),
        json!(["r", 5]),
        json!(["r", []]),
        json!([{"roomId": null, "content": "x"}]),
        json!(["r", {"content": {}}]),
        json!(["r", {"content": "x", "type": {}}]),
        json!([vec![0; 10_000]]),
    ];
    for arguments in arguments {
        client.call(&json!(["joinRoom", "r"])).await;
        for event in ["sendMessage", "getHistory", "joinRoom", "leaveRoom"] {
            let mut packet = vec![json!(event)];
            packet.extend(arguments.as_array().unwrap().iter().cloned());
            let answer = client.call(&Value::Array(packet.clone())).await;
            let is_tolerated =
                event != "sendMessage" && arguments[0] == "r" && arguments[1].is_object();
            if !is_tolerated {
                assert_eq!(
                    answer["error"]["code"], "BAD_REQUEST",
                    "{packet:?}: {answer}"
                );
            }
        }
    }
    client.call(&json!(["joinRoom", "r"])).await;
    for limit in [
        json!(0),
        json!(-1),
        json!(201),
        json!(1.5),
        json!("7"),
        json!([]),
    ] {
        for event in ["joinRoom", "getHistory"] {
            let answer = client.call(&json!([event, "r", {"limit": limit}])).await;
            assert_eq!(answer["error"]["code"], "BAD_REQUEST", "{event} {limit}");
        }
    }
    assert_eq!(
        client
            .call(&json!(["sendMessage", "r", "still here"]))
            .await["seq"],
        1
    );
}

#[tokio::test]
async fn without_an_ack_the_refusal_is_an_event() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    client
        .emit(&json!(["sendMessage", "r", {"content": "hi", "clientMsgId": "c1"}]))
        .await;
    let error = client.event("error").await;
    assert_eq!(error["error"]["code"], "NOT_MEMBER");
    assert_eq!(
        (&error["event"], &error["roomId"], &error["clientMsgId"]),
        (&json!("sendMessage"), &json!("r"), &json!("c1"))
    );
}

#[tokio::test]
async fn binary_arguments_are_refused_not_swallowed() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    client.call(&json!(["joinRoom", "r"])).await;
    let placeholder = json!({"_placeholder": true, "num": 0});
    client
        .raw(&format!(
            "451-77[\"sendMessage\",\"r\",{{\"content\":{placeholder}}}]"
        ))
        .await;
    client.binary(b"\x00\x01").await;
    assert_eq!(client.ack(77).await["error"]["code"], "BAD_REQUEST");
    client
        .raw(&format!("451-78[\"joinRoom\",{placeholder}]"))
        .await;
    client.binary(b"\x00\x01").await;
    assert_eq!(client.ack(78).await["error"]["code"], "BAD_REQUEST");
}

#[tokio::test]
async fn large_content_is_refused_and_the_connection_stays() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    client.call(&json!(["joinRoom", "r"])).await;
    let answer = client
        .call(&json!(["sendMessage", "r", "x".repeat(16 * 1024 + 1)]))
        .await;
    assert_eq!(answer["error"]["code"], "PAYLOAD_TOO_LARGE");
    assert_eq!(answer["error"]["retryable"], false);
    assert_eq!(
        client
            .call(&json!(["sendMessage", "r", "x".repeat(16 * 1024)]))
            .await["ok"],
        true
    );
}

#[tokio::test]
async fn too_many_rooms_are_refused() {
    let mut place = Place::new();
    place.settings.chat.rooms_per_socket_max = 2;
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    for room in ["a", "b", "a"] {
        assert_eq!(client.call(&json!(["joinRoom", room])).await["ok"], true);
    }
    assert_eq!(
        client.call(&json!(["joinRoom", "c"])).await["error"]["code"],
        "FORBIDDEN"
    );
    client.call(&json!(["leaveRoom", "a"])).await;
    assert_eq!(client.call(&json!(["joinRoom", "c"])).await["ok"], true);
}

#[tokio::test]
async fn too_many_messages_are_refused_with_a_time_to_wait() {
    let mut place = Place::new();
    place.settings.chat.messages_per_second_max = 1;
    place.settings.chat.messages_burst_max = 3;
    let backend = place.backend().await;
    // To make a room costs what a message costs, so somebody else does.
    let mut other = Client::guest(backend.address).await;
    other.call(&json!(["joinRoom", "r"])).await;
    let mut client = Client::guest(backend.address).await;
    client.call(&json!(["joinRoom", "r"])).await;
    for _ in 0..3 {
        assert_eq!(
            client.call(&json!(["sendMessage", "r", "hi"])).await["ok"],
            true
        );
    }
    let error = client.call(&json!(["sendMessage", "r", "hi"])).await["error"].clone();
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("RATE_LIMITED"), &json!(true))
    );
    assert!(
        (1..=1_000).contains(&error["retryAfterMs"].as_u64().unwrap()),
        "{error}"
    );
}

#[tokio::test]
async fn rooms_are_not_made_faster_than_messages_are_sent() {
    let mut place = Place::new();
    place.settings.chat.messages_per_second_max = 1;
    place.settings.chat.messages_burst_max = 3;
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    for room in ["a", "b", "c"] {
        let joined = client.call(&json!(["joinRoom", room])).await;
        assert_eq!(joined["ok"], true, "{joined}");
    }
    let refused = client.call(&json!(["joinRoom", "d"])).await;
    assert_eq!(refused["error"]["code"], "RATE_LIMITED", "{refused}");
    // Those that are there cost nothing.
    for room in ["a", "b", "c", "a"] {
        client.call(&json!(["leaveRoom", room])).await;
        let joined = client.call(&json!(["joinRoom", room])).await;
        assert_eq!(joined["ok"], true, "{joined}");
    }
}

#[tokio::test]
async fn a_flood_is_refused_by_name_never_in_silence() {
    const COUNT: u64 = 500;
    let mut place = Place::new();
    place.settings.chat.inbox_events_max = 10;
    place.settings.chat.in_flight_messages_max = 1;
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    client.call(&json!(["joinRoom", "r"])).await;
    let mut asked = Vec::new();
    for _ in 0..COUNT {
        asked.push(client.ask(&json!(["sendMessage", "r", "hi"])).await);
    }
    let (mut stored, mut refused) = (0, 0);
    for id in asked {
        let answer = client.ack(id).await;
        if answer["ok"] == true {
            stored += 1;
            assert_eq!(answer["seq"], stored);
        } else {
            assert_eq!(answer["error"]["code"], "OVERLOADED", "{answer}");
            refused += 1;
        }
    }
    assert_eq!(stored + refused, COUNT);
    assert!(stored > 0);
}

#[tokio::test]
async fn packets_that_make_no_sense_hurt_only_their_sender() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut witness = Client::guest(backend.address).await;
    witness.call(&json!(["joinRoom", "r"])).await;
    let deep = format!(
        "42[\"sendMessage\",{}{}]",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    for packet in [
        "",
        "9",
        "4",
        "42",
        "42[",
        "42[]",
        "42{}",
        "42[1]",
        "42[null]",
        "43",
        "4399[1]",
        "44",
        "45",
        "46",
        "40",
        "40/other,",
        "42999999999999999999999[\"joinRoom\",\"a\"]",
        "451-[\"joinRoom\",{\"_placeholder\":true,\"num\":7}]",
        "2probe",
        "5",
        "6",
        &deep,
    ] {
        let mut client = Client::guest(backend.address).await;
        client.raw(packet).await;
    }
    let mut known = Client::guest(backend.address).await;
    known.raw("40/other,").await;
    let refused = known.until(|packet| matches!(packet, Packet::Refused(_) | Packet::Closed));
    drop(refused);
    assert_eq!(
        witness
            .call(&json!(["sendMessage", "r", "still here"]))
            .await["ok"],
        true
    );
}

#[tokio::test]
async fn no_answer_is_lost_in_a_small_buffer() {
    const COUNT: u64 = 500;
    let mut place = Place::new();
    place.settings.engine.buffer_bytes_max = 512;
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    // Not a member, so that only answers fill the buffer; a member that reads too slowly is sent away.
    let mut asked = Vec::new();
    for _ in 0..COUNT {
        asked.push(client.ask(&json!(["sendMessage", "r", "hi"])).await);
    }
    for id in asked {
        assert_eq!(client.ack(id).await["error"]["code"], "NOT_MEMBER");
    }
}
