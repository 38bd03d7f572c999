//! Receivers of webhooks: well, failing, silent, and back again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use berth_backend::chat::message::{Draft, Entry, Sender};
use berth_backend::chat::room::RoomId;
use berth_backend::settings::Secret;
use berth_backend::store::Store as _;
use berth_backend::webhooks::{
    Receiver, SigningSecret, State as WebhookState, Wants, Webhook, WebhookId, Webhooks as _,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::client::Client;
use crate::http::{Answer, ask, get};
use crate::place::{Backend, Place};

const ADMIN: &str = "0123456789abcdef";

/// How a receiver answers.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Answers(u16),
    /// Takes the request, and says nothing.
    Silent,
}

/// A request as it came.
struct Request {
    headers: HeaderMap,
    body: Bytes,
    was_taken: bool,
}

/// A program that wants to be told.
struct Ear {
    url: String,
    mood: Mutex<Mood>,
    requests: Mutex<Vec<Request>>,
}

impl Ear {
    async fn open(mood: Mood) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ear = Arc::new(Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            mood: Mutex::new(mood),
            requests: Mutex::default(),
        });
        let router = Router::new()
            .route("/hook", post(hear))
            .with_state(Arc::clone(&ear));
        tokio::spawn(async move { axum::serve(listener, router).await });
        ear
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The entries of a room that were taken, in the order of the requests.
    fn taken(&self, room: &str) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let taken = requests.iter().filter(|request| request.was_taken);
        let bodies = taken.map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
        let of_room = bodies.filter(|body| body["roomId"] == room);
        let entries = of_room.flat_map(|body| body["entries"].as_array().unwrap().clone());
        entries.collect()
    }

    /// What was heard of a room, each once: at least once is what is promised.
    fn contents(&self, room: &str) -> Vec<String> {
        let mut seqs = Vec::new();
        let mut entries = self.taken(room);
        entries.retain(|entry| {
            let is_new = !seqs.contains(&entry["seq"]);
            seqs.push(entry["seq"].clone());
            is_new
        });
        let content = |entry: &Value| entry["content"].as_str().unwrap_or_default().to_owned();
        entries.iter().map(content).collect()
    }

    async fn hears(&self, room: &str, contents: &[&str]) {
        eventually(|| self.contents(room) == contents).await;
    }
}

async fn hear(State(ear): State<Arc<Ear>>, headers: HeaderMap, body: Bytes) -> Response {
    let mood = *ear.mood.lock().unwrap();
    ear.requests.lock().unwrap().push(Request {
        headers,
        body,
        was_taken: mood == Mood::Well,
    });
    match mood {
        Mood::Well => StatusCode::NO_CONTENT.into_response(),
        Mood::Answers(status) => {
            let headers = [("location", ear.url.as_str())];
            (StatusCode::from_u16(status).unwrap(), headers).into_response()
        }
        Mood::Silent => std::future::pending().await,
    }
}

async fn eventually(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("it does not come to be so");
}

fn secret() -> SigningSecret {
    SigningSecret::new([7; 32])
}

/// A place whose servers tell `ear` of everything, or of these rooms.
fn place_telling(ear: &Ear, rooms: &[&str]) -> Place {
    let mut place = Place::new();
    place.settings.admin.token = Some(Secret::new(ADMIN));
    place.settings.webhooks.timeout = Duration::from_millis(500);
    place.settings.webhooks.hooks = vec![Webhook {
        id: WebhookId::parse("audit").unwrap(),
        url: Receiver::parse(&ear.url).unwrap(),
        secrets: vec![secret()],
        wants: Wants::parse(&[] as &[&str], rooms).unwrap(),
        created_ms: 0,
    }];
    place
}

/// Somebody who is in a room.
async fn guest_in(backend: &Backend, room: &str) -> Client {
    let mut client = Client::guest(backend.address).await;
    client.call(&json!(["joinRoom", room])).await;
    client
}

