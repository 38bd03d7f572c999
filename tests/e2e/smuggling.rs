//! Requests that different programs read differently, sent through the proxy, nginx and HAProxy side by side.
//!
//! What reaches a server must mean one thing to every server, however kindly it reads: so many requests as the client
//! was answered, each with a head that the client sent as one. What nginx and HAProxy both refuse, the proxy refuses.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use berth_tests::recorder::answered;
use berth_tests::{Haproxy, Nginx, NginxLines, Proxy, Read, Reader, Recorder, RunningProxy, secs};
use futures_util::StreamExt;
use futures_util::stream::iter;
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

mod answers;
mod cases;

use cases::{Case, Want};

/// How long a proxy that is not Berth may be silent before it counts as waiting for more.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a client got for its bytes.
#[derive(Debug)]
struct Verdict {
    /// All status codes, in their order.
    statuses: Vec<u16>,
    /// The requests that the server answered.
    answered: Vec<String>,
}

impl Verdict {
    fn of(got: &[u8]) -> Self {
        let text = String::from_utf8_lossy(got);
        let codes = text.split("HTTP/1.").skip(1);
        let codes = codes.filter_map(|rest| rest.get(2..5)?.parse().ok());
        Self {
            statuses: codes.filter(|code| *code >= 200).collect(),
            answered: answered(got),
        }
    }

    fn has_come(&self, want: Want) -> bool {
        let (Want::Passed(passed) | Want::Refused(passed) | Want::Ends(passed)) = want;
        let more = usize::from(matches!(want, Want::Refused(_)));
        self.statuses.len() >= passed + more
    }

    fn is(&self, want: Want) -> bool {
        let (Want::Passed(passed) | Want::Refused(passed) | Want::Ends(passed)) = want;
        let rest = self.statuses.get(passed..).unwrap_or_default();
        self.answered.len() == passed
            && match want {
                Want::Passed(_) => rest.is_empty(),
                Want::Refused(_) => matches!(rest, [400..=599]),
                Want::Ends(_) => matches!(rest, [] | [400..=599]),
            }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let statuses = self.statuses.iter().map(u16::to_string);
        let text = statuses.collect::<Vec<_>>().join(" ");
        formatter.pad(if text.is_empty() { "closed" } else { &text })
    }
}

/// Sends a case's bytes and takes what comes until there is no more.
async fn ask(address: &str, bytes: &[u8], want: Want) -> Verdict {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut got, mut buffer, mut is_open) = (Vec::new(), [0; 4096], true);
    // Whoever refuses need not read it all.
    let _sent = stream.write_all(bytes).await;
    loop {
        let patience = if is_open { PATIENCE } else { secs(5) };
        match timeout(patience, stream.read(&mut buffer)).await {
            Ok(Ok(count @ 1..)) => got.extend_from_slice(&buffer[..count]),
            Ok(_) => break,
            Err(_) if !is_open => break,
            Err(_) => {}
        }
        let is_quiet = Verdict::of(&got).has_come(want) || got.is_empty();
        if is_open && is_quiet {
            is_open = false;
            let _told = stream.shutdown().await;
        }
    }
    Verdict::of(&got)
}

/// The verdicts of a proxy that only has to be compared with.
async fn verdicts(address: &str, cases: &[Case]) -> Vec<Verdict> {
    let asked = cases.iter().enumerate();
    let asked = asked
        .map(|(number, case)| async move { ask(address, &case.bytes(number), case.want).await });
    iter(asked).buffered(8).collect().await
}

/// Everything the proxy sent, read by every reader; by the number of the case.
fn seen(connections: &[Vec<u8>], wrong: &mut String) -> BTreeMap<usize, Vec<Read>> {
    let mut seen: BTreeMap<usize, Vec<Read>> = BTreeMap::new();
    for bytes in connections {
        let by_the_book = Reader::Strict.all(bytes);
        for reader in Reader::ALL {
            let read = reader.all(bytes);
            if read != by_the_book {
                let shown = String::from_utf8_lossy(bytes);
                writeln!(
                    wrong,
                    "{reader:?} reads {read:?} instead of {by_the_book:?} in {shown:?}"
                )
                .unwrap();
            }
        }
        for read in by_the_book {
            let number = read
                .asked
                .split('/')
                .nth(1)
                .and_then(|number| number.parse().ok());
            seen.entry(number.unwrap_or(usize::MAX))
                .or_default()
                .push(read);
        }
    }
    seen
}

