//! `berth-proxy status`: how the servers of a running proxy are, for people and for scripts.

use std::process::{Command, Output};

use berth_tests::{Proxy, RunningProxy, Town, binary, eventually, http, secs};
use serde_json::{Value, json};

fn status(proxy: &RunningProxy, words: &[&str]) -> Output {
    Command::new(binary("berth-proxy"))
        .args(["status", "-c"])
        .arg(proxy.file())
        .args(words)
        .output()
        .expect("berth-proxy can be started")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn told(proxy: &RunningProxy) -> Value {
    serde_json::from_str(&said(&status(proxy, &["--json"]))).expect("JSON")
}

#[tokio::test]
async fn status_tells_how_each_server_is() {
    let plan = Proxy::sticky_sid()
        .upstream_line(
            "health_check = { path = \"/health/readiness\", interval = \"100ms\", fall = 1 }",
        )
        .upstream_line("handshakes = { rate = \"1/m\", burst = 3 }");
    let mut town = Town::with_backends(2).proxy(plan).start().await;
    let client = town.visitor().await;
    client.event("welcome").await;

    let all = told(town.proxy());
    assert_eq!(all["phase"], "running", "{all}");
    assert_eq!(all["config"]["last_reload_successful"], true, "{all}");
    let upstream = &all["upstreams"][0];
    assert_eq!(upstream["name"], "town", "{all}");
    assert_eq!(upstream["balance"], "round_robin", "{all}");
    assert_eq!(upstream["sticky"], json!(["sid"]), "{all}");
    assert_eq!(upstream["websockets"], 1, "{all}");
    let limits = json!({ "limiting": false, "limited_total": 0 });
    assert_eq!(upstream["handshakes"], limits, "{all}");
    for (number, server) in [1, 2]
        .into_iter()
        .zip(upstream["servers"].as_array().expect("a list"))
    {
        assert_eq!(server["name"], town.backend(number).address(), "{all}");
        assert_eq!(server["state"], "up", "{all}");
        assert_eq!(server["check"]["result"], "passed", "{all}");
    }

    town.kill(2);
    let open = town.proxy().url("/socket.io/?EIO=4&transport=polling");
    let proxy = town.proxy();
    eventually(
        "the check fails and the storm is seen",
        secs(20),
        async || {
            http::status(&open).await;
            let upstream = &told(proxy)["upstreams"][0];
            let is_unwell = upstream["servers"][1]["state"] == "unwell";
            (is_unwell && upstream["handshakes"]["limiting"] == true).then_some(())
        },
    )
    .await;
    let table = said(&status(proxy, &[]));
    let line = table
        .lines()
        .find(|line| line.contains(&town.backend(2).address()));
    let line = line.expect("a line for each server");
    assert!(
        line.contains("unwell") && line.contains("failed"),
        "{table}"
    );
    assert!(table.contains("handshakes limited (now)"), "{table}");
}

#[tokio::test]
async fn status_tells_of_a_refused_reload_and_fails_when_nobody_is_there() {
    let plan = Town::with_backends(1).proxy(Proxy::round_robin());
    let mut town = plan.start().await;
    let proxy = town.proxy();
    // An operator asks most of all while the file is broken.
    std::fs::write(
        proxy.file(),
        std::fs::read_to_string(proxy.file()).expect("the file") + "\nnonsense = 1\n",
    )
    .expect("the file");
    proxy.reload("failure").await;
    assert_eq!(told(proxy)["config"]["last_reload_successful"], false);
    assert!(said(&status(proxy, &[])).contains("reload was refused"));

    let proxy = town.proxy_mut();
    proxy
        .stop(nix::sys::signal::Signal::SIGTERM, secs(40))
        .await;
    let output = status(proxy, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(why.contains("does not accept"), "{why}");
}
