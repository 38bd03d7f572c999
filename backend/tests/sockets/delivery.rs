//! Members hear everything once and in order, with a bus and without one, and those who read too slowly come back and catch up.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::http::{ask, get};
use crate::place::{Backend, Place};

async fn metric(backend: &Backend, line: &str) -> u64 {
    let page = get(&backend.url("/metrics"), None).await.body;
    let found = page.lines().find_map(|text| text.strip_prefix(line));
    found
        .unwrap_or_else(|| panic!("no {line}"))
        .trim()
        .parse()
        .unwrap()
}

async fn member(address: SocketAddr) -> Client {
    let mut client = Client::guest(address).await;
    assert_eq!(client.call(&json!(["joinRoom", "r"])).await["ok"], true);
    client
}

async fn say(client: &mut Client, text: &str) -> u64 {
    let ack = client.call(&json!(["sendMessage", "r", text])).await;
    ack["seq"].as_u64().unwrap_or_else(|| panic!("{ack}"))
}

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn servers_without_a_bus_keep_up_with_each_other_by_the_store() {
    let mut place = Place::new();
    let (one, two) = (place.backend_alone().await, place.backend_alone().await);
    let (mut here, mut there) = (member(one.address).await, member(two.address).await);
    for round in 0..5_u64 {
        let mine = say(&mut here, "from one").await;
        let theirs = say(&mut there, "from two").await;
        assert_eq!((mine, theirs), (2 * round + 1, 2 * round + 2));
    }
    for client in [&mut here, &mut there] {
        for wanted in 1..=10 {
            assert_eq!(seq(&client.event("message").await), wanted);
        }
        assert!(
            !client
                .rest()
                .iter()
                .any(|packet| matches!(packet, Packet::Event(name, _) if name == "message"))
        );
    }
    assert_eq!(metric(&one, "chat_delivery_mode{mode=\"tail\"}").await, 1);
    assert!(metric(&two, "chat_gaps_repaired_total").await > 0);
    assert!(metric(&one, "chat_delivery_seconds_count{path=\"repair\"}").await > 0);
}

#[tokio::test]
async fn two_servers_in_one_room_show_one_order() {
    const EACH: u64 = 200;
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let (mut here, mut there) = (member(one.address).await, member(two.address).await);
    let speak = |mut client: Client| async move {
        for number in 0..EACH {
            client
                .ask(&json!(["sendMessage", "r", number.to_string()]))
                .await;
        }
        let mut heard = Vec::new();
        for _ in 0..2 * EACH {
            heard.push(seq(&client.event("message").await));
        }
        (client, heard)
    };
    let (left, right) = tokio::join!(speak(here), speak(there));
    let wanted: Vec<u64> = (1..=2 * EACH).collect();
    assert_eq!((&left.1, &right.1), (&wanted, &wanted));
    (here, there) = (left.0, right.0);
    for client in [&here, &there] {
        assert!(
            !client
                .rest()
                .iter()
                .any(|packet| matches!(packet, Packet::Event(name, _) if name == "message"))
        );
    }
    assert_eq!(metric(&one, "chat_delivery_mode{mode=\"bus\"}").await, 1);
}

