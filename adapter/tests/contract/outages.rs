//! Redis fails; clients of the same server notice nothing, and the cluster heals by itself.
//! Each test starts a Redis of its own.

use berth_adapter::{Cluster, RedisOptions};
use serde_json::json;

use crate::client::{Client, Event};
use crate::redis_server::RedisServer;
use crate::server::Server;
use crate::soon;

const NAMESPACE: &str = "/outages";

/// Two servers with a client each in the same room.
struct Town {
    servers: [Server; 2],
    clients: [Client; 2],
}

impl Town {
    async fn start(redis: &RedisServer) -> Self {
        let cluster = || Cluster::redis(RedisOptions::new(redis.url())).unwrap();
        let servers = [
            Server::start(cluster(), NAMESPACE).await,
            Server::start(cluster(), NAMESPACE).await,
        ];
        let clients = [
            servers[0].client_in("lobby").await,
            servers[1].client_in("lobby").await,
        ];
        Self { servers, clients }
    }

    async fn clustered(&self) {
        for server in &self.servers {
            server.clustered().await;
        }
    }

    async fn alone(&self) {
        for server in &self.servers {
            server.alone().await;
        }
    }

    async fn emit(&self, server: usize, message: &str) {
        let room = self.servers[server].namespace().to("lobby");
        soon("emitting", room.emit("message", message))
            .await
            .unwrap();
    }

    async fn assert_both_get(&mut self, message: &str) {
        for client in &mut self.clients {
            assert_eq!(
                client.next().await,
                Event::text(json!(["message", message]))
            );
        }
    }

    /// Each server reaches the clients of both.
    async fn assert_works(&mut self) {
        for server in 0..2 {
            let message = format!("from server {server}");
            self.emit(server, &message).await;
            self.assert_both_get(&message).await;
        }
    }

    /// While there is no Redis, each server reaches its own client.
    async fn assert_serves_alone(&mut self) {
        for server in 0..2 {
            self.emit(server, "near").await;
            assert_eq!(self.clients[server].next().await.data[1], "near");
        }
    }

    fn reconnects(&self) -> Vec<u64> {
        self.servers
            .iter()
            .map(|server| server.cluster.counts().reconnects)
            .collect()
    }

    /// Waits until each server has lost a connection, made it again and is whole.
    async fn healed_since(&self, reconnects: &[u64]) {
        for (server, before) in self.servers.iter().zip(reconnects) {
            let has_healed = |link: &berth_adapter::Link| {
                link.is_clustered() && server.cluster.counts().reconnects > *before
            };
            let mut link = server.cluster.link();
            soon("healing", link.wait_for(has_healed)).await.unwrap();
        }
    }

    async fn heals_after(&mut self, redis: &RedisServer, command: &str) {
        let before = self.reconnects();
        let killed = redis.command(command).await;
        assert_eq!(killed, ":2\r\n", "{command}: connections killed");
        self.healed_since(&before).await;
        self.assert_works().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_redis_the_cluster_heals_after_its_connections_are_killed() {
    let redis = RedisServer::started().await;
    let mut town = Town::start(&redis).await;
    town.clustered().await;
    town.assert_works().await;
    for _ in 0..3 {
        town.heals_after(&redis, "CLIENT KILL TYPE pubsub").await;
        town.heals_after(&redis, "CLIENT KILL TYPE normal").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_redis_a_break_under_traffic_repeats_and_reorders_nothing() {
    const COUNT: u64 = 5000;
    let redis = RedisServer::started().await;
    let mut town = Town::start(&redis).await;
    town.clustered().await;
    for number in 0..COUNT {
        if number % 1000 == 500 {
            redis.command("CLIENT KILL TYPE normal").await;
        }
        if number % 1000 == 900 {
            redis.command("CLIENT KILL TYPE pubsub").await;
        }
        town.servers[0]
            .namespace()
            .to("lobby")
            .emit("n", &number)
            .await
            .unwrap();
    }
    town.clustered().await;
    let [near, far] = &mut town.clients;
    for number in 0..COUNT {
        assert_eq!(
            near.next().await.data[1],
            number,
            "its own server has lost nothing"
        );
    }
    // The end is told after the queue, so that what comes before it is all that comes.
    town.servers[0]
        .namespace()
        .to("lobby")
        .emit("n", &COUNT)
        .await
        .unwrap();
    let mut last = None;
    while last != Some(COUNT) {
        let number = far.next().await.data[1].as_u64();
        assert!(number > last, "{number:?} after {last:?}");
        last = number;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_redis_the_cluster_heals_after_redis_is_killed_and_started_again() {
    let mut redis = RedisServer::started().await;
    let mut town = Town::start(&redis).await;
    town.clustered().await;
    for _ in 0..2 {
        redis.kill().await;
        town.alone().await;
        town.assert_serves_alone().await;
        redis.start().await;
        town.clustered().await;
        // What was said alone is delivered late or not at all, but never out of order.
        drain(&mut town).await;
        town.assert_works().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_redis_servers_start_without_redis_and_join_when_it_comes() {
    let mut redis = RedisServer::not_started();
    let mut town = Town::start(&redis).await;
    town.assert_serves_alone().await;
    redis.start().await;
    town.clustered().await;
    drain(&mut town).await;
    town.assert_works().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_redis_a_redis_that_hangs_is_noticed() {
    let redis = RedisServer::started().await;
    let mut town = Town::start(&redis).await;
    town.clustered().await;
    redis.freeze().await;
    town.alone().await;
    town.assert_serves_alone().await;
    redis.thaw().await;
    town.clustered().await;
    drain(&mut town).await;
    town.assert_works().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_redis_subscriptions_are_where_an_operator_looks_for_them() {
    let redis = RedisServer::started().await;
    let town = Town::start(&redis).await;
    town.clustered().await;
    let servers = redis.command("PUBSUB NUMSUB socket.io#*").await;
    assert_eq!(servers, "*2\r\n$11\r\nsocket.io#*\r\n:2\r\n");
    let listening = redis
        .command("PUBSUB NUMSUB socket.io-request#/outages#")
        .await;
    assert!(listening.ends_with(":2\r\n"), "{listening}");
    assert_eq!(redis.command("PUBSUB NUMPAT").await, ":1\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_redis_a_closed_cluster_leaves_redis_and_serves_its_own() {
    let redis = RedisServer::started().await;
    let mut town = Town::start(&redis).await;
    town.clustered().await;
    // What is queued when it closes is still sent.
    town.emit(0, "goodbye").await;
    soon("closing", town.servers[0].cluster.close()).await;
    town.assert_both_get("goodbye").await;
    let listening = redis
        .command("PUBSUB NUMSUB socket.io-request#/outages#")
        .await;
    assert!(listening.ends_with(":1\r\n"), "{listening}");
    town.emit(0, "near").await;
    assert_eq!(town.clients[0].next().await.data[1], "near");
}

/// Reads until the present: messages of a break may come after it.
async fn drain(town: &mut Town) {
    for server in 0..2 {
        let mark = format!("mark {server}");
        town.emit(server, &mark).await;
        for client in &mut town.clients {
            while client.next().await.data[1] != mark.as_str() {}
        }
    }
}
