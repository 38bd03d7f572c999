//! Who is there, on real backends with a real Redis, while one of them dies.

use std::time::Duration;

use berth_tests::{Client, Town, eventually, now, secs};
use serde_json::{Value, json};

/// `presence.lease` and `presence.grace`, by their defaults, and what the machine may take on top.
const LEASE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(8);
const SLACK: Duration = Duration::from_secs(3);

async fn named(town: &Town, number: usize, name: &str) -> Client {
    let auth = json!({"name": name, "device": format!("the device of {name}, a secret")});
    let mut client = Client::to(&town.backend(number).address())
        .auth(auth)
        .connect()
        .await;
    client.join("lobby").await;
    client
}

fn is_in(list: &Value, name: &str) -> bool {
    let people = list.as_array().into_iter().flatten();
    people.into_iter().any(|person| person["name"] == name)
}

/// Whether the client has been told that somebody joined or left.
fn was_told(client: &Client, list: &str, name: &str) -> bool {
    let events = client.events("presence");
    events.iter().any(|event| is_in(&event.body()[list], name))
}

async fn is_told(client: &Client, list: &str, name: &str, deadline: Duration) {
    eventually(&format!("{name} has {list}"), deadline, async || {
        was_told(client, list, name).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_people_of_a_killed_backend_leave_in_time() {
    let mut town = Town::with_backends(2).redis().start().await;
    let watcher = named(&town, 1, "Watcher").await;
    let _ann = named(&town, 2, "Ann").await;
    is_told(&watcher, "joined", "Ann", secs(15)).await;
    town.kill(2);
    let killed_at = now();
    is_told(&watcher, "left", "Ann", LEASE + GRACE + SLACK).await;
    let took = now() - killed_at;
    assert!(took >= GRACE, "no grace was given: {took:?}");
    let reaped = eventually("it is cleaned up", secs(10), async || {
        let reaped = town
            .backend(1)
            .metric("chat_presence_reaped_total", &[])
            .await;
        reaped.filter(|count| *count > 0.0)
    })
    .await;
    assert!((reaped - 1.0).abs() < f64::EPSILON, "{reaped}");
    let keys = town.redis().command(&["KEYS", "app:pres:room:*"]).await;
    assert!(keys.contains("lobby"), "the watcher is there still: {keys}");
    let people = town
        .redis()
        .command(&["HVALS", "app:pres:room:lobby"])
        .await;
    assert!(!people.contains("Ann"), "left behind: {people}");
}

#[tokio::test]
async fn who_comes_back_to_another_backend_was_never_away() {
    let mut town = Town::with_backends(2).redis().start().await;
    let watcher = named(&town, 1, "Watcher").await;
    let _ann = named(&town, 2, "Ann").await;
    is_told(&watcher, "joined", "Ann", secs(15)).await;
    town.kill(2);
    let killed_at = now();
    let _again = named(&town, 1, "Ann").await;
    // Long enough for the lease to end and the grace to pass, had she not come back.
    eventually(
        "the time passes",
        LEASE + GRACE + SLACK + secs(5),
        async || (now() - killed_at > LEASE + GRACE + SLACK).then_some(()),
    )
    .await;
    assert!(!was_told(&watcher, "left", "Ann"));
    let joined = watcher.events("presence");
    let joined = joined
        .iter()
        .filter(|event| is_in(&event.body()["joined"], "Ann"));
    assert_eq!(joined.count(), 1);
}

#[tokio::test]
async fn presence_heals_when_redis_forgets_everything() {
    let mut town = Town::with_backends(2).redis().start().await;
    let mut watcher = named(&town, 1, "Watcher").await;
    let _ann = named(&town, 2, "Ann").await;
    is_told(&watcher, "joined", "Ann", secs(15)).await;
    town.redis_mut().stop().await;
    eventually("it says that it may not be all", secs(15), async || {
        let answer = watcher.ask("getPresence", &[json!("lobby")]).await;
        (answer["approximate"] == true).then_some(())
    })
    .await;
    // It keeps nothing on disk: what comes back is empty.
    town.redis_mut().start_again().await;
    town.is_clustered().await;
    let _ben = named(&town, 2, "Ben").await;
    is_told(&watcher, "joined", "Ben", secs(20)).await;
    let answer = watcher.ask("getPresence", &[json!("lobby")]).await;
    assert_eq!(answer["count"], 3, "{answer}");
    assert!(!was_told(&watcher, "left", "Ann"));
}
