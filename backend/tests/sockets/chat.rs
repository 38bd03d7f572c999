//! The promise: acked means kept, members see each message once, in order.

use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::place::Place;

#[tokio::test]
async fn the_guides_scenario_across_two_servers() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let mut first = Client::guest(one.address).await;
    let mut second = Client::guest(two.address).await;
    first.emit(&json!(["joinRoom", "test-room"])).await;
    assert_eq!(
        second.call(&json!(["joinRoom", "test-room"])).await["ok"],
        true
    );
    let message = json!({"content": "Hello from Socket 1!", "type": "text"});
    first
        .emit(&json!(["sendMessage", "test-room", message]))
        .await;
    for client in [&mut first, &mut second] {
        let heard = client.event("message").await;
        assert_eq!(heard["content"], "Hello from Socket 1!");
        assert_eq!(heard["roomId"], "test-room");
        assert_eq!(heard["type"], "text");
        assert_eq!(heard["kind"], "message");
        assert_eq!(heard["seq"], 1);
    }
}

#[tokio::test]
async fn welcome_says_who_and_where() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::open(backend.address, &json!({"displayName": "Ann"}), None).await;
    let welcome = client.welcome().await;
    assert_eq!(welcome["name"], "Ann");
    assert_eq!(welcome["instanceId"], "backend-1");
    assert_eq!(
        welcome["limits"],
        json!({"maxContent": 16384, "ratePerSec": 1000})
    );
    let events = welcome["events"].as_array().unwrap();
    for event in ["joinRoom", "leaveRoom", "sendMessage", "getHistory"] {
        assert!(events.iter().any(|one| one == event), "{event}");
    }
    assert!(welcome["serverTime"].as_str().unwrap().ends_with('Z'));
    assert!(welcome["userId"].as_str().unwrap().starts_with("guest-"));
}

#[tokio::test]
async fn two_thousand_messages_of_one_client_keep_their_order() {
    const COUNT: u64 = 2_000;
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let mut sender = Client::guest(one.address).await;
    let mut reader = Client::guest(two.address).await;
    assert_eq!(reader.call(&json!(["joinRoom", "r"])).await["ok"], true);
    let heard = tokio::spawn(async move {
        let mut seqs = Vec::new();
        for _ in 0..COUNT {
            let message = reader.event("message").await;
            seqs.push((
                message["seq"].as_u64().unwrap(),
                message["content"].as_str().unwrap().to_owned(),
            ));
        }
        seqs
    });
    // Join and sends right behind each other, without waiting: they keep their order too.
    let join = sender.ask(&json!(["joinRoom", "r"])).await;
    let mut asked = Vec::new();
    for number in 1..=COUNT {
        asked.push(
            sender
                .ask(&json!(["sendMessage", "r", {"content": number.to_string()}]))
                .await,
        );
    }
    assert_eq!(sender.ack(join).await["ok"], true);
    for (number, id) in (1..).zip(asked) {
        let ack = sender.ack(id).await;
        assert_eq!(
            (&ack["ok"], &ack["seq"]),
            (&json!(true), &json!(number)),
            "{ack}"
        );
    }
    let expected: Vec<_> = (1..=COUNT)
        .map(|number| (number, number.to_string()))
        .collect();
    assert_eq!(heard.await.unwrap(), expected);
}

#[tokio::test]
async fn every_form_of_every_event_works() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    for join in [
        json!(["joinRoom", "r"]),
        json!(["joinRoom", {"roomId": "r"}]),
        json!(["joinRoom", "r", {"limit": 5}]),
    ] {
        assert_eq!(client.call(&join).await["ok"], true, "{join}");
    }
    for (seq, send) in (1..).zip([
        json!(["sendMessage", "r", {"content": "1", "type": "text"}]),
        json!(["sendMessage", {"roomId": "r", "content": "2"}]),
        json!(["sendMessage", "r", "3"]),
        json!(["sendMessage", "r", {"content": "4", "colour": {"deep": [1]}}, "surplus"]),
    ]) {
        let ack = client.call(&send).await;
        assert_eq!(
            (&ack["ok"], &ack["seq"]),
            (&json!(true), &json!(seq)),
            "{send}: {ack}"
        );
    }
    let page = client
        .call(&json!(["getHistory", {"roomId": "r", "before": 4, "limit": 2}]))
        .await;
    assert_eq!(contents(&page), ["2", "3"]);
    assert_eq!(page["hasMore"], true);
    for leave in [
        json!(["leaveRoom", "r"]),
        json!(["leaveRoom", {"roomId": "r"}]),
    ] {
        assert_eq!(client.call(&leave).await, json!({"ok": true}));
    }
}

