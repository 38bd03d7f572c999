//! Rooms with members, roles and rules: kept on every server, in effect at once.

use std::sync::Arc;

use berth_backend::directory::Directory;
use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::place::{Backend, Place, SilentAboutMarks};

/// Somebody who stays the same from server to server.
async fn person(backend: &Backend, name: &str) -> (Client, String) {
    let auth = json!({"displayName": name, "device": format!("the device of {name}")});
    let mut client = Client::open(backend.address, &auth, None).await;
    let welcome = client.welcome().await;
    let id = welcome["userId"].as_str().unwrap().to_owned();
    (client, id)
}

async fn done(client: &mut Client, event: Value) -> Value {
    let answer = client.call(&event).await;
    assert_eq!(answer["ok"], true, "{event}: {answer}");
    answer
}

async fn refused(client: &mut Client, event: Value) -> (String, Value) {
    let answer = client.call(&event).await;
    assert_eq!(answer["ok"], false, "{event}: {answer}");
    let error = &answer["error"];
    let code = error["code"].as_str().unwrap().to_owned();
    (code, error["retryAfterMs"].clone())
}

async fn refused_with(client: &mut Client, event: Value, code: &str) {
    assert_eq!(refused(client, event).await.0, code);
}

/// A private room of ann's, on the first server, and bob, a member, on the second.
async fn private_room(one: &Backend, two: &Backend) -> ((Client, String), (Client, String)) {
    let (mut ann, ann_id) = person(one, "Ann").await;
    let (mut bob, bob_id) = person(two, "Bob").await;
    let made = done(
        &mut ann,
        json!(["createRoom", {"name": "Team", "roomId": "team"}]),
    )
    .await;
    assert_eq!(
        (&made["room"]["type"], &made["room"]["role"]),
        (&json!("private"), &json!("owner"))
    );
    done(&mut ann, json!(["joinRoom", "team"])).await;
    refused_with(&mut bob, json!(["joinRoom", "team"]), "NOT_MEMBER").await;
    let invite = json!(["inviteUser", {"roomId": "team", "userId": bob_id, "name": "Bob"}]);
    done(&mut ann, invite).await;
    assert_eq!(bob.event("roomUpdated").await["room"]["id"], "team");
    let joined = done(&mut bob, json!(["joinRoom", "team"])).await;
    assert_eq!(joined["room"]["role"], "member");
    assert_eq!(joined["room"]["name"], "Team");
    ((ann, ann_id), (bob, bob_id))
}

#[tokio::test]
async fn a_private_room_is_for_its_members() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let ((mut ann, _), (mut bob, _)) = private_room(&one, &two).await;
    done(&mut ann, json!(["sendMessage", "team", "secret"])).await;
    assert_eq!(bob.event("message").await["content"], "secret");
    let (mut eve, _) = person(&two, "Eve").await;
    refused_with(&mut eve, json!(["joinRoom", "team"]), "NOT_MEMBER").await;
    refused_with(&mut eve, json!(["sendMessage", "team", "hi"]), "NOT_MEMBER").await;
    refused_with(
        &mut eve,
        json!(["getHistory", {"roomId": "team"}]),
        "NOT_MEMBER",
    )
    .await;
    refused_with(
        &mut eve,
        json!(["markRead", {"roomId": "team", "seq": 1}]),
        "NOT_MEMBER",
    )
    .await;
    for event in ["kickUser", "banUser", "muteUser", "inviteUser"] {
        let on_somebody = json!([event, {"roomId": "team", "userId": "x"}]);
        refused_with(&mut eve, on_somebody, "NOT_MEMBER").await;
    }
    let page = get(&one, "/api/rooms/team/messages").await;
    assert!(
        page.starts_with("HTTP/1.1 403") && page.contains("NOT_MEMBER"),
        "{page}"
    );
    assert!(
        !eve.rest()
            .iter()
            .any(|packet| format!("{packet:?}").contains("secret"))
    );
}

/// A request by hand.
async fn get(backend: &Backend, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(backend.address)
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn who_is_kicked_leaves_on_every_server_at_once() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let ((mut ann, _), (mut bob, bob_id)) = private_room(&one, &two).await;
    let kick = json!(["kickUser", {"roomId": "team", "userId": bob_id, "reason": "enough"}]);
    done(&mut ann, kick).await;
    let kicked = bob.event("kicked").await;
    assert_eq!(kicked, json!({"roomId": "team", "reason": "enough"}));
    done(&mut ann, json!(["sendMessage", "team", "among us"])).await;
    refused_with(
        &mut bob,
        json!(["sendMessage", "team", "still here"]),
        "NOT_MEMBER",
    )
    .await;
    refused_with(&mut bob, json!(["joinRoom", "team"]), "NOT_MEMBER").await;
    let heard = |packet: &Packet| matches!(packet, Packet::Event(name, _) if name == "message");
    assert!(!bob.rest().iter().any(heard));
}