#[tokio::test]
async fn a_member_without_acks_hears_itself_right_after_joining() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    client.emit(&json!(["joinRoom", "r"])).await;
    client.emit(&json!(["sendMessage", "r", "hello"])).await;
    assert_eq!(client.event("message").await["content"], "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_is_sent_away_comes_back_and_misses_nothing() {
    const COUNT: u64 = 1_500;
    let mut place = Place::new();
    place.settings.engine.buffer_bytes_max = 1024 * 1024;
    let backend = place.backend().await;
    let (mut sender, mut slow, mut quick) = (
        member(backend.address).await,
        member(backend.address).await,
        member(backend.address).await,
    );
    let reading = tokio::spawn(async move {
        for wanted in 1..=COUNT {
            assert_eq!(seq(&quick.event("message").await), wanted);
        }
        quick
    });
    let text = "x".repeat(16_000);
    for _ in 0..COUNT {
        say(&mut sender, &text).await;
        sender.event("message").await;
    }
    let _quick = reading.await.unwrap();
    assert_eq!(metric(&backend, "chat_slow_evictions_total").await, 1);
    assert_eq!(
        metric(&backend, "chat_connections{transport=\"websocket\"}").await,
        2
    );

    // It reads what its connection still had: a beginning without a gap, and then the end.
    let mut seen = 0;
    loop {
        match slow.until(|_| true).await {
            Packet::Event(name, message) if name == "message" => {
                assert_eq!(seq(&message), seen + 1);
                seen += 1;
            }
            // Who is there is told, too.
            Packet::Event(..) => {}
            Packet::Closed => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(seen < COUNT, "it was not slow");
    let mut back = Client::guest(backend.address).await;
    while seen < COUNT {
        let missed = json!(["joinRoom", "r", {"lastSeq": seen, "limit": 40}]);
        let answer = back.call(&missed).await;
        for message in answer["messages"].as_array().unwrap() {
            assert_eq!(seq(message), seen + 1);
            seen += 1;
        }
    }
    assert!(metric(&backend, "chat_resync_messages_total").await > 0);
}

#[tokio::test]
async fn a_polling_client_that_stops_asking_is_told_to_begin_anew() {
    let mut place = Place::new();
    place.settings.engine.buffer_bytes_max = 16 * 1024;
    let backend = place.backend().await;
    let polling = backend.url("/socket.io/?EIO=4&transport=polling");
    let open = get(&polling, None).await.body;
    let open: Value = serde_json::from_str(&open[1..]).unwrap();
    let session = format!("{polling}&sid={}", open["sid"].as_str().unwrap());
    let post = async |packet: &str| {
        ask(
            &session,
            "POST",
            None,
            "Content-Type: text/plain\r\n",
            packet,
        )
        .await
        .status
    };
    assert_eq!(post("40").await, 200);
    assert!(get(&session, None).await.body.contains("40{"));
    assert_eq!(post(r#"420["joinRoom","r"]"#).await, 200);
    while !get(&session, None).await.body.contains("430[") {}

    let mut sender = member(backend.address).await;
    for _ in 0..100 {
        say(&mut sender, "hi").await;
    }
    assert_eq!(metric(&backend, "chat_slow_evictions_total").await, 1);
    let answer = get(&session, None).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(1)));
    // Its session has ended, not only its poll.
    assert_eq!(get(&session, None).await.status, 400);
    assert_eq!(
        metric(&backend, "chat_connections{transport=\"polling\"}").await,
        0
    );
}

#[tokio::test]
async fn sync_joins_many_rooms_and_brings_what_was_missed_in_each() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut sender = Client::guest(backend.address).await;
    for room in ["a", "b", "c"] {
        sender.call(&json!(["joinRoom", room])).await;
        for text in 1..=3 {
            sender
                .call(&json!(["sendMessage", room, text.to_string()]))
                .await;
        }
    }
    let epoch = sender.call(&json!(["joinRoom", "a"])).await["epoch"].clone();
    let mut back = Client::guest(backend.address).await;
    let id = json!("x".repeat(129));
    let bad = back
        .call(&json!(["sync", {"rooms": [{"roomId": id}]}]))
        .await;
    assert_eq!(bad["error"]["code"], "BAD_REQUEST");
    let rooms = json!([
        {"roomId": "a", "lastSeq": 1, "epoch": epoch},
        {"roomId": "b", "lastSeq": 3, "epoch": epoch},
        {"roomId": "c", "lastSeq": 1, "epoch": "another log"},
        {"roomId": "new", "lastSeq": 0},
    ]);
    let answer = back.call(&json!(["sync", {"rooms": rooms}])).await;
    let seen: Vec<_> = answer["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| {
            let seqs: Vec<u64> = room["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(seq)
                .collect();
            (
                room["roomId"].as_str().unwrap(),
                seqs,
                room["lastSeq"].as_u64().unwrap(),
                room["recovered"] == true,
            )
        })
        .collect();
    let wanted = [
        ("a", vec![2, 3], 3, true),
        ("b", vec![], 3, true),
        ("c", vec![1, 2, 3], 3, false),
        ("new", vec![], 0, true),
    ];
    assert_eq!(seen, wanted);
    // It is in all of them.
    for room in ["a", "b", "c"] {
        sender.call(&json!(["sendMessage", room, "news"])).await;
        assert_eq!(back.event("message").await["roomId"], room);
    }
    assert_eq!(
        back.call(&json!(["sendMessage", "new", "hi"])).await["ok"],
        true
    );
}

#[tokio::test]
async fn an_answer_to_sync_is_bounded_and_says_where_more_is() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut sender = Client::guest(backend.address).await;
    let text = "x".repeat(16_000);
    for room in ["a", "b", "c"] {
        sender.call(&json!(["joinRoom", room])).await;
        for _ in 0..25 {
            sender.call(&json!(["sendMessage", room, text])).await;
        }
    }
    let mut back = Client::guest(backend.address).await;
    let rooms = json!(["a", "b", "c"].map(|room| json!({"roomId": room, "lastSeq": 0})));
    let answer = back.call(&json!(["sync", {"rooms": rooms}])).await;
    assert!(answer.to_string().len() < 600_000);
    let facts: Vec<_> = answer["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| {
            let count = room["messages"].as_array().unwrap().len();
            (
                count == 25,
                room["hasMore"] == true,
                room["recovered"] == true,
                seq_of(room, "lastSeq"),
            )
        })
        .collect();
    assert_eq!(
        facts,
        [
            (true, false, true, 25),
            (false, true, false, 25),
            (false, true, false, 25)
        ]
    );
}