async fn say(client: &mut Client, room: &str, content: &str) {
    let ack = client
        .call(&json!(["sendMessage", room, { "content": content }]))
        .await;
    assert_eq!(ack["ok"], true, "{ack}");
}

async fn admin(backend: &Backend, method: &str, path: &str, body: &str) -> Answer {
    let token = format!("Authorization: Bearer {ADMIN}\r\n");
    ask(&backend.url(path), method, None, &token, body).await
}

async fn listed(backend: &Backend) -> Vec<Value> {
    let answer = admin(backend, "GET", "/api/webhooks", "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["webhooks"].as_array().unwrap().clone()
}

async fn is_in_state(backend: &Backend, state: &str) -> Value {
    let mut patience = 400;
    loop {
        let first = listed(backend).await.remove(0);
        if first["state"] == state {
            return first;
        }
        patience -= 1;
        assert!(patience > 0, "never {state}: {first}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_said_and_done_is_told_in_order_and_signed() {
    let ear = Ear::open(Mood::Well).await;
    let mut place = place_telling(&ear, &["r"]);
    let backend = place.backend().await;
    let mut ann = guest_in(&backend, "r").await;
    for content in ["one", "two", "three"] {
        say(&mut ann, "r", content).await;
    }
    ann.call(&json!(["editMessage", { "roomId": "r", "seq": 2, "content": "zwei" }]))
        .await;
    ann.call(&json!(["joinRoom", "other"])).await;
    say(&mut ann, "other", "nobody wants to know").await;
    say(&mut ann, "r", "four").await;
    eventually(|| ear.contents("r").len() == 5).await;
    let places: Vec<_> = ear
        .taken("r")
        .iter()
        .map(|entry| format!("{} {}", entry["seq"], entry["kind"].as_str().unwrap()))
        .collect();
    let kinds = ["1 message", "2 message", "3 message", "4 edit", "5 message"];
    assert_eq!(places, kinds);
    assert_eq!(ear.taken("other").len(), 0);

    let requests = ear.requests.lock().unwrap();
    for request in requests.iter() {
        let header = |name: &str| request.headers[name].to_str().unwrap();
        let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
        let signature = berth_backend::webhooks::signature::sign(
            &[secret()],
            id,
            timestamp.parse().unwrap(),
            &request.body,
        );
        assert_eq!(header("webhook-signature"), signature);
        assert_eq!(header("content-type"), "application/json");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            (&body["type"], &body["webhookId"], &body["deliveryId"]),
            (&json!("room.entries"), &json!("audit"), &json!(id))
        );
        assert!(
            body["epoch"].is_string() && body["entries"][0]["seq"].is_u64(),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_everything_when_it_is_back() {
    let ear = Ear::open(Mood::Answers(500)).await;
    let mut place = place_telling(&ear, &[]);
    let backend = place.backend().await;
    let mut ann = guest_in(&backend, "r").await;
    say(&mut ann, "r", "one").await;
    ann.call(&json!(["joinRoom", "other"])).await;
    say(&mut ann, "other", "uno").await;
    let failing = is_in_state(&backend, "failing").await;
    assert_eq!(failing["error"], "answered 500");
    assert_eq!(failing["instanceId"], "backend-1");
    assert!(failing["failingSince"].is_string(), "{failing}");

    // Redirects are not followed: what is signed for one is sent to no other.
    for (mood, number) in [(Mood::Answers(307), 1), (Mood::Silent, 2)] {
        let before = ear.requests();
        ear.set(mood);
        say(&mut ann, "r", &format!("more {number}")).await;
        eventually(|| ear.requests() > before).await;
    }
    assert_eq!(ear.taken("r").len() + ear.taken("other").len(), 0);
    ear.set(Mood::Well);
    ear.hears("r", &["one", "more 1", "more 2"]).await;
    ear.hears("other", &["uno"]).await;
    let well = is_in_state(&backend, "ok").await;
    assert_eq!(
        (&well["failures"], &well["error"]),
        (&json!(0), &Value::Null)
    );
    assert!(well["deliveredAt"].is_string(), "{well}");
    let metrics = get(&backend.url("/metrics"), None).await.body;
    for line in [
        "chat_webhooks{state=\"ok\"} 1",
        "chat_webhooks{state=\"failing\"} 0",
        "chat_webhook_rooms_waiting 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn a_silent_receiver_keeps_nobody_waiting() {
    let ear = Ear::open(Mood::Silent).await;
    let mut place = place_telling(&ear, &[]);
    place.settings.webhooks.timeout = Duration::from_secs(600);
    let backend = place.backend().await;
    let mut ann = guest_in(&backend, "r").await;
    say(&mut ann, "r", "before").await;
    eventually(|| ear.requests() == 1).await;
    for number in 0..500 {
        say(&mut ann, "r", &number.to_string()).await;
    }
    assert_eq!(
        ear.requests(),
        1,
        "a room is told of by one request at a time"
    );
    // It is left alone, too.
    backend.stop().await;
}

#[tokio::test]
async fn what_fails_for_long_is_paused_and_can_be_resumed() {
    let ear = Ear::open(Mood::Answers(410)).await;
    let mut place = place_telling(&ear, &[]);
    let backend = place.backend().await;
    let mut ann = guest_in(&backend, "r").await;
    say(&mut ann, "r", "one").await;
    is_in_state(&backend, "paused").await;
    say(&mut ann, "r", "two").await;
    let overview = admin(&backend, "GET", "/api/admin/overview", "")
        .await
        .json();
    assert_eq!(overview["webhooks"][0]["state"], "paused");
    assert_eq!(ear.requests(), 1);

    ear.set(Mood::Well);
    let resumed = admin(&backend, "POST", "/api/webhooks/audit/resume", "").await;
    assert_eq!(resumed.status, 200, "{}", resumed.body);
    ear.hears("r", &["one", "two"]).await;
    is_in_state(&backend, "ok").await;
}

#[tokio::test]
async fn one_server_tells_what_all_append_and_another_goes_on_when_it_stops() {
    let ear = Ear::open(Mood::Well).await;
    let mut place = place_telling(&ear, &[]);
    let first = place.backend_alone().await;
    let mut ann = guest_in(&first, "r").await;
    say(&mut ann, "r", "one").await;
    ear.hears("r", &["one"]).await;
    let second = place.backend_alone().await;
    let mut ben = guest_in(&second, "r").await;
    say(&mut ben, "r", "two").await;
    ear.hears("r", &["one", "two"]).await;
    assert_eq!(listed(&second).await[0]["instanceId"], "backend-1");

    first.stop().await;
    say(&mut ben, "r", "three").await;
    ear.hears("r", &["one", "two", "three"]).await;
    assert_eq!(listed(&second).await[0]["instanceId"], "backend-2");
    assert_eq!(
        ear.taken("r").len(),
        3,
        "after a good stop nothing is told twice"
    );
}

#[tokio::test]
async fn webhooks_are_created_and_removed_while_servers_run() {
    let (ear, own) = (Ear::open(Mood::Well).await, Ear::open(Mood::Well).await);
    let mut place = place_telling(&own, &[]);
    let (first, second) = (place.backend().await, place.backend().await);
    let mut ann = guest_in(&first, "r").await;
    say(&mut ann, "r", "before").await;

    let body = json!({ "url": ear.url, "rooms": ["r", "s*"], "kinds": ["message"] }).to_string();
    let created = admin(&second, "POST", "/api/webhooks", &body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let created = created.json();
    let secret = created["secret"].as_str().unwrap();
    assert!(SigningSecret::parse(secret).is_ok());
    say(&mut ann, "r", "after").await;
    ear.hears("r", &["after"]).await;

    let all = listed(&first).await;
    assert_eq!(all.len(), 2);
    assert_eq!(
        (&all[0]["id"], &all[0]["origin"]),
        (&json!("audit"), &json!("settings"))
    );
    assert_eq!(
        (&all[1]["id"], &all[1]["rooms"]),
        (&created["webhook"]["id"], &json!(["r", "s*"]))
    );
    assert!(!json!(all).to_string().contains("whsec_"));

    let path = format!(
        "/api/webhooks/{}",
        created["webhook"]["id"].as_str().unwrap()
    );
    assert_eq!(admin(&first, "DELETE", &path, "").await.status, 200);
    assert_eq!(admin(&second, "DELETE", &path, "").await.status, 404);
    assert_eq!(
        admin(&first, "DELETE", "/api/webhooks/audit", "")
            .await
            .status,
        409
    );
    eventually(|| {
        let kept = futures_util::FutureExt::now_or_never(place.webhooks.records()).unwrap();
        kept.unwrap()
            .iter()
            .all(|record| record.holder.is_none() || record.id.as_str() == "audit")
    })
    .await;
}

#[tokio::test]
async fn operators_alone_see_webhooks_and_mistakes_are_named() {
    let ear = Ear::open(Mood::Well).await;
    let mut place = place_telling(&ear, &[]);
    place.settings.webhooks.created_max = 1;
    let backend = place.backend().await;
    for (method, path) in [
        ("GET", "/api/webhooks"),
        ("POST", "/api/webhooks"),
        ("DELETE", "/api/webhooks/audit"),
        ("POST", "/api/webhooks/audit/resume"),
    ] {
        let answer = ask(&backend.url(path), method, None, "", "").await;
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.body);
    }
    for (body, word) in [
        ("", "the body"),
        ("[]", "the body"),
        (r#"{"url": "ftp://h/"}"#, "url is not"),
        (
            r#"{"url": "http://h/", "secret": "short"}"#,
            "secret is no secret",
        ),
        (r#"{"url": "http://h/", "kinds": ["whisper"]}"#, "whisper"),
        (r#"{"url": "http://h/", "rooms": ["user:1"]}"#, "user:1"),
    ] {
        let answer = admin(&backend, "POST", "/api/webhooks", body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(answer.body.contains(word), "{body}: {}", answer.body);
    }
    let body = json!({ "url": "http://127.0.0.1:9/" }).to_string();
    assert_eq!(
        admin(&backend, "POST", "/api/webhooks", &body).await.status,
        201
    );
    assert_eq!(
        admin(&backend, "POST", "/api/webhooks", &body).await.status,
        409
    );
    let path = "/api/webhooks/nobody/resume";
    assert_eq!(admin(&backend, "POST", path, "").await.status, 404);
}

#[tokio::test]
async fn a_backlog_is_told_in_requests_that_are_bounded() {
    let ear = Ear::open(Mood::Well).await;
    let mut place = place_telling(&ear, &[]);
    place.settings.webhooks.batch_entries_max = 10;
    // Begun, and then away while much is said.
    place.backend().await.stop().await;
    let room = RoomId::parse("r").unwrap();
    let draft = |number: u32| Draft {
        id: Uuid::now_v7(),
        sender: Sender {
            id: "ann".to_owned(),
            name: "Ann".to_owned(),
        },
        client_msg_id: number.to_string(),
        entry: Entry::Message {
            message_type: "text".to_owned(),
            content: number.to_string(),
            reply_to: None,
        },
        timestamp_ms: 1,
    };
    place
        .store
        .append(&room, (0..95).map(draft).collect())
        .await;
    let _backend = place.backend().await;
    let wanted: Vec<String> = (0..95).map(|number: u32| number.to_string()).collect();
    eventually(|| ear.contents("r") == wanted).await;
    assert_eq!((ear.requests(), ear.taken("r").len()), (10, 95));
    let records = place.webhooks.records().await.unwrap();
    assert_eq!(records[0].standing.state, WebhookState::Ok);
}