#[tokio::test]
async fn a_kick_does_not_wait_for_a_directory_that_hangs() {
    let mut place = Place::new();
    let directory = Arc::new(SilentAboutMarks::default());
    place.directory = Arc::clone(&directory) as Arc<dyn Directory>;
    let (one, two) = (place.backend().await, place.backend().await);
    let ((mut ann, _), (mut bob, bob_id)) = private_room(&one, &two).await;
    done(&mut ann, json!(["sendMessage", "team", "read me"])).await;
    done(&mut bob, json!(["markRead", {"roomId": "team", "seq": 1}])).await;
    directory.was_asked.notified().await;
    let kick = json!(["kickUser", {"roomId": "team", "userId": bob_id}]);
    done(&mut ann, kick).await;
    bob.event("kicked").await;
}

#[tokio::test]
async fn a_ban_holds_in_a_public_room_too_and_can_be_lifted() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let (mut ann, _) = person(&one, "Ann").await;
    let (mut bob, bob_id) = person(&two, "Bob").await;
    let make = json!(["createRoom", {"name": "Plaza", "roomId": "plaza", "type": "public"}]);
    done(&mut ann, make.clone()).await;
    // Sent again, it finds what it made; from somebody else it is another room.
    assert_eq!(done(&mut ann, make.clone()).await["room"]["role"], "owner");
    refused_with(&mut bob, make, "CONFLICT").await;
    done(&mut bob, json!(["joinRoom", "plaza"])).await;
    let ban =
        |ms: Value| json!(["banUser", {"roomId": "plaza", "userId": bob_id, "durationMs": ms}]);
    refused_with(&mut bob, ban(Value::Null), "FORBIDDEN").await;
    done(&mut ann, ban(json!(3_600_000))).await;
    assert!(bob.event("kicked").await["until"].is_string());
    let (code, wait) = refused(&mut bob, json!(["joinRoom", "plaza"])).await;
    assert_eq!(code, "BANNED");
    assert!((1..=3_600_000).contains(&wait.as_i64().unwrap()));
    let (mut again, _) = person(&one, "Bob").await;
    refused_with(&mut again, json!(["joinRoom", "plaza"]), "BANNED").await;
    done(&mut ann, ban(json!(0))).await;
    done(&mut bob, json!(["joinRoom", "plaza"])).await;
}

#[tokio::test]
async fn mutes_and_rules_hold_on_the_server_where_somebody_is() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let ((mut ann, _), (mut bob, bob_id)) = private_room(&one, &two).await;
    let say = json!(["sendMessage", "team", "hello"]);
    done(&mut bob, say.clone()).await;
    let mute =
        |ms: Value| json!(["muteUser", {"roomId": "team", "userId": bob_id, "durationMs": ms}]);
    done(&mut ann, mute(json!(3_600_000))).await;
    let told = bob.event("roomUpdated").await;
    assert_eq!(told["room"]["role"], "member");
    assert!(told["room"]["mutedUntil"].is_string(), "{told}");
    eventually_refused(&mut bob, &say, "MUTED").await;
    let react = json!(["addReaction", {"roomId": "team", "seq": 1, "emoji": "👍"}]);
    refused_with(&mut bob, react, "MUTED").await;
    done(&mut ann, mute(json!(0))).await;
    let told = bob.event("roomUpdated").await;
    assert!(told["room"].get("mutedUntil").is_none(), "{told}");
    eventually_done(&mut bob, &say).await;

    let settings =
        |settings: Value| json!(["updateRoom", {"roomId": "team", "settings": settings}]);
    refused_with(&mut bob, settings(json!({})), "FORBIDDEN").await;
    done(&mut ann, settings(json!({"slowModeMs": 3_600_000}))).await;
    assert_eq!(
        bob.event("roomUpdated").await["room"]["settings"]["slowModeMs"],
        3_600_000
    );
    eventually_refused(&mut bob, &say, "SLOW_MODE").await;
    done(&mut ann, say.clone()).await;
    done(&mut ann, say.clone()).await;
    done(
        &mut ann,
        settings(json!({"slowModeMs": 0, "readOnly": true})),
    )
    .await;
    eventually_refused(&mut bob, &say, "FORBIDDEN").await;
    done(&mut ann, say).await;
}

