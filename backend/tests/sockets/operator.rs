//! What an operator tells a server, and by it all of them.

use std::sync::Arc;
use std::time::Duration;

use berth_backend::session::Sessions;
use berth_backend::settings::Secret;
use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::http::{Answer, ask, get, post};
use crate::place::{Backend, LateSessions, Place};
use crate::rest::Caller;

const TOKEN: &str = "0123456789abcdef";

/// A place whose operator has a token.
fn place() -> Place {
    let mut place = Place::new();
    place.settings.admin.token = Some(Secret::new(TOKEN));
    place
}

async fn order(backend: &Backend, what: &str, body: &Value) -> Answer {
    let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
    let url = backend.url(&format!("/api/admin/{what}"));
    ask(&url, "POST", None, &headers, &body.to_string()).await
}

#[tokio::test]
async fn a_notice_reaches_everybody_on_every_server() {
    let mut place = place();
    let (one, two) = (place.backend().await, place.backend().await);
    let mut people = [
        Client::guest(one.address).await,
        Client::guest(two.address).await,
    ];
    let notice = json!({"message": "we move at noon", "level": "warning"});
    assert_eq!(order(&two, "broadcast", &notice).await.status, 200);
    let expected = json!({"message": "we move at noon", "level": "warning", "code": "NOTICE"});
    for person in &mut people {
        assert_eq!(person.event("serverNotice").await, expected);
    }
    for bad in [json!({}), json!({"message": "x", "level": "fatal"})] {
        assert_eq!(order(&one, "broadcast", &bad).await.status, 400);
    }
}

#[tokio::test]
async fn who_is_kicked_is_gone_from_every_server_and_may_come_back() {
    let mut place = place();
    let (one, two) = (place.backend().await, place.backend().await);
    let (ann, bob) = (
        Caller::guest(&one, "Ann").await,
        Caller::guest(&one, "Bob").await,
    );
    let (mut here, mut there) = (ann.socket(&one).await, ann.socket(&two).await);
    let mut other = bob.socket(&two).await;
    let who = json!({"userId": ann.id});
    assert_eq!(order(&one, "kick", &who).await.status, 200);
    for socket in [&mut here, &mut there] {
        assert_eq!(socket.event("sessionEnded").await["reason"], "kicked");
    }
    assert_eq!(other.call(&json!(["joinRoom", "r"])).await["ok"], true);
    ann.socket(&two).await;
    assert_eq!(order(&one, "kick", &json!({})).await.status, 400);
}

#[tokio::test]
async fn who_is_banned_is_shut_out_of_every_server_until_let_in_again() {
    let mut place = place();
    let (one, two) = (place.backend().await, place.backend().await);
    let ann = Caller::guest(&one, "Ann").await;
    let who = json!({"userId": ann.id});
    let mut there = ann.socket(&two).await;
    assert_eq!(order(&one, "ban", &who).await.json()["banned"], true);
    assert_eq!(there.event("sessionEnded").await["reason"], "banned");
    // Also at a server that was not there when it was said.
    let three = place.backend().await;
    for backend in [&one, &two, &three] {
        let me = async || get(&backend.url("/api/auth/me"), Some(&ann.cookie)).await;
        let is_out = async {
            while me().await.status != 403 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), is_out)
            .await
            .expect("they are let in");
        assert_eq!(me().await.json()["error"]["code"], "BANNED");
    }
    let lifted = json!({"userId": ann.id, "banned": false});
    assert_eq!(order(&one, "ban", &lifted).await.json()["banned"], false);
    ann.socket(&one).await;
}

#[tokio::test]
async fn a_password_does_not_help_who_is_banned() {
    let mut place = place();
    let backend = place.backend().await;
    let login = json!({"username": "ann", "password": "correct horse"});
    let made = post(&backend.url("/api/auth/register"), &login, None).await;
    let who = json!({"userId": made.json()["user"]["id"]});
    let token = post(
        &backend.url("/api/auth/token"),
        &json!({}),
        made.cookie.as_deref(),
    )
    .await;
    let token = token.json()["token"].as_str().unwrap().to_owned();
    order(&backend, "ban", &who).await;
    let answer = post(&backend.url("/api/auth/login"), &login, None).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (403, &json!("BANNED"))
    );
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let answer = ask(&backend.url("/api/auth/me"), "GET", None, &bearer, "").await;
    assert_eq!(answer.json()["error"]["code"], "BANNED");
}

