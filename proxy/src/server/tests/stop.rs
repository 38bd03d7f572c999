use std::time::Duration;

use tokio::time::timeout;

use super::cluster::{Does, PATIENCE, Proxy, Server, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_with_nobody_on_it_ends_at_once() {
    let server = Server::start(Does::Echo).await;
    let proxy = Proxy::start(settings(&[&server.address])).await;
    // An idle connection is nobody.
    let mut idle = proxy.connect().await;
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    let begin = tokio::time::Instant::now();
    proxy.handle.drain();
    proxy.ended().await;
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(idle.read_to_end().await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_tunnels_live_until_they_end() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.drain_timeout = Duration::from_secs(600);
    let proxy = Proxy::start(settings).await;
    let (mut tunnel, _) = proxy.handshake("").await;
    proxy.handle.drain();
    while proxy.admin("/health/readiness").await.body != "draining\n" {}
    // The workers hear of it each in their own time.
    let refused = async {
        while tokio::net::TcpStream::connect(proxy.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(PATIENCE, refused).await.is_ok(), "no new clients");
    tunnel.send("still here").await;
    assert_eq!(tunnel.read(10).await, b"still here");
    drop(tunnel);
    proxy.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proxies_live_in_one_process() {
    let server = Server::start(Does::Echo).await;
    let (first, second) = (
        Proxy::start(settings(&[&server.address])).await,
        Proxy::start(settings(&[&server.address])).await,
    );
    assert_eq!(first.get("").await.status, 200);
    first.handle.stop();
    first.ended().await;
    assert_eq!(second.get("").await.status, 200);
    second.wait_for_metric("berth_requests_total{code=\"200\",method=\"GET\",transport=\"http\",upstream=\"app\"} 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_address_is_an_error_that_names_it() {
    let server = Server::start(Does::Echo).await;
    let mut settings = settings(&[&server.address]);
    settings.listen = vec![crate::settings::Listen::plain(
        crate::settings::ListenAddress::Tcp(server.address.parse().unwrap()),
    )];
    let (control, _handle) = crate::server::Control::embedded();
    let run = move || crate::server::run(settings, crate::server::Source::Fixed, control);
    let error = tokio::task::spawn_blocking(run).await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {}", server.address)
    );
}