/// What another server decided holds here in a moment. Each try is answered, so that this ends.
async fn eventually_refused(client: &mut Client, event: &Value, code: &str) {
    for _ in 0..1_000 {
        let answer = client.call(event).await;
        if answer["error"]["code"] == code {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{event} was never refused with {code}");
}

async fn eventually_done(client: &mut Client, event: &Value) {
    for _ in 0..1_000 {
        if client.call(event).await["ok"] == true {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{event} was never done");
}

#[tokio::test]
async fn what_came_late_is_told_from_what_is_newer_by_versions() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let ((mut ann, _), (mut bob, bob_id)) = private_room(&one, &two).await;
    let joined = done(&mut bob, json!(["joinRoom", "team"])).await;
    assert_eq!(joined["room"]["version"], 0);
    let me = joined["room"]["memberVersion"].as_u64().unwrap();
    for (name, version) in [("Crew", 1), ("Watch", 2)] {
        let rename = json!(["updateRoom", {"roomId": "team", "name": name}]);
        assert_eq!(done(&mut ann, rename).await["room"]["version"], version);
        let told = bob.event("roomUpdated").await;
        assert_eq!(told["room"]["name"], name);
        assert_eq!(told["room"]["version"], version);
        // It is about nobody.
        assert_eq!(told["room"].get("memberVersion"), None);
    }
    for version in [me + 1, me + 2] {
        let mute = json!(["muteUser", {"roomId": "team", "userId": bob_id, "durationMs": 0}]);
        done(&mut ann, mute).await;
        let told = bob.event("roomUpdated").await;
        assert_eq!(told["room"]["memberVersion"], version);
    }
    // Who was away has both in one answer with what it missed.
    let away = json!(["sync", {"rooms": [{"roomId": "team", "lastSeq": 0}]}]);
    let room = done(&mut bob, away).await["rooms"][0]["room"].clone();
    assert_eq!(room["name"], "Watch");
    assert_eq!(
        (&room["version"], &room["memberVersion"]),
        (&json!(2), &json!(me + 2))
    );
}

#[tokio::test]
async fn a_moderator_deletes_what_others_said_and_is_made_by_an_owner() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let ((mut ann, ann_id), (mut bob, bob_id)) = private_room(&one, &two).await;
    let said = done(&mut ann, json!(["sendMessage", "team", "hello"])).await["seq"].clone();
    let delete = json!(["deleteMessage", {"roomId": "team", "seq": said}]);
    refused_with(&mut bob, delete.clone(), "FORBIDDEN").await;
    let role = |user: &str, role: &str| json!(["inviteUser", {"roomId": "team", "userId": user, "role": role}]);
    refused_with(&mut bob, role(&bob_id, "owner"), "FORBIDDEN").await;
    done(&mut ann, role(&bob_id, "moderator")).await;
    eventually_done(&mut bob, &delete).await;
    let kick = json!(["kickUser", {"roomId": "team", "userId": ann_id}]);
    refused_with(&mut bob, kick, "FORBIDDEN").await;
    // Whoever kicks themselves quits.
    done(
        &mut bob,
        json!(["kickUser", {"roomId": "team", "userId": bob_id}]),
    )
    .await;
    refused_with(&mut bob, json!(["joinRoom", "team"]), "NOT_MEMBER").await;
}

#[tokio::test]
async fn a_private_room_tells_who_comes_and_goes() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let ((mut ann, _), (_bob, bob_id)) = private_room(&one, &two).await;
    let joined = ann.event("systemMessage").await;
    assert_eq!(
        (&joined["type"], &joined["subjectId"]),
        (&json!("memberJoined"), &json!(bob_id))
    );
    assert_eq!(joined["content"], "Ann added Bob");
    done(
        &mut ann,
        json!(["kickUser", {"roomId": "team", "userId": bob_id}]),
    )
    .await;
    let left = ann.event("systemMessage").await;
    assert_eq!(
        (&left["type"], &left["seq"]),
        (&json!("memberKicked"), &json!(2))
    );
}

#[tokio::test]
async fn two_people_have_one_direct_room() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let (mut ann, ann_id) = person(&one, "Ann").await;
    let (mut bob, bob_id) = person(&two, "Bob").await;
    let opened = done(&mut ann, json!(["openDirect", {"userId": bob_id}])).await;
    let room = opened["room"]["id"].clone();
    assert_eq!(opened["room"]["type"], "dm");
    assert_eq!(bob.event("roomUpdated").await["room"]["id"], room);
    let again = done(&mut bob, json!(["openDirect", {"userId": ann_id}])).await;
    assert_eq!(again["room"]["id"], room);
    for client in [&mut ann, &mut bob] {
        done(client, json!(["joinRoom", room])).await;
    }
    done(&mut ann, json!(["sendMessage", room, "psst"])).await;
    assert_eq!(bob.event("message").await["content"], "psst");
    let (mut eve, eve_id) = person(&two, "Eve").await;
    refused_with(&mut eve, json!(["joinRoom", room]), "NOT_MEMBER").await;
    let invite = json!(["inviteUser", {"roomId": room, "userId": eve_id}]);
    refused_with(&mut ann, invite, "FORBIDDEN").await;
    let kick = json!(["kickUser", {"roomId": room, "userId": ann_id}]);
    refused_with(&mut bob, kick, "FORBIDDEN").await;
    // Nobody makes one by joining it.
    refused_with(&mut eve, json!(["joinRoom", "dm:0123"]), "ROOM_NOT_FOUND").await;
    refused_with(
        &mut eve,
        json!(["joinRoom", format!("user:{ann_id}")]),
        "BAD_REQUEST",
    )
    .await;
}

