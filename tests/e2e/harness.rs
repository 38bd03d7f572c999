//! The harness' own promises, without which no other test can be believed.

use berth_tests::{Mongo, Port, Redis};

#[test]
fn a_port_is_given_to_one_only() {
    let ports: Vec<Port> = (0..50).map(|_| Port::reserve()).collect();
    let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 50);
    assert!(numbers.iter().all(|number| *number < 32_768));
}

#[tokio::test]
async fn redis_stops_and_comes_back() {
    let mut redis = Redis::start().await;
    assert_eq!(redis.command(&["SET", "key", "value"]).await, "+OK");
    redis.stop().await;
    redis.start_again().await;
    assert_eq!(redis.command(&["PING"]).await, "+PONG");
}

#[tokio::test]
async fn mongodb_can_be_had() {
    let first = Mongo::start().await;
    let second = Mongo::start().await;
    assert_ne!(first.uri(), second.uri());
}
