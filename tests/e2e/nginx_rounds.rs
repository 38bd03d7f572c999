//! The methods that remember go the same way as a real nginx, step by step: whom they pick, whom they try next when a
//! server fails, when they stop trying it, and when they come back.
//!
//! Each run draws new cases; a mismatch tells its seed, and `BERTH_SEED` draws that case again.

use berth_tests::{Echo, Nginx, NginxLines, Proxy, RunningProxy, eventually, http, now, secs};
use reqwest::Method;
use tempfile::TempDir;

use crate::nginx_hash::Dice;

/// An nginx and a proxy before the same servers.
pub(crate) struct Pair {
    pub(crate) echoes: Vec<Echo>,
    pub(crate) nginx: Nginx,
    pub(crate) proxy: RunningProxy,
    pub(crate) client: reqwest::Client,
    _folder: TempDir,
}

/// A request that stays open; its status, should it be answered.
type Held = tokio::task::JoinHandle<u16>;

/// One server's settings in nginx's words.
pub(crate) type Words<'a> = &'a [(&'a str, String)];

/// How a request went: its status (0: no head of an answer came), and how often it reached each server.
#[derive(Debug, PartialEq)]
pub(crate) struct Went {
    pub(crate) status: u16,
    pub(crate) reached: Vec<usize>,
}

impl Pair {
    async fn start(method: &str, plan: Proxy, servers: &[Vec<(&str, String)>]) -> Self {
        Self::with(method, NginxLines::default(), plan, servers).await
    }

    pub(crate) async fn with(
        method: &str,
        lines: NginxLines<'_>,
        plan: Proxy,
        servers: &[Vec<(&str, String)>],
    ) -> Self {
        let (mut echoes, mut theirs, mut ours) = (Vec::new(), String::new(), Vec::new());
        for words in servers {
            let echo = Echo::start().await;
            theirs.push_str(&format!(
                "server {} {};",
                echo.address(),
                nginx_words(words)
            ));
            ours.push(format!(
                "{{ address = \"{}\", {} }}",
                echo.address(),
                berth_words(words)
            ));
            echoes.push(echo);
        }
        let folder = TempDir::new().expect("a temporary folder");
        Self {
            nginx: Nginx::with(&format!("{method} {theirs}"), lines).await,
            proxy: RunningProxy::before(plan, folder.path(), &ours).await,
            echoes,
            client: http::client(),
            _folder: folder,
        }
    }

    pub(crate) fn requests(&self) -> Vec<usize> {
        self.echoes.iter().map(Echo::requests).collect()
    }

    pub(crate) fn reached_since(&self, before: &[usize]) -> Vec<usize> {
        let after = self.requests();
        after
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect()
    }

    pub(crate) async fn went(&self, method: &Method, url: String) -> Went {
        let before = self.requests();
        let answer = self
            .client
            .request(method.clone(), url)
            // A connection per request, as nginx has without the keepalive directive.
            .header("x-close", "1")
            .send()
            .await;
        Went {
            status: answer.map_or(0, |answer| answer.status().as_u16()),
            reached: self.reached_since(&before),
        }
    }

    /// How the same request went through nginx, and through the proxy.
    async fn ask(&self, method: Method) -> (Went, Went) {
        self.ask_for(method, "/").await
    }

    pub(crate) async fn ask_for(&self, method: Method, path: &str) -> (Went, Went) {
        let theirs = self.went(&method, self.nginx.url(path)).await;
        (theirs, self.went(&method, self.proxy.url(path)).await)
    }

    /// Sends a request that stays open, and tells whom it reached; nobody, if it was answered.
    async fn hold(&self, url: String, held: &mut Vec<Held>) -> Vec<usize> {
        let before = self.requests();
        let request = self.client.get(url);
        let task =
            tokio::spawn(async move { request.send().await.expect("an answer").status().as_u16() });
        let reached = eventually("a server has the request", secs(10), async || {
            let reached = self.reached_since(&before);
            (task.is_finished() || reached.iter().any(|count| *count > 0)).then_some(reached)
        });
        let reached = reached.await;
        if task.is_finished() {
            assert_eq!(task.await.expect("no panic"), 502, "{reached:?}");
        } else {
            held.push(task);
        }
        reached
    }
}

fn nginx_words(words: Words<'_>) -> String {
    let words = words
        .iter()
        .map(|(key, value)| match (*key, value.as_str()) {
            (flag, "true") => flag.to_owned(),
            (_, "false") => String::new(),
            (key, value) => format!("{key}={value}"),
        });
    words.collect::<Vec<_>>().join(" ")
}

fn berth_words(words: Words<'_>) -> String {
    let words = words.iter().map(|(key, value)| match *key {
        "fail_timeout" => format!("{key} = \"{value}\""),
        key => format!("{key} = {value}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Servers with random words; the first is in service and no backup.
fn servers(dice: &mut Dice, has_backups: bool) -> Vec<Vec<(&'static str, String)>> {
    let count = 2 + dice.roll(4);
    let server = |index: u64| {
        vec![
            ("weight", (1 + dice.roll(5)).to_string()),
            ("max_fails", dice.roll(4).to_string()),
            // Longer than the test: whether a second goes by in it does not matter.
            ("fail_timeout", "3600s".to_owned()),
            ("down", (index > 0 && dice.roll(5) == 0).to_string()),
            (
                "backup",
                (has_backups && index > 0 && dice.roll(3) == 0).to_string(),
            ),
        ]
    };
    (0..count).map(server).collect()
}

/// Random requests while random servers fail and recover.
async fn agree_on_every_step(method: &str, plan: fn() -> Proxy, cases: u64, steps: usize) {
    let first_seed = Dice::seed();
    let mut failures = 0;
    for seed in first_seed..first_seed + cases {
        let mut dice = Dice(seed);
        let servers = servers(&mut dice, true);
        let pair = Pair::start(method, plan(), &servers).await;
        for step in 0..steps {
            for echo in &pair.echoes {
                if dice.roll(10) == 0 {
                    echo.fail(dice.roll(2) == 0);
                }
            }
            let request = [Method::GET, Method::GET, Method::GET, Method::POST];
            let request = request
                .into_iter()
                .nth(usize::try_from(dice.roll(4)).expect("small"));
            let (theirs, ours) = pair.ask(request.clone().expect("one of four")).await;
            failures += theirs.reached.iter().sum::<usize>() - usize::from(theirs.status == 200);
            assert_eq!(
                ours, theirs,
                "BERTH_SEED={seed}, step {step}, {request:?}: {method} {servers:?}"
            );
        }
    }
    assert!(failures > 0, "BERTH_SEED={first_seed}: nobody failed");
}

#[tokio::test]
async fn round_robin_while_servers_fail() {
    agree_on_every_step("", Proxy::round_robin, 5, 80).await;
}

#[tokio::test]
async fn least_conn_while_servers_fail() {
    agree_on_every_step("least_conn;", Proxy::least_conn, 5, 80).await;
}

/// Requests that stay open, until every server has as many as `max_conns` lets it.
async fn agree_until_full(method: &str, plan: Proxy) {
    let seed = Dice::seed();
    let mut dice = Dice(seed);
    let mut servers: Vec<_> = (0..4)
        .map(|_| {
            vec![
                ("weight", (1 + dice.roll(4)).to_string()),
                ("max_conns", (1 + dice.roll(6)).to_string()),
            ]
        })
        .collect();
    servers.push(vec![("down", "true".to_owned())]);
    let pair = Pair::start(method, plan, &servers).await;
    let mut held = Vec::new();
    for step in 0..26 {
        let theirs = pair.hold(pair.nginx.url("/hold"), &mut held).await;
        let ours = pair.hold(pair.proxy.url("/hold"), &mut held).await;
        assert_eq!(
            ours, theirs,
            "BERTH_SEED={seed}, step {step}: {method} {servers:?}"
        );
    }
    // 24 is the most that four servers can hold.
    assert_eq!(pair.hold(pair.proxy.url("/hold"), &mut held).await, [0; 5]);
    held.iter().for_each(Held::abort);
}

#[tokio::test]
async fn least_conn_of_open_requests() {
    agree_until_full("least_conn;", Proxy::least_conn()).await;
}

#[tokio::test]
async fn round_robin_of_open_requests() {
    agree_until_full("", Proxy::round_robin()).await;
}

#[tokio::test]
async fn ip_hash_of_open_requests() {
    agree_until_full("ip_hash;", Proxy::ip_hash()).await;
}

#[tokio::test]
async fn consistent_hash_of_open_requests() {
    let plan = Proxy::hash("$remote_addr", true);
    agree_until_full("hash $remote_addr consistent;", plan).await;
}

#[tokio::test]
async fn a_server_returns_after_fail_timeout() {
    let words = |max_fails: u32| {
        vec![
            ("max_fails", max_fails.to_string()),
            ("fail_timeout", "2s".to_owned()),
        ]
    };
    let pair = Pair::start("", Proxy::round_robin(), &[words(2), words(1)]).await;
    pair.echoes[0].fail(true);
    // Out after its second failure.
    for step in 0..5 {
        let (theirs, ours) = pair.ask(Method::GET).await;
        assert_eq!(ours, theirs, "step {step}");
    }
    let out = now();
    assert_eq!(pair.echoes[0].requests(), 4);
    pair.echoes[0].fail(false);
    for url in [pair.nginx.url("/"), pair.proxy.url("/")] {
        eventually("the server is back", secs(10), async || {
            (pair.went(&Method::GET, url.clone()).await.reached[0] > 0).then_some(())
        })
        .await;
        // Whole seconds: two to three after the failure, which was up to a moment before `out`.
        assert!(out.elapsed() > secs(1), "{url}: {:?}", out.elapsed());
    }
    assert!(out.elapsed() < secs(6), "{:?}", out.elapsed());
    let before = pair.requests();
    for _ in 0..10 {
        let (theirs, ours) = pair.ask(Method::GET).await;
        assert_eq!((theirs.status, ours.status), (200, 200));
    }
    assert_eq!(pair.reached_since(&before), [10, 10]);
}
