//! The chat page in a real browser, on the whole system as a newcomer starts it: `berth`.

use std::process::Command;

use berth_tests::{Port, Program, Script, binary, http, repository, secs, variable};
use nix::sys::signal::Signal;
use serde_json::json;
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
    let artifacts = repository().join(".ci-artifacts");
    std::fs::create_dir_all(&artifacts).expect("a folder for screenshots");
    let (listen, data) = (Port::reserve(), TempDir::new().expect("a temporary folder"));
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    let options = json!({
        "url": format!("http://{}/", listen.address()),
        "chromium": chromium(),
        "artifacts": artifacts,
        "phase": "chat",
    });
    Script::run("page.mjs", &options, secs(90)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());

    // The same data again: what was said is still there.
    let mut program = berth(&listen, &data);
    is_up(&listen).await;
    let mut options = options;
    options["phase"] = json!("return");
    Script::run("page.mjs", &options, secs(60)).await;
    program.signal(Signal::SIGINT);
    assert!(program.ended(secs(5)).await.success());
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
