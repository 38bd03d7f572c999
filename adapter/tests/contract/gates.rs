//! A gate sees broadcasts first, and the halves of a broadcast can be sent apart.

use std::sync::{Arc, Mutex};

use berth_adapter::{Arrived, Cluster, Gate, Hub};
use serde_json::{Value as Json, json};
use socketioxide_core::Str;

use crate::client::Event;
use crate::server::Server;

const NAMESPACE: &str = "/";

/// Takes the events with one name, and notes all.
struct Taker {
    name: &'static str,
    seen: Mutex<Vec<Json>>,
}

impl Gate for Taker {
    fn takes(&self, arrived: &Arrived<'_>) -> bool {
        let event: Json = serde_json::from_str(arrived.event).unwrap();
        let is_taken = event[0] == self.name;
        let note = json!([
            arrived.sender,
            arrived.rooms,
            arrived.except,
            arrived.volatile,
            event
        ]);
        self.seen.lock().unwrap().push(note);
        is_taken
    }
}

fn taker(cluster: &Cluster) -> Arc<Taker> {
    let taker = Arc::new(Taker {
        name: "mine",
        seen: Mutex::default(),
    });
    assert!(cluster.set_gate(&(Arc::clone(&taker) as Arc<dyn Gate>)));
    taker
}

async fn two() -> [Server; 2] {
    let hub = Hub::new();
    [
        Server::start_clustered(Cluster::hub(&hub), NAMESPACE).await,
        Server::start_clustered(Cluster::hub(&hub), NAMESPACE).await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gate_takes_is_not_delivered_and_the_rest_is() {
    let [first, second] = two().await;
    let taker = taker(&second.cluster);
    let mut far = second.client_in("lobby").await;
    let to = || first.namespace().to("lobby");
    to().emit("mine", &1).await.unwrap();
    to().except("muted").emit("theirs", &2).await.unwrap();
    assert_eq!(far.next().await, Event::text(json!(["theirs", 2])));
    let name = first.cluster.name();
    let seen = taker.seen.lock().unwrap().clone();
    let wanted = [
        json!([name, ["lobby"], [], false, ["mine", 1]]),
        json!([name, ["lobby"], ["muted"], false, ["theirs", 2]]),
    ];
    assert_eq!(seen, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_sees_nothing_of_rooms_that_are_empty_here_and_is_gone_when_dropped() {
    let [first, second] = two().await;
    let taker = taker(&second.cluster);
    let mut far = second.client_in("lobby").await;
    first
        .namespace()
        .to("garage")
        .emit("mine", &1)
        .await
        .unwrap();
    first
        .namespace()
        .to("lobby")
        .emit("theirs", &2)
        .await
        .unwrap();
    assert_eq!(far.next().await.data, json!(["theirs", 2]));
    assert_eq!(taker.seen.lock().unwrap().len(), 1);
    drop(taker);
    first
        .namespace()
        .to("lobby")
        .emit("mine", &3)
        .await
        .unwrap();
    assert_eq!(far.next().await.data, json!(["mine", 3]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn here_and_elsewhere_can_be_told_apart() {
    let [first, second] = two().await;
    let (mut near, mut far) = (
        first.client_in("lobby").await,
        second.client_in("lobby").await,
    );
    let event = |number: u32| Str::from(json!(["n", number]).to_string());
    assert!(
        first
            .cluster
            .deliver(NAMESPACE, "lobby", &event(1))
            .is_empty()
    );
    first.cluster.announce(NAMESPACE, "lobby", &event(2));
    first
        .namespace()
        .to("lobby")
        .emit("end", &())
        .await
        .unwrap();
    assert_eq!(near.next().await.data, json!(["n", 1]));
    assert_eq!(far.next().await.data, json!(["n", 2]));
    assert_eq!(
        (
            near.next().await.data[0].clone(),
            far.next().await.data[0].clone()
        ),
        (json!("end"), json!("end"))
    );
    let members = first.cluster.members(NAMESPACE, "lobby");
    let names: Vec<String> = members.iter().map(ToString::to_string).collect();
    assert_eq!(names, std::slice::from_ref(&near.id));
    first
        .cluster
        .deliver_to(NAMESPACE, members[0], &event(3))
        .unwrap();
    assert_eq!(near.next().await.data, json!(["n", 3]));
    let knows = |room| first.cluster.has_members(NAMESPACE, room);
    assert_eq!((knows("lobby"), knows("garage")), (true, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_cannot_take_an_event_is_named_and_the_others_get_it() {
    let server = Server::start(Cluster::alone(), NAMESPACE).await;
    let idle = server.client_in("lobby").await;
    let mut reader = server.client_in("lobby").await;
    let event = Str::from(json!(["big", "x".repeat(4 << 10)]).to_string());
    // The idle one reads nothing: the kernel takes some, then its buffer fills.
    let mut sent = 0_u32;
    let missed = loop {
        sent += 1;
        let missed = server.cluster.deliver(NAMESPACE, "lobby", &event);
        assert_eq!(reader.next().await.data[0], "big");
        if !missed.is_empty() {
            break missed;
        }
        assert!(sent < 50_000, "nothing fills its buffer");
    };
    let names: Vec<String> = missed.iter().map(|one| one.socket.to_string()).collect();
    assert_eq!(names, std::slice::from_ref(&idle.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whisper_is_for_gates_and_never_for_clients() {
    let [first, second] = two().await;
    let taker = taker(&second.cluster);
    let mut far = second.client_in("lobby").await;
    let event = Str::from(json!(["psst", 1]).to_string());
    first.cluster.whisper(NAMESPACE, "lobby", &event);
    first
        .namespace()
        .to("lobby")
        .emit("end", &())
        .await
        .unwrap();
    assert_eq!(far.next().await.data[0], "end");
    let seen = taker.seen.lock().unwrap().clone();
    let name = first.cluster.name();
    let whispered = json!([name, ["lobby"], ["lobby"], false, ["psst", 1]]);
    assert_eq!(seen[0], whispered);
}
