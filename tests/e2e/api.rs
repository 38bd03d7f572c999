//! The API and its document, as programs of others see them.

use berth_tests::{Script, Town, secs};
use serde_json::json;

const ADMIN_TOKEN: &str = "a token for this test";

#[tokio::test]
async fn every_answer_of_the_api_looks_as_its_document_says() {
    let town = Town::with_backends(1).setting("ADMIN_TOKEN", ADMIN_TOKEN);
    let town = town.start().await;
    let options = json!({"url": town.backend(1).url(""), "adminToken": ADMIN_TOKEN});
    Script::run("api.mjs", &options, secs(60)).await;
}
