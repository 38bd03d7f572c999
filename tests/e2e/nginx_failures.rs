//! What a failure is, whom it takes out and for how long: nginx and the proxy stand before the same failing servers.
//!
//! Where Berth differs, it does so on purpose:
//! - when the last try ended by a timeout and nobody else may serve, the client hears 504, from nginx 502;
//! - an answer that breaks off with its first bytes may not reach the client at all;
//! - a kept connection that was dead, and trouble of this machine's own, are not held against a server.
//!
//! Each run draws new cases; a mismatch tells its seed, and `BERTH_SEED` draws that case again.

use std::time::Duration;

use berth_tests::{Mood, NginxLines, Proxy, eventually, now, secs, within};
use futures_util::future::join_all;
use reqwest::Method;

use crate::nginx_hash::Dice;
use crate::nginx_rounds::{Pair, Went};

type Server = Vec<(&'static str, String)>;

fn server(max_fails: u64, fail_timeout: &str) -> Server {
    vec![
        ("max_fails", max_fails.to_string()),
        ("fail_timeout", fail_timeout.to_owned()),
    ]
}

/// Lets that much time go by: what is asked here is what time does.
async fn passes(time: Duration) {
    let begun = now();
    eventually("the time is over", time + secs(10), async || {
        (begun.elapsed() > time).then_some(())
    })
    .await;
}

fn is_as_meant(theirs: &Went, ours: &Went, moods: &[Mood]) -> bool {
    let says_more = theirs.status == 502 && ours.status == 504;
    let broke_off = ours.status == 0 && moods.contains(&Mood::CutsBodies);
    theirs.reached == ours.reached && (theirs.status == ours.status || says_more || broke_off)
}

/// Servers fail in every way, answer with every status, and some take no connections at all.
/// Returns how many tries failed.
async fn agree_on_failures(seed: u64) -> usize {
    const STATUSES: [u16; 9] = [200, 200, 403, 404, 429, 500, 502, 503, 504];
    let mut dice = Dice(seed);
    let count = 1 + dice.roll(4);
    let servers: Vec<Server> = (0..count).map(|_| server(dice.roll(4), "3600s")).collect();
    let tries = dice.roll(4);
    let lines = NginxLines {
        location: &format!("proxy_read_timeout 250ms; proxy_next_upstream_tries {tries};"),
        ..NginxLines::default()
    };
    let plan = Proxy::round_robin()
        .upstream_line("read_timeout = \"250ms\"")
        .upstream_line(&format!("tries = {tries}"));
    let pair = Pair::with("", lines, plan, &servers).await;
    for (index, echo) in pair.echoes.iter().enumerate() {
        if index > 0 && dice.roll(6) == 0 {
            echo.stop_listening().await;
        }
    }
    let mut moods = vec![Mood::Answers; pair.echoes.len()];
    let mut failures = 0;
    for step in 0..50 {
        for (echo, mood) in pair.echoes.iter().zip(&mut moods) {
            *mood = match dice.roll(24) {
                0 => Mood::Closes,
                1 => Mood::Babbles,
                2 => Mood::CutsBodies,
                3 if dice.roll(2) == 0 => Mood::IsSilent,
                4..=11 => Mood::Answers,
                _ => *mood,
            };
            echo.be(*mood);
        }
        let status = STATUSES[usize::try_from(dice.roll(9)).expect("one of nine")];
        let method = [Method::GET, Method::PUT, Method::DELETE, Method::POST]
            .into_iter()
            .nth(usize::try_from(dice.roll(4)).expect("one of four"))
            .expect("one of four");
        let path = format!("/status/{status}");
        let (theirs, ours) = pair.ask_for(method.clone(), &path).await;
        assert!(
            is_as_meant(&theirs, &ours, &moods),
            "BERTH_SEED={seed}, step {step}, {method} {path}: tries {tries} {servers:?}\nnginx {theirs:?}\nBerth {ours:?}"
        );
        if theirs.status != status {
            failures += theirs.reached.iter().sum::<usize>();
        }
    }
    failures
}

#[tokio::test]
async fn failures_are_what_nginx_takes_for_failures() {
    let seed = Dice::seed();
    let failures = join_all((seed..seed + 8).map(agree_on_failures)).await;
    let failures: usize = failures.into_iter().sum();
    assert!(
        failures > 20,
        "BERTH_SEED={seed}: only {failures} tries failed"
    );
}

/// Short bursts of requests, and quiet times between them that are longer than `fail_timeout`.
async fn agree_across_quiet_times(seed: u64) {
    let mut dice = Dice(seed);
    // One server alone is never out; with a backup beside it, it may be.
    let mut servers: Vec<Server> = (0..1 + seed % 3)
        .map(|_| server(dice.roll(4), "2s"))
        .collect();
    if dice.roll(2) == 0 {
        let mut backup = server(1, "2s");
        backup.push(("backup", "true".to_owned()));
        servers.push(backup);
    }
    let pair = Pair::with("", NginxLines::default(), Proxy::round_robin(), &servers).await;
    for burst in 0..3 {
        if burst > 0 {
            // More than two whole seconds, wherever the second begins.
            passes(Duration::from_millis(3100)).await;
        }
        let begun = now();
        for step in 0..8 {
            for echo in &pair.echoes {
                if dice.roll(4) == 0 {
                    echo.fail(dice.roll(2) == 0);
                }
            }
            let (theirs, ours) = pair.ask_for(Method::GET, "/").await;
            assert_eq!(
                ours, theirs,
                "BERTH_SEED={seed}, burst {burst}, step {step}: {servers:?}"
            );
        }
        assert!(
            begun.elapsed() < secs(2),
            "this machine is too slow to be judged: {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn failures_are_remembered_over_quiet_times() {
    let seed = Dice::seed();
    join_all((seed..seed + 6).map(agree_across_quiet_times)).await;
}

#[tokio::test]
async fn of_many_requests_one_probes_a_server_that_was_out() {
    let servers = [server(1, "1s"), server(1, "1s")];
    let pair = Pair::with("", NginxLines::default(), Proxy::round_robin(), &servers).await;
    pair.echoes[0].fail(true);
    for _ in 0..2 {
        let (theirs, ours) = pair.ask_for(Method::GET, "/").await;
        assert_eq!(ours, theirs);
    }
    assert_eq!(pair.echoes[0].requests(), 2, "each tried it once");
    pair.echoes[0].be(Mood::IsSilent);
    passes(Duration::from_millis(2100)).await;
    for url in [pair.nginx.url("/"), pair.proxy.url("/")] {
        let before = pair.requests();
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let request = pair.client.get(url.clone()).header("x-close", "1");
            asked.spawn(async move { request.send().await.map(|answer| answer.status().as_u16()) });
        }
        // All but the probe, which waits for an answer.
        for _ in 0..11 {
            let ended = within("an answer", secs(8), asked.join_next()).await;
            let status = ended.expect("a request").expect("no panic");
            assert_eq!(status.expect("an answer"), 200, "{url}");
        }
        assert_eq!(pair.reached_since(&before), [1, 11], "{url}");
        asked.abort_all();
    }
}

#[tokio::test]
async fn a_request_changes_servers_no_longer_than_it_may() {
    let servers = [(); 4].map(|()| server(0, "10s"));
    let lines = NginxLines {
        location: "proxy_read_timeout 400ms; proxy_next_upstream_timeout 1s;",
        ..NginxLines::default()
    };
    let plan = Proxy::round_robin()
        .upstream_line("read_timeout = \"400ms\"")
        .upstream_line("tries_timeout = \"1s\"");
    let pair = Pair::with("", lines, plan, &servers).await;
    pair.echoes.iter().for_each(|echo| echo.be(Mood::IsSilent));
    let (theirs, ours) = pair.ask_for(Method::GET, "/").await;
    assert_eq!(ours, theirs);
    // At 0, 0.4 and 0.8 s, but not at 1.2 s.
    assert_eq!((ours.status, ours.reached.iter().sum::<usize>()), (504, 3));
    let (theirs, ours) = pair.ask_for(Method::POST, "/").await;
    assert_eq!(ours, theirs);
    assert_eq!(
        ours.reached.iter().sum::<usize>(),
        1,
        "a POST that was sent is not sent again"
    );
}

#[tokio::test]
async fn a_request_that_reached_nobody_goes_on_whatever_its_method() {
    let servers = [(); 3].map(|()| server(1, "3600s"));
    let pair = Pair::with("", NginxLines::default(), Proxy::round_robin(), &servers).await;
    pair.echoes[0].stop_listening().await;
    pair.echoes[1].stop_listening().await;
    for _ in 0..4 {
        let (theirs, ours) = pair.ask_for(Method::POST, "/").await;
        assert_eq!(ours, theirs);
        assert_eq!((ours.status, ours.reached), (200, vec![0, 0, 1]));
    }
}

#[tokio::test]
async fn random_two_spreads_as_in_nginx() {
    const REQUESTS: usize = 1200;
    let servers: Vec<Server> = ["5", "2", "1"]
        .map(|weight| vec![("weight", weight.to_owned())])
        .into();
    let plan = Proxy::random_two();
    let pair = Pair::with(
        "random two least_conn;",
        NginxLines::default(),
        plan,
        &servers,
    )
    .await;
    let mut shares = Vec::new();
    for url in [pair.nginx.url("/"), pair.proxy.url("/")] {
        let before = pair.requests();
        for _ in 0..REQUESTS {
            assert_eq!(pair.went(&Method::GET, url.clone()).await.status, 200);
        }
        shares.push(pair.reached_since(&before));
    }
    let [theirs, ours] = shares.as_slice() else {
        panic!("two shares");
    };
    for (theirs, ours) in theirs.iter().zip(ours) {
        // Five standard deviations of the difference, at most 5 · √(2 · 1200 / 4).
        assert!(theirs.abs_diff(*ours) < 123, "{shares:?}");
    }
}
