//! Rooms, messages and members over HTTP: the same rules as over sockets, and what one does the other sees.

use serde_json::{Value, json};

use crate::client::Client;
use crate::http::{Answer, ask, get, post};
use crate::place::{Backend, Place};

const JSON: &str = "Content-Type: application/json\r\n";

/// Somebody who calls the API.
pub(crate) struct Caller {
    pub(crate) id: String,
    base: String,
    pub(crate) cookie: String,
}

impl Caller {
    pub(crate) async fn guest(backend: &Backend, name: &str) -> Self {
        let body = json!({ "displayName": name });
        let answer = post(&backend.url("/api/auth/guest"), &body, None).await;
        let id = answer.json()["user"]["id"].as_str().unwrap().to_owned();
        Self {
            id,
            base: backend.url(""),
            cookie: answer.cookie.unwrap(),
        }
    }

    /// The same person at another server.
    pub(crate) fn at(&self, backend: &Backend) -> Self {
        Self {
            id: self.id.clone(),
            base: backend.url(""),
            cookie: self.cookie.clone(),
        }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.call_with(method, path, "", body).await
    }

    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &Value,
    ) -> Answer {
        let url = format!("{}{path}", self.base);
        let text = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let headers = format!("{JSON}{headers}");
        ask(&url, method, Some(&self.cookie), &headers, &text).await
    }

    pub(crate) async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call(method, path, &body).await;
        assert!(
            matches!(answer.status, 200 | 201),
            "{method} {path}: {}",
            answer.body
        );
        assert_eq!(answer.json()["ok"], true);
        answer.json()
    }

    pub(crate) async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let answer = self.call(method, path, &body).await;
        refusal(&answer)
    }

    pub(crate) async fn socket(&self, backend: &Backend) -> Client {
        let mut client = Client::open(backend.address, &json!({}), Some(&self.cookie)).await;
        assert_eq!(client.welcome().await["userId"], *self.id);
        client
    }
}

#[track_caller]
fn refusal(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body["ok"], false, "{}", answer.body);
    assert!(body["error"]["retryable"].is_boolean());
    let code = body["error"]["code"].as_str().unwrap().to_owned();
    (answer.status, code)
}

fn no(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A room of Ann's.
async fn room_of_ann(place: &mut Place) -> (Backend, Caller, Caller) {
    let backend = place.backend().await;
    let (ann, bob) = (
        Caller::guest(&backend, "Ann").await,
        Caller::guest(&backend, "Bob").await,
    );
    let wanted = json!({"name": "Team", "roomId": "team"});
    let answer = ann.call("POST", "/api/rooms", &wanted).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.json()["room"]["role"], "owner");
    (backend, ann, bob)
}

#[tokio::test]
async fn what_is_posted_is_heard_and_what_is_said_is_read() {
    let mut place = Place::new();
    let (one, ann, bob) = room_of_ann(&mut place).await;
    let two = place.backend().await;
    ann.done(
        "PUT",
        &format!("/api/rooms/team/members/{}", bob.id),
        json!({"name": "Bob"}),
    )
    .await;
    let mut hears = bob.socket(&two).await;
    assert_eq!(hears.call(&json!(["joinRoom", "team"])).await["ok"], true);
    let posted = ann
        .call(
            "POST",
            "/api/rooms/team/messages",
            &json!({"content": "hi"}),
        )
        .await;
    assert_eq!(posted.status, 201, "{}", posted.body);
    let sent = posted.json();
    let heard = hears.event("message").await;
    assert_eq!(
        (&heard["id"], &heard["content"]),
        (&sent["id"], &json!("hi"))
    );
    assert_eq!(heard["senderId"], *ann.id);
    let seq = sent["seq"].as_u64().unwrap();
    let path = format!("/api/rooms/team/messages/{seq}");
    ann.done("PATCH", &path, json!({"content": "hello"})).await;
    assert_eq!(hears.event("messageUpdated").await["content"], "hello");
    let heart = format!("{path}/reactions/%E2%9D%A4");
    bob.at(&two).done("PUT", &heart, Value::Null).await;
    assert_eq!(hears.event("reaction").await["emoji"], "❤");
    bob.done("DELETE", &heart, Value::Null).await;
    assert_eq!(hears.event("reaction").await["added"], false);
    assert_eq!(
        bob.refused("DELETE", &path, Value::Null).await,
        no(403, "FORBIDDEN")
    );
    ann.done("DELETE", &path, Value::Null).await;
    assert_eq!(hears.event("messageDeleted").await["refSeq"], seq);
    hears
        .call(&json!(["sendMessage", "team", "by socket"]))
        .await;
    let page = get(
        &one.url("/api/rooms/team/messages?limit=1"),
        Some(&ann.cookie),
    )
    .await;
    assert_eq!(page.json()["messages"][0]["content"], "by socket");
}

