//! Stopping is polite and bounded: clients are told, nothing acknowledged is lost, and the process ends in time.

use berth_tests::{Proxy, Town, http, secs};
use nix::sys::signal::Signal;

#[tokio::test]
async fn a_backend_stops_within_its_limit_and_tells_its_clients() {
    let mut town = Town::with_backends(2).redis().start().await;
    let mut alice = town.client(1).await;
    let mut bob = town.client(2).await;
    alice.join("lobby").await;
    bob.join("lobby").await;
    alice.say("lobby", "before the stop").await;
    let (code, log) = town.stop(1, secs(10)).await;
    assert_eq!(code, Some(0), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("panicked")), "{log:?}");
    alice.ended().await;
    assert_eq!(bob.end(), None);
    let history = bob.join("lobby").await;
    assert_eq!(
        history["messages"][0]["content"], "before the stop",
        "{history}"
    );
}

#[tokio::test]
async fn the_proxy_stops_within_its_drain_timeout() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let proxy = Proxy::round_robin().server_line("drain_timeout = \"1s\"");
        let mut town = Town::with_backends(1).proxy(proxy).start().await;
        let visitor = town.visitor().await;
        assert_eq!(
            http::status(&town.proxy().url("/api/instance")).await,
            Some(200)
        );
        let (code, log) = town.proxy_mut().stop(signal, secs(10)).await;
        assert_eq!(code, Some(0), "{signal}: {log:?}");
        assert!(!log.iter().any(|line| line.contains("panicked")), "{log:?}");
        visitor.ended().await;
        assert_eq!(http::status(&town.proxy().url("/api/instance")).await, None);
    }
}

#[tokio::test]
async fn an_idle_proxy_stops_at_once_when_asked_gracefully() {
    let proxy = Proxy::round_robin().server_line("drain_timeout = \"60s\"");
    let mut town = Town::with_backends(1).proxy(proxy).start().await;
    assert_eq!(
        http::status(&town.proxy().url("/api/instance")).await,
        Some(200)
    );
    let (code, log) = town.proxy_mut().stop(Signal::SIGQUIT, secs(10)).await;
    assert_eq!(code, Some(0), "{log:?}");
}

#[tokio::test]
async fn messages_are_there_after_a_restart() {
    let mut town = Town::with_backends(1).start().await;
    let mut client = town.client(1).await;
    client.join("lobby").await;
    let sent = client.say("lobby", "kept").await;
    town.kill(1);
    town.restart(1).await;
    let answer = town.client(1).await.join("lobby").await;
    assert_eq!(answer["messages"][0]["id"], sent["id"], "{answer}");
    assert_eq!(answer["lastSeq"], 1, "{answer}");
}
