//! SIGHUP changes the list of servers and nothing else: no request fails, no WebSocket drops. A bad file changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use berth_tests::{Client, Proxy, Town, eventually, http, secs};
use serde_json::json;

/// HTTP requests without pause, from several clients with kept connections.
struct Traffic {
    running: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Traffic {
    fn on(url: &str) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let answered = Arc::new(AtomicUsize::new(0));
        let tasks = (0..8)
            .map(|_| {
                let (url, running, answered) =
                    (url.to_owned(), Arc::clone(&running), Arc::clone(&answered));
                tokio::spawn(async move {
                    let client = http::client();
                    let mut failures = Vec::new();
                    while running.load(Ordering::Relaxed) {
                        match client.get(&url).send().await {
                            Ok(answer) if answer.status() == 200 => {
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            Ok(answer) => failures.push(answer.status().to_string()),
                            Err(error) => failures.push(format!("{error:?}")),
                        }
                    }
                    failures
                })
            })
            .collect();
        Self {
            running,
            answered,
            tasks,
        }
    }

    async fn flows(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("100 more requests are answered", secs(30), async || {
            (self.answered.load(Ordering::Relaxed) >= before + 100).then_some(())
        })
        .await;
    }

    async fn failures(self) -> Vec<String> {
        self.running.store(false, Ordering::Relaxed);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(task.await.expect("a client of the traffic"));
        }
        failures
    }
}

async fn visitors(town: &Town, count: usize) -> Vec<Client> {
    let mut visitors = Vec::new();
    for _ in 0..count {
        let mut visitor = town.visitor().await;
        visitor.join("square").await;
        visitors.push(visitor);
    }
    visitors
}

async fn everybody_hears(visitors: &mut [Client], content: &str) {
    visitors[0].say("square", content).await;
    for visitor in visitors {
        visitor.hears(content).await;
        assert_eq!(visitor.end(), None);
    }
}

async fn instances(town: &Town, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        let answer = http::get(&town.proxy().url("/api/instance")).await;
        let name = answer.headers()["x-berth-instance"]
            .to_str()
            .expect("a name")
            .to_owned();
        names.push(name);
    }
    names.sort();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_come_and_go_under_traffic() {
    let plan = Town::with_backends(3).redis().proxy(Proxy::round_robin());
    let town = plan.start().await;
    let mut visitors = visitors(&town, 12).await;
    let traffic = Traffic::on(&town.proxy().url("/api/instance"));
    traffic.flows().await;

    town.proxy().write(&town.servers(&[1, 3]));
    town.proxy().reload("success").await;
    traffic.flows().await;
    everybody_hears(&mut visitors, "after one was removed").await;
    assert_eq!(instances(&town, 12).await, ["backend-1", "backend-3"]);

    town.proxy().write(&town.servers(&[1, 2, 3]));
    town.proxy().reload("success").await;
    traffic.flows().await;
    everybody_hears(&mut visitors, "after one was added").await;
    assert_eq!(
        instances(&town, 12).await,
        ["backend-1", "backend-2", "backend-3"]
    );

    // Often and fast, as an operator with a script would.
    for round in 0..10 {
        let servers = if round % 2 == 0 {
            town.servers(&[2, 3])
        } else {
            town.servers(&[1, 2, 3])
        };
        town.proxy().write(&servers);
        town.proxy().reload("success").await;
    }
    traffic.flows().await;
    everybody_hears(&mut visitors, "after ten more").await;
    assert_eq!(traffic.failures().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_list_and_says_why() {
    let plan = Town::with_backends(2).redis().proxy(Proxy::round_robin());
    let town = plan.start().await;
    let mut visitors = visitors(&town, 4).await;

    town.proxy().write(&["\"127.0.0.1\"".to_owned()]);
    town.proxy().reload("failure").await;
    let file = town.proxy().file().display().to_string();
    town.proxy().program().says(&file, secs(5)).await;
    assert_eq!(
        town.proxy()
            .metric("berth_config_last_reload_successful", &[])
            .await,
        Some(0.0)
    );
    everybody_hears(&mut visitors, "still here").await;
    assert_eq!(instances(&town, 8).await, ["backend-1", "backend-2"]);

    town.proxy().write(&town.servers(&[2]));
    town.proxy().reload("success").await;
    assert_eq!(
        town.proxy()
            .metric("berth_config_last_reload_successful", &[])
            .await,
        Some(1.0)
    );
    everybody_hears(&mut visitors, "and still").await;
    assert_eq!(instances(&town, 8).await, ["backend-2"]);
}

#[tokio::test]
async fn the_verb_reload_does_what_the_signal_does() {
    let pid_file = tempfile::NamedTempFile::new().expect("a temporary file");
    let line = format!(
        "pid_file = {}",
        json!(pid_file.path().display().to_string())
    );
    let plan = Town::with_backends(2)
        .redis()
        .proxy(Proxy::round_robin().server_line(&line));
    let town = plan.start().await;
    town.proxy().write(&town.servers(&[1]));
    let status = std::process::Command::new(berth_tests::binary("berth-proxy"))
        .args(["reload", "-c"])
        .arg(town.proxy().file())
        .status()
        .expect("berth-proxy reload");
    assert!(status.success());
    eventually("only backend-1 is left", secs(10), async || {
        (instances(&town, 4).await == ["backend-1"]).then_some(())
    })
    .await;
}
