//! The API and its document, as programs of others see them.

use berth_tests::{Proxy, Script, Town, secs};
use serde_json::json;

const ADMIN_TOKEN: &str = "a token for this test";
const BOT_KEY: &str = "a key of more than thirty-two bytes";

#[tokio::test]
async fn every_answer_of_the_api_looks_as_its_document_says() {
    let town = Town::with_backends(1)
        .setting("ADMIN_TOKEN", ADMIN_TOKEN)
        .setting("API_KEYS", &deploy_bot());
    let town = town.start().await;
    let options = json!({
        "url": town.backend(1).url(""),
        "adminToken": ADMIN_TOKEN,
        "botKey": BOT_KEY,
    });
    Script::run("api.mjs", &options, secs(60)).await;
}

#[tokio::test]
async fn a_bot_is_heard_by_sockets_until_its_key_is_taken_back() {
    let mut town = Town::with_backends(2)
        .redis()
        .proxy(Proxy::round_robin())
        .setting("API_KEYS", &deploy_bot())
        .start()
        .await;
    let proxy = town.proxy().url("");
    let options = json!({"urls": [proxy, town.backend(1).url(""), town.backend(2).url("")], "botKey": BOT_KEY});
    let mut script = Script::start("bot.mjs", &options);
    script.says("heard", 1, secs(30)).await;
    for number in 1..=2 {
        town.stop(number, secs(20)).await;
        town.set(number, "API_KEYS", "");
        town.restart(number).await;
    }
    script.tell("taken back");
    script.finish(secs(30)).await;
}

/// `API_KEYS` with one bot, as an operator makes it.
fn deploy_bot() -> String {
    let script = format!("printf %s '{BOT_KEY}' | sha256sum | cut -d' ' -f1");
    let made = std::process::Command::new("sh")
        .args(["-c", &script])
        .output();
    let hash = made.expect("sha256sum").stdout;
    format!("deploy:{}", String::from_utf8_lossy(&hash).trim())
}
