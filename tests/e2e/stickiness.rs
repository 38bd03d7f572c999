//! A client stays on its server, and is moved once when that server is gone.

use berth_tests::{
    Client, Port, Proxy, RunningProxy, Script, Town, Transport, eventually, http, secs,
};
use serde_json::json;
use tempfile::TempDir;

async fn instance_of(url: &str, headers: &[(&str, &str)]) -> (String, Option<String>) {
    let mut request = http::client().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    let text = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().expect("text").to_owned())
    };
    (
        text("x-berth-instance").expect("an instance"),
        text("set-cookie"),
    )
}

#[tokio::test]
async fn a_cookie_names_the_server_as_nginx_does() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::sticky_cookie());
    let mut town = plan.start().await;
    let url = town.proxy().url("/api/instance");
    let (first, cookie) = instance_of(&url, &[]).await;
    let cookie = cookie.expect("a cookie for a new client");
    assert!(cookie.starts_with("srv_id="), "{cookie}");
    assert!(cookie.to_lowercase().contains("max-age=3600"), "{cookie}");
    assert!(cookie.to_lowercase().contains("path=/"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair");
    assert_eq!(pair.len(), "srv_id=".len() + 32, "no hex MD5: {cookie}");
    for _ in 0..8 {
        let (instance, again) = instance_of(&url, &[("cookie", pair)]).await;
        assert_eq!((instance, again), (first.clone(), None));
    }

    let number: usize = first
        .strip_prefix("backend-")
        .and_then(|n| n.parse().ok())
        .expect("a number");
    town.kill(number);
    let (moved, cookie) = instance_of(&url, &[("cookie", pair)]).await;
    assert_ne!(moved, first);
    let cookie = cookie.expect("a new cookie after the move");
    let pair = cookie.split(';').next().expect("a pair");
    let (instance, again) = instance_of(&url, &[("cookie", pair)]).await;
    assert_eq!((instance, again), (moved, None));
}

#[tokio::test]
async fn a_websocket_gets_its_cookie_on_the_101() {
    let plan = Town::with_backends(2).redis().proxy(Proxy::sticky_cookie());
    let town = plan.start().await;
    let client = town.visitor().await;
    let cookie = client
        .handshake_header("set-cookie")
        .expect("a cookie on the 101")
        .to_owned();
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    let instance = client.instance().await;
    for _ in 0..4 {
        let again = Client::to(&town.proxy().address())
            .header("cookie", &pair)
            .connect()
            .await;
        assert_eq!(again.instance().await, instance);
    }
}

#[tokio::test]
async fn an_address_stays_on_its_server_and_a_forged_one_does_not_count() {
    let plan = Town::with_backends(3)
        .redis()
        .proxy(Proxy::ip_hash().behind_localhost());
    let town = plan.start().await;
    let url = town.proxy().url("/api/instance");
    let mut seen = Vec::new();
    for network in 0..20 {
        let address = format!("10.1.{network}.7");
        // nginx hashes the first three octets of an IPv4 address.
        let neighbour = format!("10.1.{network}.200");
        let (instance, _) = instance_of(&url, &[("x-forwarded-for", &address)]).await;
        let (again, _) = instance_of(&url, &[("x-forwarded-for", &neighbour)]).await;
        assert_eq!(instance, again, "{address}");
        seen.push(instance);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3, "20 networks on {seen:?} only");

    // Without trusted proxies everyone here is 127.0.0.1, whatever they claim.
    let town = Town::with_backends(3)
        .redis()
        .proxy(Proxy::ip_hash())
        .start()
        .await;
    let url = town.proxy().url("/api/instance");
    let (home, _) = instance_of(&url, &[]).await;
    for network in 0..10 {
        let claim = format!("10.1.{network}.7");
        assert_eq!(
            instance_of(&url, &[("x-forwarded-for", &claim)]).await.0,
            home
        );
    }
}

#[tokio::test]
async fn long_polling_stays_on_its_server() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::sticky_cookie());
    let town = plan.start().await;
    for number in 0..6 {
        let address = town.proxy().address();
        let mut client = Client::to(&address).by(Transport::Polling).connect().await;
        client.join("square").await;
        let content = format!("polled {number}");
        client.say("square", &content).await;
        client.hears(&content).await;
    }
}

#[tokio::test]
async fn official_clients_without_cookies_stay_by_their_session_id() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::sticky_sid());
    let mut town = plan.start().await;
    let folder = TempDir::new().expect("a temporary folder");
    let servers: Vec<String> = (1..=3)
        .map(|number| format!("\"{}\"", town.backend(number).address()))
        .collect();
    let other = RunningProxy::before(Proxy::sticky_sid(), folder.path(), &servers).await;
    let options = json!({
        "proxies": [town.proxy().url(""), other.url("")],
        "clients": 24,
        "dies": "backend-2",
    });
    let mut clients = Script::start("sid.mjs", &options);
    clients.says("settled", 1, secs(60)).await;
    town.kill(2);
    clients.tell("killed");
    clients.finish(secs(60)).await;
    for proxy in [town.proxy(), &other] {
        let sticky = |result| {
            let labels = [("method", "sid"), ("result", result)];
            async move { proxy.metric("berth_sticky_requests_total", &labels).await }
        };
        assert!(sticky("hit").await > Some(50.0));
        assert_eq!(sticky("invalid").await, None);
        let upgrades = [("result", "ok")];
        let upgrades = proxy.metric("berth_socketio_upgrades_total", &upgrades);
        assert!(upgrades.await > Some(0.0));
    }
}

#[tokio::test]
async fn node_servers_keep_their_clients_by_session_id() {
    let ports = [Port::reserve(), Port::reserve(), Port::reserve()];
    let servers: Vec<String> = ports
        .iter()
        .map(|port| format!("\"{}\"", port.address()))
        .collect();
    let folders = [
        TempDir::new().expect("a temporary folder"),
        TempDir::new().expect("a temporary folder"),
    ];
    let one = RunningProxy::before(Proxy::sticky_sid(), folders[0].path(), &servers).await;
    let two = RunningProxy::before(Proxy::sticky_sid(), folders[1].path(), &servers).await;
    let options = json!({
        "proxies": [one.url(""), two.url("")],
        "nodePorts": ports.iter().map(Port::number).collect::<Vec<_>>(),
        "clients": 24,
        "dies": "node-2",
    });
    Script::run("sid.mjs", &options, secs(90)).await;
}

#[tokio::test]
async fn a_session_that_its_server_does_not_know_is_counted() {
    let plan = Town::with_backends(1).proxy(Proxy::round_robin());
    let town = plan.start().await;
    let (proxy, server) = (town.proxy(), town.backend(1).address());
    let labels = [("upstream", "town"), ("server", server.as_str())];
    let unknown = async || {
        proxy
            .metric("berth_socketio_unknown_sid_total", &labels)
            .await
    };
    let target = "/socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA";
    assert_eq!(http::status(&proxy.url(target)).await, Some(400));
    eventually("a polling request is noticed", secs(5), async || {
        (unknown().await == Some(1.0)).then_some(())
    })
    .await;
    let upgrade = format!(
        "GET {} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        target.replace("polling", "websocket")
    );
    let answer = http::raw(&proxy.address(), upgrade.as_bytes()).await;
    eventually("the upgrade is counted", secs(5), async || {
        let labels = [("upstream", "town")];
        let upgrades = proxy.metric("berth_socketio_upgrades_total", &labels);
        (upgrades.await == Some(1.0)).then_some(())
    })
    .await;
    if http::status_of(&answer) == 400 {
        assert_eq!(unknown().await, Some(2.0), "{answer}");
    }
}
