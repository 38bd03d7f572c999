//! Servers that are named: looked up by this machine's own resolver.

use berth_tests::{Echo, Proxy, RunningProxy, eventually, http, secs};
use tempfile::TempDir;

#[tokio::test]
async fn a_name_without_an_address_keeps_nobody_from_being_served() {
    let echo = Echo::start().await;
    let address = echo.address();
    let (_ip, port) = address.split_once(':').expect("an address");
    let servers = [
        format!("\"localhost:{port}\""),
        // Reserved (RFC 6761): nobody ever has it.
        "\"nobody.invalid:80\"".to_owned(),
    ];
    let folder = TempDir::new().expect("a temporary folder");
    // nginx would not start: "host not found in upstream".
    let proxy = RunningProxy::before(Proxy::round_robin(), folder.path(), &servers).await;
    for _ in 0..3 {
        let answer = http::get(&proxy.url("/")).await;
        assert_eq!(answer.headers()["x-echo"], address.as_str());
    }
    eventually("the log names it", secs(10), async || {
        proxy.program().logged("nobody.invalid").then_some(())
    })
    .await;
}

#[tokio::test]
async fn names_alone_without_any_address_are_nobody_to_pass_to() {
    let folder = TempDir::new().expect("a temporary folder");
    let servers = ["\"nobody.invalid:80\"".to_owned()];
    let proxy = RunningProxy::before(Proxy::ip_hash(), folder.path(), &servers).await;
    assert_eq!(http::status(&proxy.url("/")).await, Some(502));
}
