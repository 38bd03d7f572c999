//! Whoever moves from nginx with `import-nginx` loses no session: its file is imported, both run side by side before the
//! same servers, and every client lands where it did.

use std::process::Command;

use berth_tests::{Echo, Nginx, NginxLines, Port, RunningProxy, binary, http};
use tempfile::TempDir;

use crate::nginx_hash::Dice;

/// What the importer makes of nginx's file, with other addresses to listen on.
fn imported(nginx: &Nginx, listen: &str, admin: &str) -> String {
    let mut command = Command::new(binary("berth-proxy"));
    let output = command.arg("import-nginx").arg(nginx.file()).output();
    let output = output.expect("berth-proxy runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains(&nginx.address()), "{text}");
    text.replace(&nginx.address(), listen) + &format!("\n[admin]\nlisten = \"{admin}\"\n")
}

async fn chosen(client: &reqwest::Client, url: String, address: &str) -> String {
    let request = client.get(&url).header("x-forwarded-for", address);
    let answer = request.send().await.expect("an answer");
    let name = answer.headers().get("x-echo");
    let name = name.and_then(|name| name.to_str().ok());
    name.map_or_else(|| format!("status {}", answer.status()), str::to_owned)
}

/// Starts nginx with these lines before a `server` line for each of the words, imports its file and asks both.
async fn agree(method: &str, words: &[&str], clients: usize) {
    let mut echoes = Vec::new();
    for _ in words {
        echoes.push(Echo::start().await);
    }
    let dead = Port::reserve();
    let mut servers: String = echoes
        .iter()
        .zip(words)
        .map(|(echo, words)| format!("server {} {words};\n", echo.address()))
        .collect();
    servers.push_str(&format!("server {} max_fails=0;\n", dead.address()));
    let lines = NginxLines {
        real_ip: "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; real_ip_recursive on;",
        location: "proxy_connect_timeout 2s; proxy_next_upstream_tries 4;",
        ..NginxLines::default()
    };
    let nginx = Nginx::with(&format!("{method}\n{servers}"), lines).await;
    let folder = TempDir::new().expect("a temporary folder");
    let proxy = RunningProxy::reading(folder.path(), |listen, admin| {
        imported(&nginx, listen, admin)
    })
    .await;
    let seed = Dice::seed();
    let mut dice = Dice(seed);
    let client = http::client();
    let mut seen = std::collections::HashSet::new();
    for number in 0..clients {
        let address = dice.address();
        let (theirs, ours) = tokio::join!(
            chosen(&client, nginx.url("/"), &address),
            chosen(&client, proxy.url("/"), &address)
        );
        assert_eq!(
            ours, theirs,
            "BERTH_SEED={seed}, client {number} {address}: {method} {servers}"
        );
        seen.insert(ours);
    }
    let in_service = words.iter().filter(|words| !words.contains("down")).count();
    assert_eq!(seen.len(), in_service, "BERTH_SEED={seed}: {seen:?}");
}

#[tokio::test]
async fn clients_stay_where_ip_hash_put_them() {
    agree(
        "ip_hash;",
        &[
            "weight=3",
            "",
            "down",
            "weight=2 max_fails=3 fail_timeout=30s",
        ],
        1000,
    )
    .await;
}

#[tokio::test]
async fn clients_stay_where_the_consistent_hash_put_them() {
    agree(
        "hash $remote_addr consistent;",
        &["weight=2", "down", "", "max_conns=500"],
        1000,
    )
    .await;
}

#[tokio::test]
async fn servers_go_on_taking_turns() {
    agree("", &["weight=5", "", "weight=2"], 200).await;
}
