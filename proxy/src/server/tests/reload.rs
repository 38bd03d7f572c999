use std::path::Path;

use super::cluster::{Does, Proxy, Server};
use crate::config;
use crate::server::Source;

fn write(file: &Path, servers: &[&Server]) {
    let servers: Vec<_> = servers
        .iter()
        .map(|server| format!("\"{}\"", server.address))
        .collect();
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n[upstream.app]\nservers = [{}]\n",
        servers.join(", ")
    );
    std::fs::write(file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_swaps_servers_under_open_tunnels() {
    let (old, new) = (
        Server::start(Does::Echo).await,
        Server::start(Does::Echo).await,
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    write(&file, &[&old]);
    let proxy = Proxy::start_from(config::load(&file).unwrap(), Source::File(file.clone())).await;
    let (mut tunnel, answer) = proxy.handshake("").await;
    assert_eq!(answer.status, 101);
    let mut kept = proxy.connect().await;
    kept.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        kept.answer().await.field("X-Server"),
        Some(old.address.as_str())
    );

    write(&file, &[&new]);
    proxy.handle.reload();
    proxy
        .wait_for_metric("berth_config_reloads_total{result=\"success\"} 1")
        .await;
    tunnel.send("still here").await;
    assert_eq!(tunnel.read(10).await, b"still here");
    kept.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        kept.answer().await.field("X-Server"),
        Some(new.address.as_str())
    );
    let (_client, answer) = proxy.handshake("").await;
    assert_eq!(answer.field("X-Server"), Some(new.address.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing() {
    let server = Server::start(Does::Echo).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    write(&file, &[&server]);
    let proxy = Proxy::start_from(config::load(&file).unwrap(), Source::File(file.clone())).await;
    std::fs::write(&file, "[upstream.app]\nservers = [\"nonsense\"]\n").unwrap();
    proxy.handle.reload();
    proxy
        .wait_for_metric("berth_config_reloads_total{result=\"failure\"} 1")
        .await;
    proxy
        .wait_for_metric("berth_config_last_reload_successful 0")
        .await;
    assert_eq!(proxy.get("").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_never_fail_while_servers_come_and_go() {
    let (first, second) = (
        Server::start(Does::Echo).await,
        Server::start(Does::Echo).await,
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    write(&file, &[&first]);
    let proxy = Proxy::start_from(config::load(&file).unwrap(), Source::File(file.clone())).await;
    for round in 1..=10 {
        let both = [&first, &second];
        write(&file, both.get(..1 + round % 2).unwrap());
        proxy.handle.reload();
        for _ in 0..10 {
            assert_eq!(proxy.get("").await.status, 200);
        }
        proxy
            .wait_for_metric(&format!(
                "berth_config_reloads_total{{result=\"success\"}} {round}"
            ))
            .await;
    }
}
