//! Who a client is: by its session, or as a guest where guests may come in.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::{Client, Packet};
use crate::http::{get, post};
use crate::place::{Backend, NoSessions, Place};

/// Makes a guest's session over HTTP; answers the `Cookie` header to send.
pub(crate) async fn guest_cookie(backend: &Backend) -> String {
    let answer = post(
        &backend.url("/api/auth/guest"),
        &json!({"displayName": "Ann"}),
        None,
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.cookie.unwrap()
}

async fn welcome(backend: &Backend, auth: Value, cookie: Option<&str>) -> Value {
    Client::open(backend.address, &auth, cookie)
        .await
        .welcome()
        .await
}

async fn refusal(backend: &Backend, cookie: Option<&str>) -> Packet {
    let mut client = Client::open(backend.address, &json!({}), cookie).await;
    client
        .until(|packet| matches!(packet, Packet::Refused(_) | Packet::Connected(_)))
        .await
}

#[tokio::test]
async fn a_session_is_known_on_every_server() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let cookie = guest_cookie(&one).await;
    let me = get(&two.url("/api/auth/me"), Some(&cookie)).await.json();
    assert_eq!(
        (&me["user"]["name"], &me["user"]["guest"]),
        (&json!("Ann"), &json!(true))
    );
    for backend in [&one, &two] {
        // The session's name, not the handshake's.
        let welcome = welcome(backend, json!({"displayName": "Eve"}), Some(&cookie)).await;
        assert_eq!(
            (&welcome["userId"], &welcome["name"]),
            (&me["user"]["id"], &json!("Ann"))
        );
    }
    let again = post(
        &one.url("/api/auth/guest"),
        &json!({"displayName": "Bea"}),
        Some(&cookie),
    )
    .await;
    assert_eq!(again.json()["user"]["id"], me["user"]["id"]);
    assert_eq!(
        get(&two.url("/api/auth/me"), Some(&cookie)).await.json()["user"]["name"],
        "Bea"
    );
    let bye = post(&two.url("/api/auth/logout"), &json!({}), Some(&cookie)).await;
    assert_eq!(bye.status, 200);
    assert_eq!(
        get(&one.url("/api/auth/me"), Some(&cookie)).await.status,
        401
    );
}

#[tokio::test]
async fn a_forged_cookie_is_a_stranger() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let cookie = guest_cookie(&backend).await;
    let mine = welcome(&backend, json!({}), Some(&cookie)).await;
    let forged = format!("{}x", &cookie[..cookie.len() - 1]);
    let other = welcome(&backend, json!({}), Some(&forged)).await;
    assert_ne!(mine["userId"], other["userId"]);
}

#[tokio::test]
async fn guests_can_be_kept_out() {
    let mut place = Place::new();
    let open = place.backend().await;
    let cookie = guest_cookie(&open).await;
    place.settings.chat.guests = false;
    let closed = place.backend().await;
    assert_eq!(
        refusal(&closed, None).await,
        Packet::Refused("UNAUTHORIZED".to_owned())
    );
    assert!(matches!(
        refusal(&closed, Some(&cookie)).await,
        Packet::Connected(_)
    ));
    assert_eq!(
        post(&closed.url("/api/auth/guest"), &json!({}), None)
            .await
            .status,
        401
    );
    assert_eq!(
        get(&closed.url("/api/rooms/r/messages"), None).await.status,
        401
    );
}

#[tokio::test]
async fn a_session_that_cannot_be_read_is_no_guest() {
    let mut place = Place::new();
    let well = place.backend().await;
    let cookie = guest_cookie(&well).await;
    place.sessions = Arc::new(NoSessions);
    let ill = place.backend().await;
    let refused = Packet::Refused("SESSION_STORE_UNAVAILABLE".to_owned());
    assert_eq!(refusal(&ill, Some(&cookie)).await, refused);
    assert_eq!(
        get(&ill.url("/api/auth/me"), Some(&cookie)).await.status,
        503
    );
    // Who never had a session is not affected.
    assert!(matches!(refusal(&ill, None).await, Packet::Connected(_)));
}

#[tokio::test]
async fn a_guest_can_be_known_by_its_device() {
    let mut place = Place::new();
    let (one, two) = (place.backend().await, place.backend().await);
    let auth = json!({"device": "a secret of this browser", "name": "Ann"});
    let first = welcome(&one, auth.clone(), None).await;
    assert_eq!(welcome(&two, auth, None).await["userId"], first["userId"]);
    let other = welcome(&two, json!({"device": "another secret of others"}), None).await;
    assert_ne!(other["userId"], first["userId"]);
}