#[tokio::test]
async fn a_server_that_drains_tells_its_clients_and_lets_nobody_in() {
    let mut place = place();
    let backend = place.backend().await;
    let mut ann = Client::guest(backend.address).await;
    let wanted = json!({"spreadMs": 100});
    let answer = order(&backend, "drain", &wanted).await.json();
    assert_eq!(
        (&answer["state"], &answer["connections"]),
        (&json!("draining"), &json!(1))
    );
    assert_eq!(ann.event("serverDraining").await["reconnectInMs"], 100);
    // It is served until it goes.
    assert_eq!(ann.call(&json!(["joinRoom", "r"])).await["ok"], true);
    let ready = backend.url("/health/readiness");
    assert_eq!(get(&ready, None).await.json()["status"], "draining");
    let handshake = backend.url("/socket.io/?EIO=4&transport=polling");
    assert_eq!(get(&handshake, None).await.status, 503);
    let metrics = backend.url("/metrics");
    let is_moved = async {
        while !get(&metrics, None)
            .await
            .body
            .contains("chat_connections{transport=\"websocket\"} 0")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_moved)
        .await
        .expect("a client that does not move by itself stays");
    let back = order(&backend, "drain", &json!({"draining": false})).await;
    assert_eq!(back.json()["state"], "up");
    assert_eq!(get(&ready, None).await.status, 200);
    Client::guest(backend.address).await;
}

#[tokio::test]
async fn whoever_became_a_websocket_before_they_were_let_in_is_moved_like_others() {
    let mut place = place();
    let sessions = Arc::new(LateSessions::over(Arc::clone(&place.sessions)));
    place.sessions = Arc::clone(&sessions) as Arc<dyn Sessions>;
    let backend = place.backend().await;
    let ann = Caller::guest(&backend, "Ann").await;
    // Her session is read so late that her WebSocket is there first.
    let mut ann = Client::upgraded(backend.address, &ann.cookie).await;
    sessions.gate.add_permits(1);
    ann.welcome().await;
    assert_eq!(ann.call(&json!(["joinRoom", "r"])).await["ok"], true);
    let answer = order(&backend, "drain", &json!({"spreadMs": 0})).await;
    assert_eq!(answer.json()["connections"], 1);
    ann.event("serverDraining").await;
    ann.until(|packet| *packet == Packet::Closed).await;
}

#[tokio::test]
async fn any_server_passes_on_who_is_to_drain_and_to_stop() {
    let mut place = place();
    let (one, two) = (place.backend().await, place.backend().await);
    let mut ann = Client::guest(two.address).await;
    let wanted = json!({"instanceId": "backend-2", "spreadMs": 60_000});
    let answer = order(&one, "drain", &wanted).await;
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({"ok": true, "state": "told"}))
    );
    assert_eq!(ann.event("serverDraining").await["reconnectInMs"], 60_000);
    let state = async |backend: &Backend| get(&backend.url("/health/readiness"), None).await.status;
    assert_eq!((state(&one).await, state(&two).await), (200, 503));
    // It hears its own name, too, and that it is over from another one.
    let again = order(&two, "drain", &wanted).await;
    assert_eq!(
        (again.status, &again.json()["state"]),
        (200, &json!("draining"))
    );
    let over = json!({"instanceId": "backend-2", "draining": false});
    assert_eq!(order(&one, "drain", &over).await.status, 202);
    let is_back = async {
        while state(&two).await != 200 {
            tokio::task::yield_now().await;
        }
    };
    let is_back = tokio::time::timeout(Duration::from_secs(5), is_back);
    is_back.await.expect("it drains on");
}

#[tokio::test]
async fn a_server_alone_takes_no_order_for_another_one() {
    let mut place = place();
    let backend = place.backend_alone().await;
    let other = json!({"instanceId": "backend-2"});
    let answer = order(&backend, "drain", &other).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (409, &json!("CONFLICT"))
    );
    assert_eq!(
        order(&backend, "drain", &json!({"instanceId": "backend-1"}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn only_the_operator_gives_orders() {
    let mut place = place();
    let backend = place.backend().await;
    for what in ["broadcast", "kick", "ban", "drain"] {
        let url = backend.url(&format!("/api/admin/{what}"));
        let answer = post(&url, &json!({"userId": "x", "message": "x"}), None).await;
        assert_eq!(answer.status, 401, "{what}");
    }
    assert_eq!(
        get(&backend.url("/health/readiness"), None).await.status,
        200
    );
}
