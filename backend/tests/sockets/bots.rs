//! Programs that come with a key: users like others, and never guests.

use berth_backend::bots::{Bot, BotName, KeyHash};
use berth_backend::settings::{Secret, Settings};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client::{Client, Packet};
use crate::http::{Answer, ask, post};
use crate::identity::guest_cookie;
use crate::place::{Backend, Place};
use crate::rest::Caller;

const KEY: &str = "a key with more than thirty-two bytes";
const OTHER: &str = "another key with more than thirty-two bytes";

/// A place that knows two bots.
fn place() -> Place {
    let mut place = Place::new();
    place.settings.auth.api_keys = vec![bot("deploy", KEY), bot("ci", OTHER)];
    place
}

fn bot(name: &str, key: &str) -> Bot {
    let hash = Sha256::digest(key);
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Bot {
        name: BotName::parse(name).unwrap(),
        key: KeyHash::parse(&digits).unwrap(),
    }
}

async fn call(backend: &Backend, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let headers = format!("X-Api-Key: {key}\r\nContent-Type: application/json\r\n");
    let text = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    ask(&backend.url(path), method, None, &headers, &text).await
}

async fn says(backend: &Backend, key: &str, room: &str) -> Answer {
    let path = format!("/api/rooms/{room}/messages");
    call(backend, key, "POST", &path, &json!({"content": "deployed"})).await
}

fn no(answer: &Answer) -> (u16, Value) {
    let body = answer.json();
    assert_eq!(body["ok"], false, "{}", answer.body);
    (answer.status, body["error"]["code"].clone())
}

#[tokio::test]
async fn what_a_bot_posts_is_heard_on_every_server_under_its_name() {
    let mut place = place();
    let (one, two) = (place.backend().await, place.backend().await);
    let mut hears = Client::guest(two.address).await;
    assert_eq!(hears.call(&json!(["joinRoom", "r"])).await["ok"], true);
    assert_eq!(says(&one, KEY, "r").await.status, 201);
    let heard = hears.event("message").await;
    let sender = (&heard["senderId"], &heard["senderName"]);
    assert_eq!(sender, (&json!("bot:deploy"), &json!("deploy")));
    let me = call(&one, KEY, "GET", "/api/auth/me", &Value::Null).await;
    let user = json!({"id": "bot:deploy", "name": "deploy", "guest": false});
    assert_eq!(me.json()["user"], user);
}

#[tokio::test]
async fn a_wrong_key_is_refused_everywhere_and_never_makes_a_guest() {
    let mut place = place();
    let backend = place.backend().await;
    let mut said = Vec::new();
    for key in [&KEY[1..], &KEY.to_uppercase(), "short", ""] {
        for (method, path) in [
            ("GET", "/api/auth/me"),
            ("POST", "/api/auth/guest"),
            ("GET", "/api/rooms"),
            ("GET", "/api/rooms/r/messages"),
            ("POST", "/api/rooms/r/messages"),
        ] {
            let answer = call(&backend, key, method, path, &json!({"content": "x"})).await;
            assert_eq!(no(&answer), (401, json!("UNAUTHORIZED")), "{key} {path}");
            assert_eq!(answer.cookie, None);
            said.push(answer.body);
        }
        let mut client = Client::open(backend.address, &json!({ "apiKey": key }), None).await;
        let refused = client
            .until(|packet| matches!(packet, Packet::Refused(_) | Packet::Connected(_)))
            .await;
        assert!(matches!(refused, Packet::Refused(why) if why.contains("UNAUTHORIZED")));
    }
    assert!(said.iter().all(|body| !body.contains("thirty-two")));
}

#[tokio::test]
async fn a_key_counts_more_than_a_cookie_and_nothing_beside_a_token() {
    let mut place = place();
    let backend = place.backend().await;
    let cookie = guest_cookie(&backend).await;
    let me = async |more: &str| {
        let key = format!("X-Api-Key: {KEY}\r\n{more}");
        ask(&backend.url("/api/auth/me"), "GET", Some(&cookie), &key, "").await
    };
    assert_eq!(me("").await.json()["user"]["id"], "bot:deploy");
    for more in [
        "Authorization: Bearer x\r\n".to_owned(),
        format!("X-Api-Key: {KEY}\r\n"),
    ] {
        assert_eq!(no(&me(&more).await), (401, json!("UNAUTHORIZED")), "{more}");
    }
    // What a proxy before us wants is not for us.
    assert_eq!(me("Authorization: Basic eDp5\r\n").await.status, 200);
    // A wrong one does not fall back to the cookie.
    let wrong = format!("X-Api-Key: {}\r\n", &KEY[1..]);
    let answer = ask(
        &backend.url("/api/auth/me"),
        "GET",
        Some(&cookie),
        &wrong,
        "",
    )
    .await;
    assert_eq!(no(&answer), (401, json!("UNAUTHORIZED")));
    // It gives no tokens: one would outlive it.
    let answer = call(&backend, KEY, "POST", "/api/auth/token", &json!({})).await;
    assert_eq!(no(&answer), (401, json!("UNAUTHORIZED")));
}

#[tokio::test]
async fn a_key_is_no_cookie_that_another_sites_page_could_use() {
    let mut place = place();
    let backend = place.backend().await;
    // Only a program sends a key, and it has no page: whatever origin it names, nobody's cookie is at stake.
    let headers =
        format!("X-Api-Key: {KEY}\r\nOrigin: https://evil.example\r\nContent-Type: text/plain\r\n");
    let url = backend.url("/api/rooms/r/messages");
    let answer = ask(&url, "POST", None, &headers, "{\"content\": \"x\"}").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    // A page is told by CORS that it may not send the header.
    let asks = "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\
        Access-Control-Request-Headers: x-api-key\r\n";
    let answer = ask(&url, "OPTIONS", None, asks, "").await;
    let allowed = answer.head.lines();
    let allowed = allowed.filter(|line| line.starts_with("access-control-allow-headers:"));
    let allowed: Vec<_> = allowed.collect();
    assert_eq!(allowed.len(), 1, "{}", answer.head);
    assert!(!allowed[0].contains("x-api-key"), "{allowed:?}");
}

