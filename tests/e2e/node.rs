//! A Node server with the official Redis adapter stands beside Berth's backends and shares their rooms.

use berth_tests::{Port, Script, Town, secs};
use serde_json::json;

#[tokio::test]
async fn node_and_berth_share_rooms() {
    let town = Town::with_backends(1).redis().start().await;
    let node = Port::reserve();
    let options = json!({
        "redis": town.redis().url(),
        "berth": town.backend(1).url(""),
        "nodePort": node.number(),
    });
    Script::run("peer.mjs", &options, secs(60)).await;
    assert!(!town.backend(1).program().logged("panicked"));
}
