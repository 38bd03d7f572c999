//! Connected members hear every message of their room once and in its order, on every backend, whatever happens to Redis.

use berth_tests::{Client, Town, eventually, secs};
use serde_json::Value;

const ROOM: &str = "square";

/// Members of one room on two backends, two on each.
struct Square {
    members: Vec<Client>,
    said: usize,
}

impl Square {
    async fn of(town: &Town) -> Self {
        let mut members = Vec::new();
        for number in [1, 2, 1, 2] {
            let mut member = town.client(number).await;
            member.join(ROOM).await;
            members.push(member);
        }
        Self { members, said: 0 }
    }

    /// Everybody speaks in turn, each as soon as the one before is acknowledged.
    async fn speak(&mut self, count: usize) {
        for _ in 0..count {
            let who = self.said % self.members.len();
            self.said += 1;
            self.members[who].say(ROOM, &self.said.to_string()).await;
        }
    }

    async fn all_heard_everything_in_order(&self) {
        let wanted: Vec<u64> = (1..=self.said as u64).collect();
        for member in &self.members {
            let heard = member.hears_messages(self.said).await;
            let seqs: Vec<u64> = heard.iter().map(seq).collect();
            assert_eq!(seqs, wanted);
        }
    }
}

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().expect("a seq")
}

async fn has_mode(town: &Town, mode: &str) {
    for backend in town.backends() {
        let what = format!("{} delivers by {mode}", backend.name());
        eventually(&what, secs(15), async || {
            let is_it = backend
                .metric("chat_delivery_mode", &[("mode", mode)])
                .await;
            (is_it == Some(1.0)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn while_redis_stops_is_away_and_comes_back() {
    let mut town = Town::with_backends(2).redis().start().await;
    let mut square = Square::of(&town).await;
    for _ in 0..2 {
        square.speak(40).await;
        tokio::join!(square.speak(200), town.redis_mut().stop());
        square.all_heard_everything_in_order().await;
        has_mode(&town, "tail").await;
        square.speak(40).await;
        square.all_heard_everything_in_order().await;
        tokio::join!(square.speak(200), town.redis_mut().start_again());
        town.is_clustered().await;
        has_mode(&town, "bus").await;
        square.speak(40).await;
        square.all_heard_everything_in_order().await;
    }
}

#[tokio::test]
async fn while_redis_cuts_connections_and_forgets() {
    let town = Town::with_backends(2).redis().start().await;
    let mut square = Square::of(&town).await;
    for command in [
        &["CLIENT", "KILL", "TYPE", "pubsub"][..],
        &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
        &["FLUSHALL"],
        &["CLIENT", "KILL", "TYPE", "pubsub"],
    ] {
        tokio::join!(square.speak(150), town.redis().command(command));
        square.all_heard_everything_in_order().await;
    }
    town.is_clustered().await;
    has_mode(&town, "bus").await;
}

#[tokio::test]
async fn while_redis_pauses() {
    let town = Town::with_backends(2).redis().start().await;
    let mut square = Square::of(&town).await;
    square.speak(20).await;
    town.redis()
        .command(&["CLIENT", "PAUSE", "6000", "ALL"])
        .await;
    square.speak(100).await;
    square.all_heard_everything_in_order().await;
    town.is_clustered().await;
    square.speak(20).await;
    square.all_heard_everything_in_order().await;
}

#[tokio::test]
async fn between_backends_that_share_one_sqlite_file_and_nothing_else() {
    let town = Town::with_backends(2).start().await;
    let mut square = Square::of(&town).await;
    has_mode(&town, "tail").await;
    for _ in 0..3 {
        square.speak(30).await;
        square.all_heard_everything_in_order().await;
    }
}

#[tokio::test]
async fn between_backends_that_share_mongodb_while_redis_is_away() {
    let mut town = Town::with_backends(2).redis().mongo().start().await;
    let mut square = Square::of(&town).await;
    square.speak(40).await;
    tokio::join!(square.speak(100), town.redis_mut().stop());
    square.all_heard_everything_in_order().await;
    town.redis_mut().start_again().await;
    town.is_clustered().await;
    square.speak(40).await;
    square.all_heard_everything_in_order().await;
}