#[tokio::test]
async fn a_key_makes_sending_again_safe() {
    let mut place = Place::new();
    let (_one, ann, _) = room_of_ann(&mut place).await;
    let two = place.backend().await;
    let path = "/api/rooms/team/messages";
    let key = "Idempotency-Key: \"8e03978e-40d5\"\r\n";
    let body = json!({"content": "once"});
    let first = ann.call_with("POST", path, key, &body).await;
    assert_eq!(
        (first.status, &first.json()["duplicate"]),
        (201, &json!(false))
    );
    assert_eq!(first.json()["clientMsgId"], "8e03978e-40d5");
    let again = ann.at(&two).call_with("POST", path, key, &body).await;
    assert_eq!(
        (again.status, &again.json()["duplicate"]),
        (200, &json!(true))
    );
    for field in ["id", "seq", "timestamp"] {
        assert_eq!(again.json()[field], first.json()[field]);
    }
    let other = ann
        .call_with("POST", path, key, &json!({"content": "twice"}))
        .await;
    assert_eq!(refusal(&other), no(422, "CONFLICT"));
    let both = json!({"content": "once", "clientMsgId": "another"});
    let both = ann.call_with("POST", path, key, &both).await;
    assert_eq!(refusal(&both), no(400, "BAD_REQUEST"));
    let page = ann.done("GET", path, Value::Null).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn ones_own_rooms_are_listed_with_what_is_unread() {
    let mut place = Place::new();
    let (_backend, ann, bob) = room_of_ann(&mut place).await;
    let direct = ann
        .done("POST", "/api/direct", json!({"userId": bob.id}))
        .await;
    let direct = direct["room"]["id"].as_str().unwrap().to_owned();
    for number in 0..3 {
        let path = format!("/api/rooms/{direct}/messages");
        ann.done("POST", &path, json!({"content": number.to_string()}))
            .await;
    }
    let listed = bob.done("GET", "/api/rooms", Value::Null).await;
    let rooms = listed["rooms"].as_array().unwrap();
    assert_eq!(rooms.len(), 1, "{listed}");
    let room = &rooms[0];
    assert_eq!(
        (&room["type"], &room["unread"], &room["lastSeq"]),
        (&json!("dm"), &json!(3), &json!(3))
    );
    assert_eq!(room["partner"], json!({"id": ann.id, "name": "Ann"}));
    let read = format!("/api/rooms/{direct}/read");
    let marked = bob.done("POST", &read, json!({"seq": 2})).await;
    assert_eq!(
        (&marked["lastReadSeq"], &marked["unread"]),
        (&json!(2), &json!(1))
    );
    let one = bob
        .done("GET", &format!("/api/rooms/{direct}"), Value::Null)
        .await;
    assert_eq!(
        (&one["room"]["unread"], &one["memberCount"]),
        (&json!(1), &json!(2))
    );
    let first = ann.done("GET", "/api/rooms?limit=1", Value::Null).await;
    assert_eq!(first["rooms"][0]["id"], *direct);
    let rest = format!("/api/rooms?after={}", first["next"].as_str().unwrap());
    let rest = ann.done("GET", &rest, Value::Null).await;
    assert_eq!(
        (&rest["rooms"][0]["id"], &rest["next"]),
        (&json!("team"), &Value::Null)
    );
}

#[tokio::test]
async fn public_rooms_are_found_by_whoever_looks() {
    let mut place = Place::new();
    let (_backend, ann, bob) = room_of_ann(&mut place).await;
    let wanted = json!({"name": "The Garden", "roomId": "garden", "type": "public"});
    ann.done("POST", "/api/rooms", wanted).await;
    // A room comes into being when something is said in it, as by joining it.
    bob.done(
        "POST",
        "/api/rooms/lobby/messages",
        json!({"content": "hi"}),
    )
    .await;
    let ids = async |query: &str| {
        let listed = bob
            .done(
                "GET",
                &format!("/api/rooms?public=true{query}"),
                Value::Null,
            )
            .await;
        let rooms = listed["rooms"].as_array().unwrap().clone();
        let ids: Vec<String> = rooms
            .iter()
            .map(|room| room["id"].as_str().unwrap().to_owned())
            .collect();
        ids.join(" ")
    };
    assert_eq!(ids("").await, "garden lobby");
    assert_eq!(ids("&after=garden").await, "lobby");
    assert_eq!(ids("&name=GARD").await, "garden");
    assert_eq!(
        bob.refused("GET", "/api/rooms?public=perhaps", Value::Null)
            .await,
        no(400, "BAD_REQUEST")
    );
    assert_eq!(
        bob.refused("GET", "/api/rooms?limit=0", Value::Null).await,
        no(400, "BAD_REQUEST")
    );
}

#[tokio::test]
async fn members_are_listed() {
    let mut place = Place::new();
    let (_backend, ann, bob) = room_of_ann(&mut place).await;
    let of_bob = format!("/api/rooms/team/members/{}", bob.id);
    assert_eq!(
        ann.refused("GET", &of_bob, Value::Null).await,
        no(404, "NOT_MEMBER")
    );
    assert_eq!(
        bob.refused("GET", "/api/rooms/team/members", Value::Null)
            .await,
        no(403, "NOT_MEMBER")
    );
    let member = ann
        .done("PUT", &of_bob, json!({"role": "moderator", "name": "Bob"}))
        .await;
    assert_eq!(
        (&member["member"]["role"], &member["member"]["name"]),
        (&json!("moderator"), &json!("Bob"))
    );
    let listed = bob
        .done("GET", "/api/rooms/team/members?limit=1", Value::Null)
        .await;
    assert_eq!(
        (
            &listed["count"],
            listed["members"].as_array().unwrap().len()
        ),
        (&json!(2), 1)
    );
    let next = format!(
        "/api/rooms/team/members?after={}",
        listed["next"].as_str().unwrap()
    );
    assert_eq!(
        bob.done("GET", &next, Value::Null).await["members"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn members_are_moderated() {
    let mut place = Place::new();
    let (backend, ann, bob) = room_of_ann(&mut place).await;
    let of_bob = format!("/api/rooms/team/members/{}", bob.id);
    ann.done("PUT", &of_bob, json!({"role": "moderator"})).await;
    let of_ann = format!("/api/rooms/team/members/{}", ann.id);
    assert_eq!(
        bob.refused("PUT", &of_ann, json!({"muted": true})).await,
        no(403, "FORBIDDEN")
    );
    let both = json!({"muted": true, "role": "member"});
    assert_eq!(
        ann.refused("PUT", &of_bob, both).await,
        no(400, "BAD_REQUEST")
    );
    ann.done("PUT", &of_bob, json!({"muted": true, "durationMs": 60_000}))
        .await;
    let say = json!({"content": "hi"});
    let muted = bob.call("POST", "/api/rooms/team/messages", &say).await;
    assert_eq!(refusal(&muted), no(403, "MUTED"));
    assert!(muted.head.contains("retry-after: 60"), "{}", muted.head);
    ann.done("PUT", &of_bob, json!({"muted": false})).await;
    bob.done("POST", "/api/rooms/team/messages", say.clone())
        .await;
    let mut sees = bob.socket(&backend).await;
    sees.call(&json!(["joinRoom", "team"])).await;
    ann.done("PUT", &of_bob, json!({"banned": true, "reason": "spam"}))
        .await;
    assert_eq!(sees.event("kicked").await["reason"], "spam");
    assert_eq!(
        bob.refused("POST", "/api/rooms/team/messages", say).await,
        no(403, "BANNED")
    );
    let remembered = ann.done("GET", &of_bob, Value::Null).await;
    assert_eq!(remembered["member"]["bannedUntil"], "forever");
    ann.done("PUT", &of_bob, json!({"banned": false})).await;
    ann.done("PUT", &of_bob, json!({})).await;
    // Who removes themselves leaves.
    bob.done("DELETE", &of_bob, Value::Null).await;
    assert_eq!(
        bob.refused("GET", "/api/rooms/team", Value::Null).await,
        no(403, "NOT_MEMBER")
    );
}

#[tokio::test]
async fn a_room_changes_for_everybody_in_it() {
    let mut place = Place::new();
    let (_backend, ann, bob) = room_of_ann(&mut place).await;
    let two = place.backend().await;
    ann.done(
        "PUT",
        &format!("/api/rooms/team/members/{}", bob.id),
        json!({}),
    )
    .await;
    let mut sees = bob.socket(&two).await;
    sees.call(&json!(["joinRoom", "team"])).await;
    let rules = json!({"name": "Crew", "settings": {"slowModeMs": 60_000}});
    let changed = ann.done("PATCH", "/api/rooms/team", rules.clone()).await;
    assert_eq!(
        (&changed["room"]["name"], &changed["room"]["role"]),
        (&json!("Crew"), &json!("owner"))
    );
    assert_eq!(
        sees.event("roomUpdated").await["room"]["settings"]["slowModeMs"],
        60_000
    );
    assert_eq!(
        bob.refused("PATCH", "/api/rooms/team", rules).await,
        no(403, "FORBIDDEN")
    );
    // Over HTTP and over sockets at this server, one pace.
    let say = json!({"content": "hi"});
    bob.done("POST", "/api/rooms/team/messages", say.clone())
        .await;
    let slow = bob.call("POST", "/api/rooms/team/messages", &say).await;
    assert_eq!(refusal(&slow), no(429, "SLOW_MODE"));
    assert!(slow.head.contains("retry-after: 60"), "{}", slow.head);
    let present = bob
        .done("GET", "/api/rooms/team/presence", Value::Null)
        .await;
    assert!(present["count"].is_number());
}

#[tokio::test]
async fn a_room_is_closed_by_its_owner_for_good() {
    let mut place = Place::new();
    let (backend, ann, bob) = room_of_ann(&mut place).await;
    let two = place.backend().await;
    let of_bob = format!("/api/rooms/team/members/{}", bob.id);
    ann.done("PUT", &of_bob, json!({})).await;
    let mut sees = bob.socket(&two).await;
    sees.call(&json!(["joinRoom", "team"])).await;
    let say = json!({"content": "hi"});
    assert_eq!(
        bob.refused("DELETE", "/api/rooms/team", Value::Null).await,
        no(403, "FORBIDDEN")
    );
    ann.done("DELETE", "/api/rooms/team", Value::Null).await;
    assert_eq!(sees.event("kicked").await["roomId"], "team");
    for (method, path) in [
        ("GET", "/api/rooms/team"),
        ("GET", "/api/rooms/team/messages"),
        ("GET", "/api/rooms/team/presence"),
        ("DELETE", "/api/rooms/team"),
    ] {
        assert_eq!(
            ann.refused(method, path, Value::Null).await,
            no(404, "ROOM_NOT_FOUND"),
            "{path}"
        );
    }
    let again = json!({"name": "Team", "roomId": "team"});
    assert_eq!(
        ann.refused("POST", "/api/rooms", again).await,
        no(409, "CONFLICT")
    );
    let refused = ann.refused("POST", "/api/rooms/team/messages", say).await;
    assert_eq!(refused, no(404, "ROOM_NOT_FOUND"));
    assert_eq!(
        ann.done("GET", "/api/rooms", Value::Null).await["rooms"],
        json!([])
    );
    let mut joins = ann.socket(&backend).await;
    let joined = joins.call(&json!(["joinRoom", "team"])).await;
    assert_eq!(joined["error"]["code"], "ROOM_NOT_FOUND");
}

#[tokio::test]
async fn calls_and_sockets_of_a_user_share_one_rate() {
    let mut place = Place::new();
    place.settings.chat.user_messages_per_second_max = 1;
    place.settings.chat.user_messages_burst_max = 3;
    let backend = place.backend().await;
    let ann = Caller::guest(&backend, "Ann").await;
    let mut sends = ann.socket(&backend).await;
    sends.call(&json!(["joinRoom", "r"])).await;
    let path = "/api/rooms/r/messages";
    ann.done("POST", path, json!({"content": "1"})).await;
    assert_eq!(
        sends.call(&json!(["sendMessage", "r", "2"])).await["ok"],
        true
    );
    let refused = ann.call("POST", path, &json!({"content": "3"})).await;
    assert_eq!(refusal(&refused), no(429, "RATE_LIMITED"));
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(
        sends.call(&json!(["sendMessage", "r", "3"])).await["error"]["code"],
        "RATE_LIMITED"
    );
}

#[tokio::test]
async fn whoever_is_nobody_may_look_and_not_speak() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let listed = get(&backend.url("/api/rooms?public=true"), None).await;
    assert_eq!(
        (listed.status, listed.json()["rooms"].clone()),
        (200, json!([]))
    );
    for (method, path) in [
        ("GET", "/api/rooms"),
        ("POST", "/api/rooms"),
        ("POST", "/api/rooms/r/messages"),
        ("DELETE", "/api/rooms/r/messages/1"),
        ("PUT", "/api/rooms/r/members/x"),
        ("POST", "/api/direct"),
    ] {
        let answer = ask(&backend.url(path), method, None, JSON, "{}").await;
        assert_eq!(refusal(&answer), no(401, "UNAUTHORIZED"), "{method} {path}");
    }
    place.settings.chat.guests = false;
    let strict = place.backend().await;
    for path in ["/api/rooms?public=true", "/api/rooms/r/messages"] {
        let answer = get(&strict.url(path), None).await;
        assert_eq!(refusal(&answer), no(401, "UNAUTHORIZED"), "{path}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_the_same_words_always() {
    let mut place = Place::new();
    let (backend, ann, _) = room_of_ann(&mut place).await;
    for (method, path, body) in [
        ("POST", "/api/rooms", "[]"),
        ("POST", "/api/rooms", "{\"name\": 7}"),
        ("POST", "/api/rooms/team/messages", "{}"),
        ("POST", "/api/rooms/team/messages", "{\"content\": \"\"}"),
        (
            "PATCH",
            "/api/rooms/team/messages/x",
            "{\"content\": \"a\"}",
        ),
        (
            "PATCH",
            "/api/rooms/team/messages/9",
            "{\"content\": \"a\"}",
        ),
        ("POST", "/api/rooms/team/read", "{\"seq\": -1}"),
        ("PUT", "/api/rooms/team/members/x", "{\"muted\": 1}"),
        ("GET", "/api/rooms/%FF", ""),
        ("GET", "/api/rooms/user%3Ax", ""),
        ("POST", "/api/direct", "{}"),
    ] {
        let answer = ask(&backend.url(path), method, Some(&ann.cookie), JSON, body).await;
        assert_eq!(
            refusal(&answer),
            no(400, "BAD_REQUEST"),
            "{method} {path} {body}"
        );
    }
    assert_eq!(
        ann.refused("GET", "/api/rooms/nowhere", Value::Null).await,
        no(404, "ROOM_NOT_FOUND")
    );
    let long = json!({"content": "x".repeat(40_000)});
    assert_eq!(
        ann.refused("POST", "/api/rooms/team/messages", long).await,
        no(413, "PAYLOAD_TOO_LARGE")
    );
    let longer = json!({"content": "x".repeat(200_000)});
    assert_eq!(
        ann.refused("POST", "/api/rooms/team/messages", longer)
            .await,
        no(413, "PAYLOAD_TOO_LARGE")
    );
    let answer = ann.call("DELETE", "/api/rooms", &Value::Null).await;
    assert_eq!(refusal(&answer), no(405, "BAD_REQUEST"));
    let other = "Origin: https://evil.example\r\n";
    let url = backend.url("/api/rooms/team");
    let forged = ask(&url, "DELETE", Some(&ann.cookie), other, "").await;
    assert_eq!(refusal(&forged), no(403, "FORBIDDEN"));
}
