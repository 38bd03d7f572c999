//! A proxy that runs out of file descriptors: its trouble is its own, not the servers'.

use berth_tests::{Proxy, Town, eventually, http, now, secs, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Enough to start, for a few clients and their servers.
const LAUNCHER: &str = "ulimit -n 64; export LOG_LEVEL=debug";
/// More than that.
const FLOOD: usize = 100;

async fn ask(stream: &mut TcpStream, head: &str) -> u16 {
    let asking = async {
        let sent = stream.write_all(head.as_bytes()).await;
        sent.expect("the proxy took the request");
        let mut answer = [0; 2048];
        let count = stream.read(&mut answer).await.expect("an answer");
        http::status_of(&String::from_utf8_lossy(&answer[..count]))
    };
    within("an answer", secs(10), asking).await
}

/// Tries and checks failed, and all of them here.
fn nobody_is_blamed(page: &str) {
    let fails = |reason| http::metric(page, "berth_upstream_server_fails_total", reason);
    assert!(fails(&[("reason", "local")]) >= Some(1.0), "{page}");
    assert_eq!(fails(&[]), fails(&[("reason", "local")]), "{page}");
    let checks = |result| {
        let labels = [("result", result)];
        http::metric(page, "berth_health_checks_total", &labels)
    };
    assert!(checks("local") >= Some(1.0), "{page}");
    assert_eq!(checks("failed"), None, "{page}");
    let ejections = http::metric(page, "berth_upstream_server_ejections_total", &[]);
    assert_eq!(ejections, None, "{page}");
}

#[tokio::test]
async fn without_descriptors_accepting_pauses_and_goes_on() {
    let plan = Proxy::round_robin()
        .launched_by(LAUNCHER)
        .server_line("threads = 1");
    let town = Town::with_backends(1).proxy(plan).start().await;
    let (proxy, address) = (town.proxy(), town.proxy().address());
    let mut talker = town.visitor().await;
    talker.join("lobby").await;
    let began = now();

    let mut flood = Vec::new();
    for _ in 0..FLOOD {
        flood.push(TcpStream::connect(&address).await.expect("a connection"));
    }
    let program = proxy.program();
    program.says("cannot accept connections", secs(20)).await;
    for number in 0..20 {
        talker.say("lobby", &format!("still here {number}")).await;
    }
    drop(flood);
    http::answers(&proxy.url("/api/instance"), 200, secs(20)).await;
    eventually("it says that it is over", secs(20), async || {
        http::get(&proxy.url("/api/instance")).await;
        program
            .logged("connections can be accepted again")
            .then_some(())
    })
    .await;
    assert_eq!(program.times_logged("cannot accept connections"), 1);

    // It did not spin: each failure is followed by a pause.
    let failures = proxy
        .metric("berth_accept_errors_total", &[("reason", "no_descriptors")])
        .await;
    let failures = failures.expect("failures were counted");
    let pauses = began.elapsed().as_secs_f64() / 0.1;
    assert!(
        (1.0..=pauses + 1.0).contains(&failures),
        "{failures} in {pauses} pauses"
    );
    talker.say("lobby", "and nothing happened").await;
}

#[tokio::test]
async fn no_server_is_ejected_because_the_proxy_has_no_descriptors() {
    let mut plan = Proxy::round_robin().launched_by(LAUNCHER);
    for line in [
        "keepalive = 0",
        "health_check = { interval = \"100ms\", fall = 1 }",
        "fail_open = false",
    ] {
        plan = plan.upstream_line(line);
    }
    let town = Town::with_backends(2).proxy(plan).start().await;
    let (proxy, address) = (town.proxy(), town.proxy().address());
    let mut talker = town.visitor().await;
    talker.join("lobby").await;
    let get = "GET /api/instance HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut guests = Vec::new();
    for _ in 0..4 {
        let mut guest = TcpStream::connect(&address).await.expect("a connection");
        assert_eq!(ask(&mut guest, get).await, 200);
        guests.push(guest);
    }

    let mut flood = Vec::new();
    for _ in 0..FLOOD {
        flood.push(TcpStream::connect(&address).await.expect("a connection"));
    }
    let program = proxy.program();
    program.says("cannot accept connections", secs(20)).await;
    program.says("cannot check", secs(20)).await;

    let upgrade = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    // The first refused one frees the descriptor that a later one may get.
    let heads = [get, upgrade, get, upgrade];
    let asked = guests.iter_mut().zip(heads);
    let asked = asked.map(|(guest, head)| ask(guest, head));
    let statuses = futures_util::future::join_all(asked).await;
    assert!(statuses.contains(&500), "{statuses:?}");
    assert!(
        statuses
            .iter()
            .all(|status| [500, 200, 101].contains(status)),
        "{statuses:?}"
    );
    for number in 0..5 {
        talker.say("lobby", &format!("still here {number}")).await;
    }

    drop((flood, guests));
    http::answers(&proxy.url("/api/instance"), 200, secs(20)).await;
    nobody_is_blamed(&proxy.metrics().await);
    assert!(!program.logged("server is out"));
    assert!(!program.logged("server fails its checks"));
    eventually("both serve", secs(5), async || {
        let up = proxy.metric("berth_upstream_server_up", &[]).await;
        (up == Some(2.0)).then_some(())
    })
    .await;
    talker.say("lobby", "and nothing happened").await;
}