#[tokio::test]
async fn what_is_unread_is_counted_in_messages_and_survives_a_reconnect() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let ((mut ann, _), (mut bob, bob_id)) = private_room(&one, &two).await;
    for text in ["one", "two", "three"] {
        done(&mut ann, json!(["sendMessage", "team", text])).await;
    }
    // The invitation is the first entry, and no message.
    let mark = |seq: u64| json!(["markRead", {"roomId": "team", "seq": seq}]);
    let marked = done(&mut bob, mark(3)).await;
    assert_eq!(
        (&marked["lastReadSeq"], &marked["unread"]),
        (&json!(3), &json!(1))
    );
    let receipt = ann.event("readReceipt").await;
    let expected = json!({"roomId": "team", "userId": bob_id, "lastReadSeq": 3});
    assert_eq!(receipt, expected);
    assert_eq!(done(&mut bob, mark(2)).await["lastReadSeq"], 3);
    done(
        &mut ann,
        json!(["editMessage", {"roomId": "team", "seq": 2, "content": "uno"}]),
    )
    .await;
    done(&mut ann, json!(["sendMessage", "team", "four"])).await;
    let (mut back, _) = person(&two, "Bob").await;
    let joined = done(&mut back, json!(["joinRoom", "team"])).await;
    assert_eq!(joined["unread"], 2);
    // Beyond the end is the end.
    let marked = done(&mut back, mark(u64::MAX)).await;
    assert_eq!(
        (&marked["lastReadSeq"], &marked["unread"]),
        (&joined["lastSeq"], &json!(0))
    );
}

#[tokio::test]
async fn a_full_room_takes_nobody_else() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let (mut ann, _) = person(&backend, "Ann").await;
    let make =
        json!(["createRoom", {"name": "Two", "roomId": "two", "settings": {"maxMembers": 2}}]);
    done(&mut ann, make).await;
    let invite = |user: &str| json!(["inviteUser", {"roomId": "two", "userId": user}]);
    done(&mut ann, invite("bob")).await;
    done(&mut ann, invite("bob")).await;
    refused_with(&mut ann, invite("cat"), "CONFLICT").await;
}

#[tokio::test]
async fn rooms_are_made_by_joining_only_where_that_is_wanted() {
    let mut place = Place::new();
    place.settings.rooms.made_by_joining = false;
    let backend = place.backend().await;
    let (mut ann, _) = person(&backend, "Ann").await;
    refused_with(&mut ann, json!(["joinRoom", "anything"]), "ROOM_NOT_FOUND").await;
    let make = json!(["createRoom", {"name": "Plaza", "roomId": "plaza", "type": "public"}]);
    done(&mut ann, make).await;
    let (mut bob, _) = person(&backend, "Bob").await;
    let joined = done(&mut bob, json!(["joinRoom", "plaza"])).await;
    assert_eq!(joined["room"]["role"], "member");
    assert_eq!(joined["unread"], 0);
}
