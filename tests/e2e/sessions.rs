//! Sessions are express-session's and connect-redis' own, in both directions, and every backend knows them.

use berth_tests::{Port, Proxy, Script, Town, secs};
use serde_json::json;

#[tokio::test]
async fn a_node_app_and_berth_log_the_same_person_in() {
    let plan = Town::with_backends(2).redis().proxy(Proxy::round_robin());
    let town = plan.start().await;
    let node = Port::reserve();
    let options = json!({
        "redis": town.redis().url(),
        "berth": town.proxy().url(""),
        "nodePort": node.number(),
        "secret": berth_tests::SESSION_SECRET,
    });
    Script::run("session.mjs", &options, secs(60)).await;
}