#[tokio::test]
async fn nothing_is_smuggled_past_the_proxy() {
    let cases = cases::all();
    assert!(cases.len() >= 80, "only {} cases", cases.len());
    let (behind_us, behind_nginx, behind_haproxy) =
        tokio::join!(Recorder::start(), Recorder::start(), Recorder::start());
    let folder = tempfile::tempdir().unwrap();
    let plan = Proxy::round_robin().server_line("body_bytes_max = \"1MiB\"");
    let server = format!("{{ address = \"{}\" }}", behind_us.address());
    let mut proxy = RunningProxy::before(plan, folder.path(), &[server]).await;
    let upstream = format!("server {}; keepalive 4;", behind_nginx.address());
    let lines = NginxLines {
        location: "proxy_ignore_client_abort on;",
        ..NginxLines::default()
    };
    let nginx = Nginx::with(&upstream, lines).await;
    let haproxy = Haproxy::start(&behind_haproxy.address()).await;
    // One after the other, so that each case meets the connections that those before it left.
    let (address, mut ours) = (proxy.address(), Vec::new());
    for (number, case) in cases.iter().enumerate() {
        ours.push(ask(&address, &case.bytes(number), case.want).await);
    }
    let (nginx_address, haproxy_address) = (nginx.address(), haproxy.address());
    let (nginxs, haproxys) = tokio::join!(
        verdicts(&nginx_address, &cases),
        verdicts(&haproxy_address, &cases)
    );
    proxy.stop(Signal::SIGTERM, secs(20)).await;

    let mut wrong = String::new();
    let connections = behind_us.connections().await;
    let mut seen = seen(&connections, &mut wrong);
    let mut table = format!("{:<58} {:<12} {:<12} HAProxy\n", "case", "Berth", "nginx");
    for (number, (case, ours)) in cases.iter().zip(&ours).enumerate() {
        let (nginx, haproxy) = (&nginxs[number], &haproxys[number]);
        writeln!(table, "{:<58} {ours:<12} {nginx:<12} {haproxy}", case.name).unwrap();
        let seen = seen.remove(&number).unwrap_or_default();
        for complaint in complaints(case, ours, (nginx, haproxy), &seen) {
            writeln!(wrong, "{}: {complaint}", case.name).unwrap();
        }
    }
    print(&table);
    assert!(seen.is_empty(), "requests of no case: {seen:?}");
    let all = connections.concat();
    let all = String::from_utf8_lossy(&all);
    assert!(!all.contains("6.6.6.6"), "a spoofed field passed: {all}");
    assert!(wrong.is_empty(), "{wrong}");
}

fn complaints(
    case: &Case,
    ours: &Verdict,
    (nginx, haproxy): (&Verdict, &Verdict),
    seen: &[Read],
) -> Vec<String> {
    let mut complaints = Vec::new();
    if !ours.is(case.want) {
        complaints.push(format!("{:?} is wanted, {ours:?} came", case.want));
    }
    let whole = seen
        .iter()
        .filter(|read| read.is_whole)
        .map(|read| &read.asked);
    if !whole.eq(&ours.answered) {
        complaints.push(format!(
            "the server saw {seen:?}, the client was answered {:?}",
            ours.answered
        ));
    }
    if seen.iter().any(|read| read.asked.contains("smuggled")) {
        complaints.push(format!("smuggled: {seen:?}"));
    }
    let others = nginx.answered.len().max(haproxy.answered.len());
    if ours.answered.len() > others && case.why.is_empty() {
        complaints.push("nginx and HAProxy both refuse it".to_owned());
    }
    if ours.answered.len() <= others && !case.why.is_empty() {
        complaints.push("its reason is not needed".to_owned());
    }
    complaints
}

#[allow(
    clippy::print_stderr,
    reason = "what three proxies say is the test's result"
)]
fn print(table: &str) {
    eprintln!("{table}");
}