#[tokio::test]
async fn a_bot_is_a_member_like_others() {
    let mut place = place();
    place.settings.admin.token = Some(Secret::new("0123456789abcdef"));
    let backend = place.backend().await;
    let ann = Caller::guest(&backend, "Ann").await;
    let wanted = json!({"name": "Team", "roomId": "team"});
    assert_eq!(ann.call("POST", "/api/rooms", &wanted).await.status, 201);
    assert_eq!(no(&says(&backend, KEY, "team").await).0, 403);
    let member = "/api/rooms/team/members/bot%3Adeploy";
    ann.done("PUT", member, json!({"name": "deploy"})).await;
    assert_eq!(says(&backend, KEY, "team").await.status, 201);
    // Another bot's membership is its own.
    assert_eq!(no(&says(&backend, OTHER, "team").await).0, 403);
    let path = format!("/api/rooms/team/members/{}", ann.id);
    let kick = call(&backend, KEY, "DELETE", &path, &json!({})).await;
    assert_eq!(no(&kick), (403, json!("FORBIDDEN")), "no moderator");
    ann.done("PUT", member, json!({"muted": true})).await;
    assert_eq!(
        no(&says(&backend, KEY, "team").await),
        (403, json!("MUTED"))
    );
    ann.done("PUT", member, json!({"banned": true})).await;
    assert_eq!(
        no(&says(&backend, KEY, "team").await),
        (403, json!("BANNED"))
    );
    // An operator shuts it out of everything, its sockets included.
    let mut socket = Client::open(backend.address, &json!({"apiKey": KEY}), None).await;
    assert_eq!(socket.welcome().await["userId"], "bot:deploy");
    let order = "Authorization: Bearer 0123456789abcdef\r\nContent-Type: application/json\r\n";
    let ban = json!({"userId": "bot:deploy"}).to_string();
    let url = backend.url("/api/admin/ban");
    assert_eq!(ask(&url, "POST", None, order, &ban).await.status, 200);
    assert_eq!(socket.event("sessionEnded").await["reason"], "banned");
    assert_eq!(
        no(&says(&backend, KEY, "lobby").await),
        (403, json!("BANNED"))
    );
    assert_eq!(says(&backend, OTHER, "lobby").await.status, 201);
}

#[tokio::test]
async fn a_bot_has_a_rate_of_its_own() {
    let mut place = place();
    slow(&mut place.settings);
    let backend = place.backend().await;
    // Somebody makes the room, which costs as a message does.
    let ann = Caller::guest(&backend, "Ann").await;
    ann.done(
        "POST",
        "/api/rooms",
        json!({"name": "R", "roomId": "r", "type": "public"}),
    )
    .await;
    for _ in 0..2 {
        assert_eq!(says(&backend, KEY, "r").await.status, 201);
    }
    let third = says(&backend, KEY, "r").await;
    assert_eq!(no(&third), (429, json!("RATE_LIMITED")));
    assert!(third.head.contains("retry-after: "), "{}", third.head);
    assert_eq!(says(&backend, OTHER, "r").await.status, 201);
}

fn slow(settings: &mut Settings) {
    settings.chat.messages_per_second_max = 1;
    settings.chat.messages_burst_max = 2;
}

#[tokio::test]
async fn a_socket_may_bring_a_key_in_its_handshake() {
    let mut place = place();
    let backend = place.backend().await;
    let cookie = guest_cookie(&backend).await;
    let auth = json!({"apiKey": KEY, "displayName": "Eve"});
    let mut socket = Client::open(backend.address, &auth, Some(&cookie)).await;
    let welcome = socket.welcome().await;
    assert_eq!(
        (&welcome["userId"], &welcome["name"]),
        (&json!("bot:deploy"), &json!("deploy"))
    );
    assert_eq!(socket.call(&json!(["joinRoom", "r"])).await["ok"], true);
    let said = socket
        .call(&json!(["sendMessage", "r", {"content": "hi"}]))
        .await;
    assert_eq!(said["ok"], true);
    for auth in [json!({"apiKey": KEY, "token": "x"}), json!({"apiKey": 7})] {
        let mut client = Client::open(backend.address, &auth, None).await;
        let answer = client
            .until(|packet| matches!(packet, Packet::Refused(_) | Packet::Connected(_)))
            .await;
        assert!(matches!(answer, Packet::Refused(_)), "{auth}");
    }
}

#[tokio::test]
async fn a_key_that_was_taken_back_is_refused_after_a_restart() {
    let mut place = place();
    let before = place.backend().await;
    assert_eq!(says(&before, KEY, "r").await.status, 201);
    place
        .settings
        .auth
        .api_keys
        .retain(|bot| bot.name.as_str() != "deploy");
    let after = place.backend().await;
    assert_eq!(
        no(&says(&after, KEY, "r").await),
        (401, json!("UNAUTHORIZED"))
    );
    assert_eq!(says(&after, OTHER, "r").await.status, 201);
    // Nobody can become it by asking for its name.
    let guest = post(
        &after.url("/api/auth/guest"),
        &json!({"displayName": "bot:deploy"}),
        None,
    )
    .await;
    assert!(
        guest.json()["user"]["id"]
            .as_str()
            .unwrap()
            .starts_with("guest-")
    );
}
