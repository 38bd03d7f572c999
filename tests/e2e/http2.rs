//! Clients that know nothing of Berth speak HTTP/2 with it: curl, and the official client in headless Chromium.

use std::process::Command;

use berth_tests::{Proxy, Script, Town, secs};
use serde_json::json;

use crate::page::chromium;
use crate::tls::{Pair, run, text};

/// What is answered to curl, with the status and the protocol.
fn curl(url: &str, more: &[&str]) -> String {
    let written = "\n%{http_code} %{http_version}";
    let answer = run(Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--max-time", "10", "-w", written])
        .args(more)
        .arg(url));
    assert!(answer.status.success(), "{answer:?}");
    text(&answer.stdout)
}

#[tokio::test]
async fn curl_speaks_it_on_a_plain_connection_if_it_knows_and_asks_in_vain_otherwise() {
    let plan = Proxy::round_robin();
    let town = Town::with_backends(1).memory().proxy(plan).start().await;
    let url = town.proxy().url("/api/instance");
    let answer = curl(&url, &["--http2-prior-knowledge"]);
    assert!(
        answer.contains("backend-1") && answer.ends_with("200 2"),
        "{answer}"
    );
    // Upgrade: h2c, which nobody but curl ever asked for (RFC 9113 §3.1), is not heard.
    let answer = curl(&url, &["--http2"]);
    assert!(answer.ends_with("200 1.1"), "{answer}");
    let name = json!({ "displayName": "Ada" }).to_string();
    let sent = [
        "--http2-prior-knowledge",
        "-H",
        "Content-Type: application/json",
        "-d",
        &name,
    ];
    let answer = curl(&town.proxy().url("/api/auth/guest"), &sent);
    assert!(answer.contains("Ada"), "{answer}");
}

#[tokio::test]
async fn the_official_client_polls_over_it_in_a_browser_and_upgrades_beside_it() {
    let pair = Pair::make(30);
    let plan = pair.shown_by(Proxy::sticky_sid());
    let town = Town::with_backends(3).memory().proxy(plan).start().await;
    let options = json!({ "url": town.proxy().url(""), "chromium": chromium() });
    let seen = Script::run("http2.mjs", &options, secs(90)).await;
    assert_eq!(seen["instances"], json!(3), "{seen}");
    let proxy = town.proxy();
    let invalid = [("method", "sid"), ("result", "invalid")];
    assert_eq!(
        proxy.metric("berth_sticky_requests_total", &invalid).await,
        None
    );
    let upgraded = [("result", "ok")];
    assert_eq!(
        proxy
            .metric("berth_socketio_upgrades_total", &upgraded)
            .await,
        Some(3.0)
    );
}