fn contents(answer: &Value) -> Vec<String> {
    let messages = answer["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn joining_answers_with_what_was_missed() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    let empty = client.call(&json!(["joinRoom", "r"])).await;
    assert_eq!(
        (&empty["lastSeq"], &empty["messages"]),
        (&json!(0), &json!([]))
    );
    let settings = json!({"slowModeMs": 0, "readOnly": false, "maxMembers": 0});
    assert_eq!(
        empty["room"],
        json!({"id": "r", "name": "r", "type": "public", "role": "member", "settings": settings, "version": 0, "memberVersion": 0})
    );
    assert_eq!(empty["unread"], 0);
    for number in 1..=5 {
        client
            .call(&json!(["sendMessage", "r", {"content": number.to_string()}]))
            .await;
    }
    let epoch = empty["epoch"].clone();
    let mut other = Client::guest(backend.address).await;
    let latest = other.call(&json!(["joinRoom", "r", {"limit": 2}])).await;
    assert_eq!(
        (contents(&latest), &latest["hasMore"]),
        (vec!["4".to_owned(), "5".to_owned()], &json!(true))
    );
    let missed = other
        .call(&json!(["joinRoom", "r", {"lastSeq": 3, "epoch": epoch}]))
        .await;
    assert_eq!(
        (contents(&missed), &missed["recovered"]),
        (vec!["4".to_owned(), "5".to_owned()], &json!(true))
    );
    let some = other
        .call(&json!(["joinRoom", "r", {"lastSeq": 1, "limit": 2}]))
        .await;
    assert_eq!(
        (contents(&some), &some["recovered"]),
        (vec!["2".to_owned(), "3".to_owned()], &json!(false))
    );
    let nothing = other.call(&json!(["joinRoom", "r", {"lastSeq": 5}])).await;
    assert_eq!(
        (contents(&nothing).len(), &nothing["recovered"]),
        (0, &json!(true))
    );
    for stale in [
        json!({"lastSeq": 3, "epoch": "another log"}),
        json!({"lastSeq": 99}),
    ] {
        let answer = other.call(&json!(["joinRoom", "r", stale])).await;
        assert_eq!(
            (contents(&answer).len(), &answer["recovered"]),
            (5, &json!(false)),
            "{stale}"
        );
    }
}

#[tokio::test]
async fn a_resent_message_is_acked_as_duplicate_and_shown_once() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let cookie = crate::identity::guest_cookie(&one).await;
    let mut client = Client::open(one.address, &json!({}), Some(&cookie)).await;
    client.welcome().await;
    client.call(&json!(["joinRoom", "r"])).await;
    let send = json!(["sendMessage", "r", {"content": "hi", "clientMsgId": "c1"}]);
    let first = client.call(&send).await;
    assert_eq!(
        (&first["duplicate"], &first["clientMsgId"]),
        (&json!(false), &json!("c1"))
    );
    // After a reconnect, to another server: the same person, the same message.
    let mut again = Client::open(two.address, &json!({}), Some(&cookie)).await;
    again.welcome().await;
    again.call(&json!(["joinRoom", "r"])).await;
    let second = again.call(&send).await;
    assert_eq!(
        (&second["duplicate"], &second["seq"]),
        (&json!(true), &first["seq"])
    );
    assert_eq!(second["id"], first["id"]);
    // Somebody else's id is somebody else's.
    let mut other = Client::guest(one.address).await;
    other.call(&json!(["joinRoom", "r"])).await;
    assert_eq!(other.call(&send).await["seq"], 2);
    assert_eq!(again.event("message").await["seq"], 2);
    let others = again
        .rest()
        .iter()
        .filter(|packet| matches!(packet, Packet::Event(name, _) if name == "message"));
    assert_eq!(others.count(), 0);
}

#[tokio::test]
async fn who_left_hears_no_more_and_rooms_do_not_mix() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let (mut here, mut gone) = (
        Client::guest(backend.address).await,
        Client::guest(backend.address).await,
    );
    for client in [&mut here, &mut gone] {
        for room in ["a", "b"] {
            client.call(&json!(["joinRoom", room])).await;
        }
    }
    gone.call(&json!(["leaveRoom", "a"])).await;
    here.call(&json!(["sendMessage", "a", "only here"])).await;
    here.call(&json!(["sendMessage", "b", "both"])).await;
    assert_eq!(gone.event("message").await["content"], "both");
    assert_eq!(gone.rest(), []);
}

#[tokio::test]
async fn socket_ids_stay_secret_and_their_rooms_closed() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::open(backend.address, &json!({}), None).await;
    let connected = client
        .until(|packet| matches!(packet, Packet::Connected(_)))
        .await;
    let Packet::Connected(body) = connected else {
        panic!("{connected:?}")
    };
    let id = body["sid"].as_str().unwrap();
    let welcome = client.event("welcome").await;
    assert!(!welcome.to_string().contains(id), "{welcome}");
    let send = client.call(&json!(["sendMessage", id, "hi"])).await;
    assert_eq!(send["error"]["code"], "NOT_MEMBER");
    assert_eq!(
        client.call(&json!(["joinRoom", id])).await["error"]["code"],
        "FORBIDDEN"
    );
    client.call(&json!(["joinRoom", "r"])).await;
    client.call(&json!(["sendMessage", "r", "hi"])).await;
    let message = client.event("message").await;
    assert!(!message.to_string().contains(id), "{message}");
}
