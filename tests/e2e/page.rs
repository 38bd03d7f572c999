//! The chat page in a real browser, on the whole system as a newcomer starts it: `berth`.

use std::process::Command;

use berth_tests::{Port, Program, Proxy, Script, Town, binary, http, repository, secs, variable};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn chromium() -> String {
    let named = variable("CHROMIUM");
    let known = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let found = known
        .iter()
        .find(|path| std::path::Path::new(path).exists());
    named
        .or_else(|| found.map(|path| (*path).to_owned()))
        .expect("no chromium found (Debian: apt-get install chromium; or set CHROMIUM)")
}

fn berth(listen: &Port, data: &TempDir) -> Program {
    let mut command = Command::new(binary("berth"));
    command
        .args([
            "up",
            "--listen",
            &listen.address(),
            "--instances",
            "3",
            "--data",
        ])
        .arg(data.path())
        .env_clear();
    Program::start("berth", command)
}

fn browsing(url: &str) -> Value {
    let artifacts = repository().join(".ci-artifacts");
    std::fs::create_dir_all(&artifacts).expect("a folder for screenshots");
    json!({ "url": url, "chromium": chromium(), "artifacts": artifacts })
}

async fn is_up(listen: &Port) {
    http::answers(
        &format!("http://{}/health/readiness", listen.address()),
        200,
        secs(30),
    )
    .await;
}

#[tokio::test]
async fn two_pages_chat_through_different_backends() {
    let (listen, data) = (Port::reserve(), TempDir::new().expect("a temporary folder"));
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    let mut options = browsing(&format!("http://{}/", listen.address()));
    options["phase"] = json!("chat");
    Script::run("page.mjs", &options, secs(90)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());

    // The same data again: what was said is still there.
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    options["phase"] = json!("return");
    Script::run("page.mjs", &options, secs(60)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());
}

/// Offline and back, reloads in the middle of a send, several tabs and rooms, and the death of a page's backend.
#[tokio::test]
async fn a_page_keeps_its_promise_through_losses_reloads_and_a_dead_backend() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::round_robin());
    let mut town = plan.start().await;
    let mut script = Script::start("page_life.mjs", &browsing(&town.proxy().url("/")));
    let wish = script.says("kill", 1, secs(200)).await;
    let name = wish["instance"].as_str().expect("an instance").to_owned();
    let number = name.rsplit('-').next().and_then(|text| text.parse().ok());
    town.kill(number.expect("backend-N"));
    script.tell("killed");
    script.finish(secs(120)).await;
}

/// Rooms of one's own: who comes in, who may write, who has read; answers, edits and reactions between two windows.
#[tokio::test]
async fn people_make_rooms_bring_others_in_and_keep_order() {
    let (listen, data) = (Port::reserve(), TempDir::new().expect("a temporary folder"));
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    let options = browsing(&format!("http://{}/", listen.address()));
    Script::run("page_rooms.mjs", &options, secs(120)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());
}

/// In a network that knows requests only, by a proxy that the script puts in between.
#[tokio::test]
async fn a_page_talks_where_no_websocket_gets_through_and_moves_when_one_does() {
    let (listen, data) = (Port::reserve(), TempDir::new().expect("a temporary folder"));
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    let options = browsing(&format!("http://{}/", listen.address()));
    Script::run("page_polling.mjs", &options, secs(150)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());
}

#[tokio::test]
async fn a_page_passes_the_rules_of_accessibility_in_every_state() {
    let (listen, data) = (Port::reserve(), TempDir::new().expect("a temporary folder"));
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    let options = browsing(&format!("http://{}/", listen.address()));
    Script::run("page_access.mjs", &options, secs(180)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());
}

/// What a visitor breaks on the server's side costs nobody a message.
#[tokio::test]
async fn a_visitor_restarts_a_backend_and_stops_the_bus() {
    let (listen, data) = (Port::reserve(), TempDir::new().expect("a temporary folder"));
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    let options = browsing(&format!("http://{}/", listen.address()));
    Script::run("page_trial.mjs", &options, secs(150)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());
}

#[tokio::test]
async fn a_page_needs_no_pointer_no_eyes_and_no_wide_screen() {
    let (listen, data) = (Port::reserve(), TempDir::new().expect("a temporary folder"));
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    let options = browsing(&format!("http://{}/", listen.address()));
    Script::run("page_keyboard.mjs", &options, secs(120)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());
}

/// As the README shows it, on socket.io-client, in Node.
#[tokio::test]
async fn the_helper_keeps_its_promise_on_the_official_client() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::round_robin());
    let town = plan.start().await;
    let options = json!({ "url": town.proxy().url("") });
    let done = Script::run("helper.mjs", &options, secs(90)).await;
    assert_eq!(done["event"], "done", "{done}");
}

#[tokio::test]
async fn the_operators_page_shows_every_instance_to_who_has_the_token() {
    let nobody = Port::reserve();
    let mut town = Town::with_backends(3)
        .redis()
        .setting("ADMIN_TOKEN", "a token for this test")
        .setting(
            "WEBHOOK_URL",
            &format!("http://{}/hook?secret", nobody.address()),
        )
        .setting("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .proxy(Proxy::round_robin())
        .start()
        .await;
    let mut options = browsing(&town.proxy().url("/admin"));
    options["backend"] = json!(town.backend(1).url(""));
    options["token"] = json!("a token for this test");
    let mut script = Script::start("page_admin.mjs", &options);
    script.says("kill", 1, secs(150)).await;
    town.kill(2);
    script.finish(secs(90)).await;
}

#[tokio::test]
async fn berth_prints_one_readable_screen() {
    let (listen, data) = (Port::reserve(), TempDir::new().expect("a temporary folder"));
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    program
        .says(&format!("http://{}", listen.address()), secs(5))
        .await;
    program
        .says(&data.path().display().to_string(), secs(5))
        .await;
    program.says("Ctrl-C", secs(5)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());
    assert!(
        program.log().len() < 40,
        "more than a screen: {:?}",
        program.log()
    );
}
