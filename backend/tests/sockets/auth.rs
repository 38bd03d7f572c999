//! Names, passwords, tokens and logouts: who gets in, and who has to go, on every server of the cluster.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::http::{Answer, ask, get, post};
use crate::identity::guest_cookie;
use crate::place::{Backend, Place, SilentAboutBans};

const ANN: &str = r#"{"username":"Ann","password":"open sesame","displayName":"Ann A."}"#;

fn credentials(username: &str, password: &str) -> Value {
    json!({"username": username, "password": password})
}

async fn register(backend: &Backend) -> Answer {
    let body: Value = serde_json::from_str(ANN).unwrap();
    let answer = post(&backend.url("/api/auth/register"), &body, None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

async fn log_in(backend: &Backend, password: &str, cookie: Option<&str>) -> Answer {
    let body = credentials("ANN", password);
    post(&backend.url("/api/auth/login"), &body, cookie).await
}

/// A connected client: its welcome has come.
async fn connected(backend: &Backend, auth: Value, cookie: Option<&str>) -> (Client, Value) {
    let mut client = Client::open(backend.address, &auth, cookie).await;
    let welcome = client.welcome().await;
    (client, welcome)
}

async fn refused(backend: &Backend, auth: &Value, cookie: Option<&str>) -> String {
    let mut client = Client::open(backend.address, auth, cookie).await;
    let answer = client
        .until(|packet| matches!(packet, Packet::Refused(_) | Packet::Connected(_)))
        .await;
    let Packet::Refused(code) = answer else {
        panic!("let in with {auth}");
    };
    code
}

async fn token(backend: &Backend, cookie: &str) -> String {
    let answer = post(&backend.url("/api/auth/token"), &json!({}), Some(cookie)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// The client is told why, and then disconnected by the server.
async fn is_ended(client: &mut Client, reason: &str) {
    assert_eq!(client.event("sessionEnded").await["reason"], reason);
    client.until(|packet| *packet == Packet::Disconnected).await;
}

#[tokio::test]
async fn who_registers_is_known_on_every_server() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let registered = register(&one).await;
    let user = registered.json()["user"].clone();
    assert_eq!(
        (&user["name"], &user["guest"]),
        (&json!("Ann A."), &json!(false))
    );
    let login = log_in(&two, "open sesame", None).await;
    assert_eq!((login.status, &login.json()["user"]), (200, &user));
    let (_client, welcome) = connected(&one, json!({}), login.cookie.as_deref()).await;
    assert_eq!(welcome["userId"], user["id"]);
    let again = credentials("aNN", "another password");
    let taken = post(&two.url("/api/auth/register"), &again, None).await;
    assert_eq!(
        (taken.status, &taken.json()["error"]["code"]),
        (409, &json!("CONFLICT"))
    );
}

#[tokio::test]
async fn a_login_makes_a_new_session_and_ends_the_old_one() {
    let mut place = Place::new();
    let backend = place.backend().await;
    register(&backend).await;
    let before = guest_cookie(&backend).await;
    let login = log_in(&backend, "open sesame", Some(&before)).await;
    assert_ne!(login.cookie.as_ref(), Some(&before));
    let me = |cookie: String| {
        let url = backend.url("/api/auth/me");
        async move { get(&url, Some(&cookie)).await.status }
    };
    assert_eq!(me(before).await, 401);
    assert_eq!(me(login.cookie.unwrap()).await, 200);
}

#[tokio::test]
async fn a_logout_does_not_wait_for_a_keeper_of_users_that_hangs() {
    let mut place = Place::new();
    place.users = Arc::new(SilentAboutBans::default());
    let (one, two) = (place.backend().await, place.backend().await);
    let cookie = register(&one).await.cookie.unwrap();
    let (mut client, _) = connected(&two, json!({}), Some(&cookie)).await;
    post(&one.url("/api/auth/logout"), &json!({}), Some(&cookie)).await;
    is_ended(&mut client, "logged_out").await;
}

#[tokio::test]
async fn a_wrong_password_and_nobody_get_the_same_answer() {
    let mut place = Place::new();
    let backend = place.backend().await;
    register(&backend).await;
    let url = backend.url("/api/auth/login");
    let wrong = log_in(&backend, "open sesamE", None).await;
    for body in [
        credentials("nobody", "open sesame"),
        credentials("no such name!", "open sesame"),
        credentials("ann", "short"),
        credentials("ann", &"x".repeat(1000)),
    ] {
        let answer = post(&url, &body, None).await;
        assert_eq!(
            (answer.status, answer.body),
            (401, wrong.body.clone()),
            "{body}"
        );
    }
    assert_eq!(wrong.status, 401);
    for body in [
        json!({}),
        json!({"username": "ann"}),
        json!({"username": 1, "password": "x"}),
        json!([]),
    ] {
        assert_eq!(post(&url, &body, None).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_and_success_is_not() {
    let mut place = Place::new();
    place.settings.auth.user_logins_per_minute_max = 3;
    let backend = place.backend().await;
    register(&backend).await;
    for _ in 0..5 {
        assert_eq!(log_in(&backend, "open sesame", None).await.status, 200);
    }
    for _ in 0..3 {
        assert_eq!(log_in(&backend, "a guess of mine", None).await.status, 401);
    }
    let slowed = log_in(&backend, "open sesame", None).await;
    assert_eq!(slowed.status, 429);
    assert!(slowed.json()["error"]["retryAfterMs"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_proxy_that_is_trusted_tells_clients_apart() {
    let mut place = Place::new();
    place.settings.auth.client_logins_per_minute_max = 1;
    let backend = place.backend().await;
    let from = async |address: &str| {
        let headers = format!("Content-Type: application/json\r\nX-Real-IP: {address}\r\n");
        let body = credentials("nobody", "a guess of mine").to_string();
        ask(
            &backend.url("/api/auth/login"),
            "POST",
            None,
            &headers,
            &body,
        )
        .await
        .status
    };
    assert_eq!(from("192.0.2.1").await, 401);
    assert_eq!(from("192.0.2.1").await, 429);
    assert_eq!(from("192.0.2.2").await, 401);
    place.settings.auth.trusted_proxies.clear();
    let strict = place.backend().await;
    let from = async |address: &str| {
        let headers = format!("Content-Type: application/json\r\nX-Real-IP: {address}\r\n");
        let body = credentials("nobody", "a guess of mine").to_string();
        ask(
            &strict.url("/api/auth/login"),
            "POST",
            None,
            &headers,
            &body,
        )
        .await
        .status
    };
    assert_eq!(from("192.0.2.1").await, 401);
    assert_eq!(from("192.0.2.2").await, 429);
}

#[tokio::test]
async fn registration_can_be_closed() {
    let mut place = Place::new();
    place.settings.auth.registration = false;
    let backend = place.backend().await;
    let body: Value = serde_json::from_str(ANN).unwrap();
    let answer = post(&backend.url("/api/auth/register"), &body, None).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn a_token_is_who_its_session_was_on_every_server() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let cookie = register(&one).await.cookie.unwrap();
    let token = token(&one, &cookie).await;
    let (_client, welcome) = connected(&two, json!({"token": token}), None).await;
    assert_eq!(welcome["name"], "Ann A.");
    // It comes before the cookie.
    let guest = guest_cookie(&two).await;
    let (_client, welcome) = connected(&two, json!({"token": token}), Some(&guest)).await;
    assert_eq!(welcome["name"], "Ann A.");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let me = ask(&two.url("/api/auth/me"), "GET", None, &bearer, "").await;
    assert_eq!(me.json()["user"]["name"], "Ann A.");
    let more = ask(&two.url("/api/auth/token"), "POST", None, &bearer, "").await;
    assert_eq!(more.status, 401, "a token makes no token");
}

#[tokio::test]
async fn a_bad_token_is_never_a_guest() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let cookie = register(&backend).await.cookie.unwrap();
    let good = token(&backend, &cookie).await;
    let forged = format!("{}x", &good[..good.len() - 1]);
    for token in [
        json!(forged),
        json!("nonsense"),
        json!(""),
        json!(7),
        json!({}),
    ] {
        let auth = json!({"token": token});
        for cookie in [None, Some(cookie.as_str())] {
            assert_eq!(
                refused(&backend, &auth, cookie).await,
                "UNAUTHORIZED",
                "{auth}"
            );
        }
    }
    let bearer = format!("Authorization: Bearer {forged}\r\n");
    let me = ask(
        &backend.url("/api/auth/me"),
        "GET",
        Some(&cookie),
        &bearer,
        "",
    )
    .await;
    assert_eq!(me.status, 401);
    // Other schemes are for others.
    let basic = "Authorization: Basic YW5uOmE=\r\n";
    let me = ask(
        &backend.url("/api/auth/me"),
        "GET",
        Some(&cookie),
        basic,
        "",
    )
    .await;
    assert_eq!(me.status, 200);
}

#[tokio::test]
async fn a_logout_ends_its_connections_everywhere_and_no_others() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let first = register(&one).await.cookie.unwrap();
    let second = log_in(&one, "open sesame", None).await.cookie.unwrap();
    let token = token(&one, &first).await;
    let (mut here, _) = connected(&one, json!({}), Some(&first)).await;
    let (mut there, _) = connected(&two, json!({}), Some(&first)).await;
    let (mut by_token, _) = connected(&two, json!({"token": token}), None).await;
    let (mut other, _) = connected(&two, json!({}), Some(&second)).await;
    let bye = post(&one.url("/api/auth/logout"), &json!({}), Some(&first)).await;
    assert_eq!(bye.status, 200);
    for client in [&mut here, &mut there, &mut by_token] {
        is_ended(client, "logged_out").await;
    }
    assert_eq!(other.call(&json!(["joinRoom", "r"])).await["ok"], true);
    assert_eq!(
        refused(&two, &json!({"token": token}), None).await,
        "UNAUTHORIZED"
    );
    let page = get(&two.url("/metrics"), None).await.body;
    assert!(
        page.contains("chat_sessions_ended_total{reason=\"logged_out\"} 2"),
        "{page}"
    );
}

#[tokio::test]
async fn a_session_that_ends_elsewhere_is_noticed() {
    let mut place = Place::new();
    place.settings.auth.recheck_interval = Duration::from_millis(200);
    let backend = place.backend().await;
    let cookie = guest_cookie(&backend).await;
    let (mut client, _) = connected(&backend, json!({}), Some(&cookie)).await;
    let sid = cookie
        .split_once("s%3A")
        .unwrap()
        .1
        .split_once('.')
        .unwrap()
        .0;
    // As a Node app does that shares the sessions: no word on the bus.
    place.sessions.destroy(sid).await.unwrap();
    is_ended(&mut client, "logged_out").await;
}

#[tokio::test]
async fn a_token_that_ends_is_announced_and_can_be_renewed() {
    let mut place = Place::new();
    place.settings.auth.token_ttl = Duration::from_secs(3);
    let short = place.backend().await;
    place.settings.auth.token_ttl = Duration::from_secs(600);
    let long = place.backend().await;
    let cookie = register(&short).await.cookie.unwrap();
    let other = guest_cookie(&long).await;
    let brief = token(&short, &cookie).await;
    let (mut client, _) = connected(&long, json!({"token": brief}), None).await;
    let (mut idle, _) = connected(&long, json!({"token": brief}), None).await;
    assert!(client.event("sessionExpiring").await["expiresAt"].is_string());
    for (token, code) in [
        (json!("nonsense"), "UNAUTHORIZED"),
        (json!(token(&long, &other).await), "FORBIDDEN"),
        (json!(7), "BAD_REQUEST"),
    ] {
        let answer = client.call(&json!(["authRefresh", {"token": token}])).await;
        assert_eq!(answer["error"]["code"], code);
    }
    let fresh = token(&long, &cookie).await;
    let answer = client.call(&json!(["authRefresh", {"token": fresh}])).await;
    assert_eq!(answer["ok"], true, "{answer}");
    // The one that does nothing goes at its end; by then the other would have, too.
    assert_eq!(idle.event("sessionEnded").await["reason"], "expired");
    // At the transport: clients come back from that by themselves, with a new token if they have one.
    idle.until(|packet| *packet == Packet::Closed).await;
    assert_eq!(client.call(&json!(["joinRoom", "r"])).await["ok"], true);
    assert_eq!(
        refused(&long, &json!({"token": brief}), None).await,
        "UNAUTHORIZED"
    );
}

#[tokio::test]
async fn tokens_of_an_issuer_are_believed_by_its_secret() {
    let mut place = Place::new();
    let secret = "a secret that is shared with an issuer";
    place.settings.jwt.secrets = vec![berth_backend::settings::Secret::new(secret)];
    let backend = place.backend().await;
    let encoded = |value: &Value| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let claims = json!({"sub": "42", "name": "Bea", "exp": 4_000_000_000_u64});
    let message = format!("{}.{}", encoded(&json!({"alg": "HS256"})), encoded(&claims));
    let signature = {
        use base64::Engine as _;
        use hmac::{KeyInit as _, Mac as _};
        let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let tag = mac.chain_update(message.as_bytes()).finalize().into_bytes();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag)
    };
    let auth = json!({"token": format!("{message}.{signature}")});
    let (_client, welcome) = connected(&backend, auth.clone(), None).await;
    assert_eq!(
        (&welcome["userId"], &welcome["name"]),
        (&json!("42"), &json!("Bea"))
    );
    place.settings.jwt.secrets.clear();
    let other = place.backend().await;
    assert_eq!(refused(&other, &auth, None).await, "UNAUTHORIZED");
}

#[tokio::test]
async fn nobody_talks_in_the_room_of_a_user() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::open(backend.address, &json!({}), None).await;
    let id = client.welcome().await["userId"]
        .as_str()
        .unwrap()
        .to_owned();
    let room = format!("user:{id}");
    for event in [
        json!(["joinRoom", room]),
        json!(["leaveRoom", room]),
        json!(["sendMessage", room, "hi"]),
        json!(["getHistory", room]),
    ] {
        let answer = client.call(&event).await;
        assert_eq!(answer["error"]["code"], "BAD_REQUEST", "{event}");
    }
}

#[tokio::test]
async fn more_connections_do_not_make_a_user_faster() {
    let mut place = Place::new();
    place.settings.chat.user_messages_per_second_max = 1;
    place.settings.chat.user_messages_burst_max = 100;
    let backend = place.backend().await;
    // To make a room costs what a message costs, so somebody else does.
    let (mut other, _) = connected(&backend, json!({}), None).await;
    other.call(&json!(["joinRoom", "r"])).await;
    let cookie = guest_cookie(&backend).await;
    let (mut sent, mut open) = ([0, 0], Vec::new());
    for sent in &mut sent {
        let (mut client, _) = connected(&backend, json!({}), Some(&cookie)).await;
        client.call(&json!(["joinRoom", "r"])).await;
        let mut asked = Vec::new();
        for _ in 0..100 {
            asked.push(client.ask(&json!(["sendMessage", "r", "hi"])).await);
        }
        for number in asked {
            let answer = client.ack(number).await;
            if answer["ok"] == true {
                *sent += 1;
            } else {
                assert_eq!(answer["error"]["code"], "RATE_LIMITED");
            }
        }
        open.push(client);
    }
    // The second connection gets what has come back meanwhile: one a second.
    assert!(sent[0] == 100 && sent[1] < 50, "{sent:?}");
}

#[tokio::test]
async fn another_sites_page_gets_nothing_done_with_a_cookie() {
    let mut place = Place::new();
    let site = vec!["https://chat.example".to_owned()];
    place.settings.server.cors_origins = berth_backend::settings::Origins::Only(site);
    let backend = place.backend().await;
    let cookie = guest_cookie(&backend).await;
    let evil = "Origin: https://evil.example\r\n";
    let json_evil = "Origin: https://evil.example\r\nContent-Type: application/json\r\n";
    for path in [
        "/api/auth/logout",
        "/api/auth/guest",
        "/api/auth/token",
        "/api/auth/login",
    ] {
        for headers in [evil, json_evil] {
            let answer = ask(&backend.url(path), "POST", Some(&cookie), headers, "{}").await;
            assert_eq!(answer.status, 403, "{path}");
        }
    }
    // Polling and WebSocket handshakes, and what follows them.
    let polling = backend.url("/socket.io/?EIO=4&transport=polling");
    assert_eq!(
        ask(&polling, "GET", Some(&cookie), evil, "").await.status,
        403
    );
    let open = get(&polling, Some(&cookie)).await;
    let open: Value = serde_json::from_str(open.body.strip_prefix('0').unwrap()).unwrap();
    let session = format!("{polling}&sid={}", open["sid"].as_str().unwrap());
    assert_eq!(
        ask(&session, "POST", Some(&cookie), evil, "40")
            .await
            .status,
        403
    );
    let websocket = backend.url("/socket.io/?EIO=4&transport=websocket");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let headers = format!("{upgrade}{evil}");
    assert_eq!(
        ask(&websocket, "GET", Some(&cookie), &headers, "")
            .await
            .status,
        403
    );
    // The session is as it was.
    let me = get(&backend.url("/api/auth/me"), Some(&cookie)).await;
    assert_eq!(me.status, 200);
    let fine = "Origin: https://chat.example\r\nContent-Type: application/json\r\n";
    let bye = ask(
        &backend.url("/api/auth/logout"),
        "POST",
        Some(&cookie),
        fine,
        "{}",
    )
    .await;
    assert_eq!(bye.status, 200);
}
