//! Everybody comes back at once: the servers see no more than the rate, and everybody gets in.

use berth_tests::{Port, Proxy, RunningProxy, Script, eventually, secs};
use serde_json::json;
use tempfile::TempDir;

const RATE: u32 = 40;
const BURST: u32 = 10;

#[tokio::test]
async fn a_storm_of_reconnects_reaches_the_servers_at_the_rate() {
    let ports = [Port::reserve(), Port::reserve()];
    let servers: Vec<String> = ports
        .iter()
        .map(|port| {
            format!(
                "{{ address = \"{}\", fail_timeout = \"1s\" }}",
                port.address()
            )
        })
        .collect();
    let folder = TempDir::new().expect("a temporary folder");
    let plan = Proxy::sticky_sid().upstream_line(&format!(
        "handshakes = {{ rate = \"{RATE}/s\", burst = {BURST} }}"
    ));
    let proxy = RunningProxy::before(plan, folder.path(), &servers).await;
    let options = json!({
        "url": proxy.url(""),
        "ports": ports.iter().map(Port::number).collect::<Vec<_>>(),
        "clients": 60,
        "rate": RATE,
        "burst": BURST,
    });
    let told = Script::run("storm.mjs", &options, secs(90)).await;
    assert!(told["rounds"].as_u64() >= Some(3), "{told}");
    let metric = |name: &'static str, labels: [(&'static str, &'static str); 1]| {
        let proxy = &proxy;
        async move { proxy.metric(name, &labels).await }
    };
    let limited = metric("berth_handshakes_limited_total", [("upstream", "town")]).await;
    assert!(limited > Some(0.0), "{limited:?}");
    let refused = [("reason", "handshake_limited")];
    assert_eq!(metric("berth_refusals_total", refused).await, limited);

    let program = proxy.program();
    let begins = "handshakes are limited";
    assert!(program.times_logged(begins) <= 2, "once for each storm");
    eventually("the storm is over", secs(20), async || {
        let ends = program.times_logged("handshakes are no longer limited");
        (ends == program.times_logged(begins)).then_some(())
    })
    .await;
}