fn seq_of(body: &Value, field: &str) -> u64 {
    body[field].as_u64().unwrap()
}

#[tokio::test]
async fn history_around_a_message_has_both_sides_of_it() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = member(backend.address).await;
    for text in 1..=20 {
        say(&mut client, &text.to_string()).await;
    }
    for (around, limit, wanted) in [
        (10, 4, vec![8, 9, 10, 11]),
        (10, 1, vec![10]),
        (1, 4, vec![1, 2]),
        (20, 5, vec![18, 19, 20]),
        (99, 4, vec![19, 20]),
    ] {
        let ask = json!(["getHistory", {"roomId": "r", "around": around, "limit": limit}]);
        let page = client.call(&ask).await;
        let seqs: Vec<u64> = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(seq)
            .collect();
        assert_eq!(
            (seqs, &page["lastSeq"]),
            (wanted, &json!(20)),
            "{around} {limit}"
        );
        let path = format!("/api/rooms/r/messages?around={around}&limit={limit}");
        let over_http = get(&backend.url(&path), None).await.json();
        assert_eq!(over_http["messages"], page["messages"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanished_with_full_buffers_leaves_its_rooms() {
    let mut place = Place::new();
    place.settings.server.unacknowledged_timeout = std::time::Duration::from_secs(2);
    place.settings.engine.buffer_bytes_max = 1 << 30;
    let backend = place.backend().await;
    let (mut sender, _stalled) = (member(backend.address).await, member(backend.address).await);
    let text = "x".repeat(16_000);
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    // Its own buffer would hold far more; what gives up on it is the kernel.
    while metric(&backend, "chat_connections{transport=\"websocket\"}").await == 2 {
        assert!(tokio::time::Instant::now() < end, "it is still there");
        say(&mut sender, &text).await;
        sender.event("message").await;
    }
    assert_eq!(metric(&backend, "chat_slow_evictions_total").await, 0);
}
