//! The store goes away: refusals say so, nothing is acked that is not kept, and it works again by itself.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::client::{Client, Packet};
use crate::http::get;
use crate::place::Place;

#[tokio::test]
async fn a_store_that_is_down_refuses_and_recovers() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    client.call(&json!(["joinRoom", "r"])).await;
    place.store.is_down.store(true, Ordering::SeqCst);
    let send = json!(["sendMessage", "r", {"content": "hi", "clientMsgId": "c1"}]);
    // What is in memory is still answered.
    for request in [json!(["joinRoom", "r"]), json!(["getHistory", "r"])] {
        assert_eq!(client.call(&request).await["ok"], true, "{request}");
    }
    for request in [
        &send,
        &json!(["joinRoom", "another"]),
        &json!(["getHistory", "another"]),
    ] {
        let error = client.call(request).await["error"].clone();
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&json!("UNAVAILABLE"), &json!(true)),
            "{request}"
        );
    }
    let readiness = get(&backend.url("/health/readiness"), None).await;
    assert_eq!(
        (readiness.status, &readiness.json()["status"]),
        (503, &json!("not ready"))
    );
    assert_eq!(readiness.json()["dependencies"]["store"]["status"], "down");
    assert_eq!(
        get(&backend.url("/health/liveness"), None).await.status,
        200
    );
    assert_eq!(
        get(&backend.url("/api/rooms/r/messages"), None)
            .await
            .status,
        503
    );
    place.store.is_down.store(false, Ordering::SeqCst);
    let ack = client.call(&send).await;
    assert_eq!((&ack["seq"], &ack["duplicate"]), (&json!(1), &json!(false)));
    assert_eq!(client.event("message").await["content"], "hi");
    // Said once. Who is there may be told meanwhile.
    let mut rest = client.rest().to_vec();
    rest.retain(|packet| !matches!(packet, Packet::Event(name, _) if name == "presence"));
    assert_eq!(rest, []);
    assert_eq!(
        get(&backend.url("/health/readiness"), None).await.status,
        200
    );
}

#[tokio::test]
async fn readiness_can_do_without_a_dependency() {
    let mut place = Place::new();
    place.settings.server.readiness_requires = Some(Vec::new());
    let backend = place.backend().await;
    place.store.is_down.store(true, Ordering::SeqCst);
    let readiness = get(&backend.url("/health/readiness"), None).await;
    assert_eq!(
        (
            readiness.status,
            &readiness.json()["dependencies"]["store"]["status"]
        ),
        (200, &json!("down"))
    );
}
