//! Stopping: what was taken in is answered, clients are sent to reconnect, and it is quick.

use std::time::Duration;

use serde_json::json;

use crate::client::{Client, Packet};
use crate::place::Place;

/// Far below the drain timeout: an idle server has nothing to wait for.
const QUICK: Duration = Duration::from_secs(3);

#[tokio::test]
async fn what_was_sent_is_answered_before_the_transport_closes() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let mut client = Client::guest(backend.address).await;
    client.call(&json!(["joinRoom", "r"])).await;
    let mut asked = Vec::new();
    for _ in 0..50 {
        asked.push(client.ask(&json!(["sendMessage", "r", "hi"])).await);
    }
    client.ack(asked[0]).await;
    backend.begin_stop();
    for id in &asked[1..] {
        let answer = client.ack(*id).await;
        let is_refused =
            answer["error"]["code"] == "UNAVAILABLE" && answer["error"]["retryable"] == true;
        assert!(answer["ok"] == true || is_refused, "{answer}");
    }
    // A transport close, at which clients reconnect; a disconnect packet (41) would strand them, and panics the test client.
    assert_eq!(
        client.until(|packet| *packet == Packet::Closed).await,
        Packet::Closed
    );
    tokio::time::timeout(QUICK, backend.stop())
        .await
        .expect("it took too long");
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let mut place = Place::new();
    let backend = place.backend().await;
    let address = backend.address;
    // A connection that sends nothing does not hold it up.
    let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::time::timeout(QUICK, backend.stop())
        .await
        .expect("it took too long");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
