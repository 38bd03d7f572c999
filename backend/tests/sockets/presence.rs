//! Who is in a room and who types there, as its members see it, over several servers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use berth_backend::chat::room::RoomId;
use berth_backend::presence::memory::MemoryPresence;
use berth_backend::presence::{Beat, Change, InstanceId, People, Presence, PresenceError, Written};
use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::place::{Backend, Place};

/// Short times: these tests are about what is said, not about how long it takes.
fn quick() -> Place {
    let mut place = Place::new();
    place.settings.presence.lease = Duration::from_secs(2);
    place.settings.presence.grace = Duration::from_millis(500);
    place
}

/// A client that is known by that name wherever it connects.
async fn named(backend: &Backend, name: &str) -> Client {
    let auth = json!({"name": name, "device": format!("the device of {name}, a secret")});
    let mut client = Client::open(backend.address, &auth, None).await;
    client.welcome().await;
    client
}

async fn join(client: &mut Client, room: &str) -> Value {
    let answer = client.call(&json!(["joinRoom", room])).await;
    assert_eq!(answer["ok"], true, "{answer}");
    answer["presence"].clone()
}

fn names(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|person| person["name"].as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Waits for the presence event that has the person in that list; answers its count.
async fn told(client: &mut Client, list: &str, name: &str) -> u64 {
    let is_it = |packet: &Packet| match packet {
        Packet::Event(event, body) => event == "presence" && names(&body[list]).contains(name),
        _ => false,
    };
    match client.until(is_it).await {
        Packet::Event(_, body) => body["count"].as_u64().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Everybody who has been said to have left.
fn left(client: &Client) -> BTreeSet<String> {
    let events = client.rest().iter().filter_map(|packet| match packet {
        Packet::Event(event, body) if event == "presence" => Some(names(&body["left"])),
        _ => None,
    });
    events.flatten().collect()
}

#[tokio::test]
async fn members_see_who_comes_and_goes_on_all_servers() {
    let mut place = quick();
    let (one, two) = (place.backend().await, place.backend().await);
    let mut ann = named(&one, "Ann").await;
    let here = join(&mut ann, "r").await;
    assert_eq!(
        (here["count"].as_u64(), names(&here["users"])),
        (Some(1), set(&["Ann"]))
    );
    let mut ben = named(&two, "Ben").await;
    join(&mut ben, "r").await;
    assert_eq!(told(&mut ann, "joined", "Ben").await, 2);
    // Who joins later is told of everybody at once.
    let mut cal = named(&one, "Cal").await;
    let here = join(&mut cal, "r").await;
    assert_eq!(names(&here["users"]), set(&["Ann", "Ben", "Cal"]));
    assert_eq!(told(&mut ben, "joined", "Cal").await, 3);
    ann.call(&json!(["leaveRoom", "r"])).await;
    drop(cal);
    // Together or one after the other.
    let mut gone = BTreeSet::new();
    while gone != set(&["Ann", "Cal"]) {
        gone.extend(names(&ben.event("presence").await["left"]));
    }
    let answer = ben.call(&json!(["getPresence", {"roomId": "r"}])).await;
    assert_eq!(
        (answer["count"].as_u64(), names(&answer["users"])),
        (Some(1), set(&["Ben"]))
    );
}

#[tokio::test]
async fn who_asks_before_the_server_has_looked_is_told_the_rest() {
    let mut place = quick();
    let one = place.backend().await;
    // Into rooms that nobody is in here, by sync, whose answer says nothing of who is there.
    let mut ann = named(&one, "Ann").await;
    let rooms = ["r", "s"].map(|room| json!({ "roomId": room, "lastSeq": 0 }));
    ann.call(&json!(["sync", { "rooms": rooms }])).await;
    let answer = ann.call(&json!(["getPresence", { "roomId": "r" }])).await;
    let mut seen = names(&answer["users"]);
    while seen != set(&["Ann"]) {
        let news = ann.event("presence").await;
        if news["roomId"] == "r" {
            seen.extend(names(&news["joined"]));
        }
    }
}

#[tokio::test]
async fn a_user_leaves_with_the_last_connection_only() {
    let mut place = quick();
    let (one, two) = (place.backend().await, place.backend().await);
    let mut watcher = named(&one, "Watcher").await;
    join(&mut watcher, "r").await;
    let mut tabs = [
        named(&one, "Ann").await,
        named(&two, "Ann").await,
        named(&two, "Ann").await,
    ];
    for tab in &mut tabs {
        join(tab, "r").await;
    }
    assert_eq!(told(&mut watcher, "joined", "Ann").await, 2);
    let [first, second, mut last] = tabs;
    drop((first, second));
    // A sign that the servers have looked since: somebody else comes.
    let mut ben = named(&two, "Ben").await;
    join(&mut ben, "r").await;
    assert_eq!(told(&mut watcher, "joined", "Ben").await, 3);
    tokio::time::sleep(place.settings.presence.grace).await;
    let mut cal = named(&two, "Cal").await;
    join(&mut cal, "r").await;
    assert_eq!(told(&mut watcher, "joined", "Cal").await, 4);
    assert_eq!(left(&watcher), set(&[]));
    last.call(&json!(["leaveRoom", "r"])).await;
    assert_eq!(told(&mut watcher, "left", "Ann").await, 3);
}

#[tokio::test]
async fn a_reconnect_and_a_deploy_are_not_seen() {
    let mut place = quick();
    place.settings.presence.grace = Duration::from_secs(5);
    let (one, two) = (place.backend().await, place.backend().await);
    let mut watcher = named(&one, "Watcher").await;
    join(&mut watcher, "r").await;
    let mut ann = named(&two, "Ann").await;
    join(&mut ann, "r").await;
    told(&mut watcher, "joined", "Ann").await;
    two.stop().await;
    drop(ann);
    let three = place.backend().await;
    let mut ann = named(&three, "Ann").await;
    let here = join(&mut ann, "r").await;
    assert_eq!(here["count"], 2);
    let mut ben = named(&three, "Ben").await;
    join(&mut ben, "r").await;
    assert_eq!(told(&mut watcher, "joined", "Ben").await, 3);
    assert_eq!(left(&watcher), set(&[]));
    let joined = watcher.rest().iter().filter(|packet| {
        matches!(packet, Packet::Event(event, body) if event == "presence" && names(&body["joined"]).contains("Ann"))
    });
    assert_eq!(joined.count(), 0, "she was never away");
}

#[tokio::test]
async fn presence_is_for_members_and_comes_in_pages() {
    let mut place = quick();
    place.settings.presence.names_max = 2;
    let backend = place.backend().await;
    let mut clients = Vec::new();
    for name in ["Ann", "Ben", "Cal", "Dot", "Eve"] {
        let mut client = named(&backend, name).await;
        join(&mut client, "r").await;
        clients.push(client);
    }
    let asker = &mut clients[0];
    let (mut seen, mut cursor) = (BTreeSet::new(), Value::Null);
    for _ in 0..20 {
        let answer = asker
            .call(&json!(["getPresence", {"roomId": "r", "cursor": cursor}]))
            .await;
        if answer["count"] != 5 {
            // Not everybody has been looked at yet: from the beginning.
            (seen, cursor) = (BTreeSet::new(), Value::Null);
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        assert!(answer["users"].as_array().unwrap().len() <= 2);
        seen.extend(names(&answer["users"]));
        cursor = answer["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, set(&["Ann", "Ben", "Cal", "Dot", "Eve"]));
    let mut stranger = named(&backend, "Stranger").await;
    let answer = stranger.call(&json!(["getPresence", "r"])).await;
    assert_eq!(answer["error"]["code"], "NOT_MEMBER");
    let answer = stranger.call(&json!(["typing", "r", true])).await;
    assert_eq!(answer["error"]["code"], "NOT_MEMBER");
}

#[tokio::test]
async fn in_a_large_room_members_hear_the_count() {
    let mut place = quick();
    place.settings.presence.names_max = 1;
    let backend = place.backend().await;
    let mut ann = named(&backend, "Ann").await;
    join(&mut ann, "r").await;
    let mut ben = named(&backend, "Ben").await;
    join(&mut ben, "r").await;
    let event = ann.event("presence").await;
    assert_eq!(
        event,
        json!({"roomId": "r", "joined": [], "left": [], "count": 2})
    );
}

#[tokio::test]
async fn who_types_is_shown_on_all_servers_until_they_stop() {
    let mut place = quick();
    let (one, two) = (place.backend().await, place.backend().await);
    let (mut ann, mut ben) = (named(&one, "Ann").await, named(&two, "Ben").await);
    join(&mut ann, "r").await;
    join(&mut ben, "r").await;
    told(&mut ann, "joined", "Ben").await;
    ann.emit(&json!(["typing", "r", true])).await;
    for client in [&mut ann, &mut ben] {
        let body = client.event("typing").await;
        assert_eq!(
            (&body["roomId"], names(&body["users"])),
            (&json!("r"), set(&["Ann"]))
        );
    }
    ann.emit(&json!(["typing", {"roomId": "r", "isTyping": false}]))
        .await;
    assert_eq!(
        ben.event("typing").await,
        json!({"roomId": "r", "users": []})
    );
    // And what is not renewed ends by itself.
    ann.emit(&json!(["typing", "r", true])).await;
    assert_eq!(names(&ben.event("typing").await["users"]), set(&["Ann"]));
    assert_eq!(ben.event("typing").await["users"], json!([]));
    for bad in [
        json!(["typing"]),
        json!(["typing", "r"]),
        json!(["typing", "r", 7]),
    ] {
        let answer = ann.call(&bad).await;
        assert_eq!(answer["error"]["code"], "BAD_REQUEST", "{bad}");
    }
}

#[tokio::test]
async fn nobody_types_in_a_large_room() {
    let mut place = quick();
    place.settings.presence.typing_members_max = 1;
    let backend = place.backend().await;
    let (mut ann, mut ben) = (named(&backend, "Ann").await, named(&backend, "Ben").await);
    join(&mut ann, "r").await;
    join(&mut ben, "r").await;
    told(&mut ann, "joined", "Ben").await;
    join(&mut ann, "small").await;
    ann.emit(&json!(["typing", "r", true])).await;
    ann.emit(&json!(["typing", "small", true])).await;
    assert_eq!(ann.event("typing").await["roomId"], "small");
    let is_typing =
        |packet: &Packet| matches!(packet, Packet::Event(event, _) if event == "typing");
    assert!(!ann.rest().iter().chain(ben.rest()).any(is_typing));
}

/// Presence that can be taken away.
struct Switched(MemoryPresence, AtomicBool);

impl Switched {
    fn check(&self) -> Result<(), PresenceError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(PresenceError("switched off".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Presence for Switched {
    async fn beat(&self, me: &InstanceId, lease: Duration) -> Result<Beat, PresenceError> {
        self.check()?;
        self.0.beat(me, lease).await
    }

    async fn write(
        &self,
        me: &InstanceId,
        room: &RoomId,
        change: &Change,
        lease: Duration,
    ) -> Result<Written, PresenceError> {
        self.check()?;
        self.0.write(me, room, change, lease).await
    }

    async fn read(&self, room: &RoomId) -> Result<People, PresenceError> {
        self.check()?;
        self.0.read(room).await
    }

    async fn reap(&self, me: &InstanceId, dead: &str) -> Result<Vec<RoomId>, PresenceError> {
        self.check()?;
        self.0.reap(me, dead).await
    }

    async fn leave(&self, me: &InstanceId) -> Result<Vec<RoomId>, PresenceError> {
        self.check()?;
        self.0.leave(me).await
    }
}

#[tokio::test]
async fn without_the_keeper_a_server_says_what_it_knows_and_that_it_may_not_be_all() {
    let mut place = quick();
    let keeper = Arc::new(Switched(MemoryPresence::new(), AtomicBool::new(true)));
    place.presence = Arc::clone(&keeper) as Arc<dyn Presence>;
    let (one, two) = (place.backend().await, place.backend().await);
    let mut ann = named(&one, "Ann").await;
    let here = join(&mut ann, "r").await;
    assert_eq!(
        (&here["count"], &here["approximate"]),
        (&json!(1), &json!(true))
    );
    let mut near = named(&one, "Near").await;
    join(&mut near, "r").await;
    assert_eq!(told(&mut ann, "joined", "Near").await, 2);
    let mut far = named(&two, "Far").await;
    let here = join(&mut far, "r").await;
    assert_eq!(
        (&here["count"], &here["approximate"]),
        (&json!(1), &json!(true))
    );
    // It comes back, and what was not written is.
    keeper.1.store(false, Ordering::SeqCst);
    assert_eq!(told(&mut ann, "joined", "Far").await, 3);
    let answer = ann.call(&json!(["getPresence", "r"])).await;
    assert_eq!(
        (&answer["count"], &answer["approximate"]),
        (&json!(3), &Value::Null)
    );
}
