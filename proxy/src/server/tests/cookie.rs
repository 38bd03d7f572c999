//! The sticky cookie, signed and plain, on the wire.

use std::path::Path;

use super::cluster::{Answer, Does, Proxy, Server};
use super::forward::sticky;
use crate::affinity::cookie::mark_of;
use crate::config;
use crate::server::Source;
use crate::settings::{Key, Settings, Sticky};

const NEW: &str = "0123456789abcdef0123456789abcdef";
const OLD: &str = "fedcba9876543210fedcba9876543210";

fn signed(servers: &[&str], keys: &[&str]) -> Settings {
    let mut settings = sticky(servers);
    for method in &mut settings.upstreams[0].sticky {
        if let Sticky::Cookie(cookie) = method {
            cookie.keys = keys.iter().copied().map(Key::new).collect();
        }
    }
    settings
}

/// The answers to a request and to a WebSocket's handshake that carry these fields.
async fn both(proxy: &Proxy, fields: &str) -> [Answer; 2] {
    [proxy.get(fields).await, proxy.handshake(fields).await.1]
}

fn count(result: &str, count: usize) -> String {
    format!(
        "berth_sticky_requests_total{{method=\"cookie\",result=\"{result}\",upstream=\"app\"}} {count}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_with_the_same_keys_share_their_clients() {
    let (first, second) = (
        Server::start(Does::EchoWithCookie).await,
        Server::start(Does::EchoWithCookie).await,
    );
    let servers = [&*first.address, &*second.address];
    let proxies = [
        Proxy::start(signed(&servers, &[NEW])).await,
        Proxy::start(signed(&servers, &[NEW, OLD])).await,
    ];
    for told in both(&proxies[0], "").await {
        let home = told.field("X-Server").unwrap();
        let cookie = told.cookie("srv_id").unwrap();
        assert!(
            cookie.starts_with(&format!("srv_id={}.", mark_of(home))),
            "{cookie}"
        );
        for proxy in &proxies {
            for again in both(proxy, &format!("Cookie: app=1; {cookie}\r\n")).await {
                assert_eq!(again.field("X-Server"), Some(home));
                assert_eq!(
                    again.cookie("srv_id"),
                    None,
                    "it is set only when it changes"
                );
                assert_eq!(again.cookie("app").as_deref(), Some("app=1"));
            }
        }
    }
    proxies[1].wait_for_metric(&count("hit", 4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_cookie_of_ours_is_replaced() {
    let server = Server::start(Does::Echo).await;
    let signer = Proxy::start(signed(&[&server.address], &[NEW])).await;
    let cookie = signer.get("").await.cookie("srv_id").unwrap();
    let mark = mark_of(&server.address);
    let mut other = signed(&[&server.address], &[NEW]);
    other.upstreams[0].name = "other".to_owned();
    let elsewhere = Proxy::start(other)
        .await
        .get("")
        .await
        .cookie("srv_id")
        .unwrap();
    let stranger = Proxy::start(signed(&[&server.address], &[OLD]))
        .await
        .get("")
        .await
        .cookie("srv_id")
        .unwrap();
    let refused = [
        format!("Cookie: srv_id={mark}\r\n"),
        format!("Cookie: {}\r\n", &cookie[..cookie.len() - 1]),
        format!("Cookie: {cookie}A\r\n"),
        format!("Cookie: {}\r\n", cookie.replace("srv_id=", "srv_id=0")),
        format!("Cookie: {elsewhere}\r\n"),
        format!("Cookie: {stranger}\r\n"),
        format!("Cookie: {cookie}; {cookie}\r\n"),
        format!("Cookie: {cookie}\r\nCookie: {cookie}\r\n"),
        "Cookie: srv_id=\r\n".to_owned(),
    ];
    for fields in &refused {
        for answer in both(&signer, fields).await {
            assert_eq!(answer.cookie("srv_id").as_ref(), Some(&cookie), "{fields}");
        }
    }
    signer
        .wait_for_metric(&count("invalid", 2 * refused.len()))
        .await;
    signer.wait_for_metric(&count("new", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_cookie_of_a_server_that_is_gone_is_stale() {
    let (gone, server) = (Server::dead().await, Server::start(Does::Echo).await);
    let before = Proxy::start(signed(&[&server.address, &gone], &[NEW])).await;
    let own = before.get("").await.cookie("srv_id").unwrap();
    drop(before);
    let keys =
        crate::affinity::signature::Keys::new(&[Key::new(NEW)], &["cookie", "app", "srv_id"]);
    let mark = mark_of(&gone);
    let stale = keys.sign(&[mark.as_bytes()]).unwrap();
    let proxy = Proxy::start(signed(&[&server.address], &[NEW])).await;
    for answer in both(
        &proxy,
        &format!("Cookie: srv_id={mark}.{}\r\n", stale.as_str()),
    )
    .await
    {
        assert_eq!(answer.cookie("srv_id").as_ref(), Some(&own));
    }
    proxy.wait_for_metric(&count("invalid", 2)).await;
}

fn write(file: &Path, servers: &[&Server], keys: &[&str]) {
    let servers: Vec<_> = servers.iter().map(|server| &server.address).collect();
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n[upstream.app]\n\
         sticky = [\"cookie\"]\nservers = {servers:?}\n[upstream.app.cookie]\nkeys = {keys:?}\n"
    );
    std::fs::write(file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_moves_nobody_and_ends_by_itself() {
    let (first, second) = (
        Server::start(Does::Echo).await,
        Server::start(Does::Echo).await,
    );
    let servers = [&first, &second];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    write(&file, &servers, &[OLD]);
    let proxy = Proxy::start_from(config::load(&file).unwrap(), Source::File(file.clone())).await;
    let reload = async |round: usize, keys: &[&str]| {
        write(&file, &servers, keys);
        proxy.handle.reload();
        let line = format!("berth_config_reloads_total{{result=\"success\"}} {round}");
        proxy.wait_for_metric(&line).await;
    };
    let clients = both(&proxy, "").await;
    reload(1, &[NEW, OLD]).await;
    let mut renewed = Vec::new();
    for client in &clients {
        let (home, old) = (
            client.field("X-Server").unwrap(),
            client.cookie("srv_id").unwrap(),
        );
        for answer in both(&proxy, &format!("Cookie: {old}\r\n")).await {
            assert_eq!(answer.field("X-Server"), Some(home));
            let new = answer.cookie("srv_id").unwrap();
            assert_ne!(new, old);
            renewed.push((home, new));
        }
    }
    reload(2, &[NEW]).await;
    for (home, new) in &renewed {
        for answer in both(&proxy, &format!("Cookie: {new}\r\n")).await {
            assert_eq!(
                (answer.field("X-Server"), answer.cookie("srv_id")),
                (Some(*home), None)
            );
        }
    }
    proxy.wait_for_metric(&count("hit", 12)).await;
    // The last moment of the old key: it is worth nothing from now on.
    let old = clients[0].cookie("srv_id").unwrap();
    assert!(
        proxy
            .get(&format!("Cookie: {old}\r\n"))
            .await
            .cookie("srv_id")
            .is_some()
    );
    proxy.wait_for_metric(&count("invalid", 1)).await;
}
