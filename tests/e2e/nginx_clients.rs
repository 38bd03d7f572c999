//! Who the client is: nginx's realip module and `trusted_proxies` are shown the same chains of hops, over TCP and over
//! Unix sockets, and must see the same client, choose the same server and tell it the same.
//!
//! Where Berth differs, it does so on purpose:
//! - an IPv4 address that is written as `::ffff:a.b.c.d` is that IPv4 address, nginx hashes it as IPv6;
//! - `[2001:db8::1]` without a port is an address, for nginx it is not;
//! - addresses with leading zeros or missing numbers (`010.0.0.1`, `1..2.3`) are none, nginx reads them its own way;
//! - a hop may be parted by a tab, as HTTP allows;
//! - who comes over a Unix socket is believed, nginx has to be told so (`set_real_ip_from unix:`);
//! - the chain is always read past every trusted hop, nginx needs `real_ip_recursive on` for that;
//! - `X-Forwarded-Proto` is believed from whoever is believed with `X-Forwarded-For`.

use std::net::Ipv6Addr;
use std::path::Path;

use berth_tests::{Echo, Nginx, NginxLines, Proxy, RunningProxy, http, secs, within};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::nginx_hash::Dice;

const TRUSTED: [&str; 3] = ["127.0.0.1/32", "10.0.0.0/8", "2001:db8:1::/48"];

/// What a server was told, and which one.
#[derive(Debug, PartialEq)]
struct Seen {
    server: String,
    real_ip: String,
    forwarded_for: String,
}

impl Seen {
    fn of(answer: &str) -> Self {
        let field = |name: &str| {
            let lines = answer.lines().filter_map(|line| line.split_once(": "));
            let mut values = lines.filter(|(field, _)| field.eq_ignore_ascii_case(name));
            values
                .next()
                .map_or_else(String::new, |(_, value)| value.to_owned())
        };
        Self {
            server: field("x-echo"),
            real_ip: field("x-real-ip"),
            forwarded_for: field("x-forwarded-for"),
        }
    }
}

/// Sends the chain, a header line for each part, and reads what comes back.
async fn seen(address: &str, chain: &[String]) -> Seen {
    Seen::of(&http::raw(address, &request(chain)).await)
}

fn request(chain: &[String]) -> Vec<u8> {
    let mut lines = String::from("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    for value in chain {
        lines.push_str(&format!("X-Forwarded-For: {value}\r\n"));
    }
    lines.push_str("\r\n");
    lines.into_bytes()
}

fn address(dice: &mut Dice) -> String {
    let v4 = |dice: &mut Dice, first: u64| {
        let [b, c, d] = [256, 256, 256].map(|sides| dice.roll(sides));
        format!("{first}.{b}.{c}.{d}")
    };
    let v6 = |dice: &mut Dice, first: [u16; 3]| {
        let last = u16::try_from(dice.roll(65_536)).expect("16 bits");
        let [a, b, c] = first;
        Ipv6Addr::new(a, b, c, 0, 0, last, 0, last).to_string()
    };
    match dice.roll(8) {
        0..=2 => v4(dice, 10),
        3 | 4 => {
            let first = 11 + dice.roll(200);
            v4(dice, first)
        }
        5 => v6(dice, [0x2001, 0xdb8, 1]),
        6 => v6(dice, [0x2001, 0xdb8, 7]),
        _ => {
            let first = [10, 50][usize::from(dice.roll(2) == 0)];
            format!("::ffff:{}", v4(dice, first))
        }
    }
}

/// A hop as some proxy may write it.
fn hop(dice: &mut Dice) -> String {
    const GARBAGE: [&str; 9] = [
        "unknown",
        "_hidden",
        "-",
        "300.1.2.3",
        "10.0.0",
        "10.0.0.1.5",
        "1.2.3.4:0",
        "1.2.3.4:99999",
        "[::1",
    ];
    let index = usize::try_from(dice.roll(90)).expect("small");
    if let Some(garbage) = GARBAGE.get(index) {
        return (*garbage).to_owned();
    }
    let address = address(dice);
    match (dice.roll(4), address.contains(':')) {
        (0, true) => format!("[{address}]:{}", 1 + dice.roll(65_535)),
        (0, false) => format!("{address}:{}", 1 + dice.roll(65_535)),
        _ => address,
    }
}

/// One to three header lines of one to four hops.
fn chain(dice: &mut Dice) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..1 + dice.roll(3) {
        let mut line = hop(dice);
        for _ in 0..dice.roll(4) {
            let separators = [", ", ", ", ",", " ", ", , "];
            let index = usize::try_from(dice.roll(5)).expect("small");
            line.push_str(separators[index]);
            line.push_str(&hop(dice));
        }
        if dice.roll(12) == 0 {
            line.push_str(" ,");
        }
        lines.push(line);
    }
    lines
}

struct Five {
    _echoes: Vec<Echo>,
    theirs: String,
    ours: Vec<String>,
}

impl Five {
    async fn start() -> Self {
        let mut echoes = Vec::new();
        for _ in 0..5 {
            echoes.push(Echo::start().await);
        }
        Self::of(echoes)
    }

    fn on_sockets(folder: &Path) -> Self {
        let paths = ["a", "b", "c", "d", "e"].map(|name| folder.join(format!("{name}.sock")));
        Self::of(paths.iter().map(|path| Echo::at(path)).collect())
    }

    fn of(echoes: Vec<Echo>) -> Self {
        let lines = echoes
            .iter()
            .map(|echo| format!("server {};", echo.address()));
        let values = echoes.iter().map(|echo| format!("\"{}\"", echo.address()));
        Self {
            theirs: lines.collect(),
            ours: values.collect(),
            _echoes: echoes,
        }
    }
}

/// nginx tells of a mapped address as it came, and hashes all of it; ours is the one without the mapping.
async fn expected(nginx: &Nginx, chain: &[String]) -> Seen {
    let theirs = seen(&nginx.address(), chain).await;
    let Some(plain) = theirs.real_ip.strip_prefix("::ffff:") else {
        return theirs;
    };
    let same = seen(&nginx.address(), &[plain.to_owned()]).await;
    let unmapped = theirs
        .forwarded_for
        .strip_suffix(&theirs.real_ip)
        .expect("it ends with the client");
    Seen {
        server: same.server,
        real_ip: plain.to_owned(),
        forwarded_for: format!("{unmapped}{plain}"),
    }
}

#[tokio::test]
async fn the_client_behind_many_hops_is_the_same() {
    let five = Five::start().await;
    let real_ip =
        "real_ip_header X-Forwarded-For; real_ip_recursive on; set_real_ip_from 127.0.0.1;
        set_real_ip_from 10.0.0.0/8; set_real_ip_from 2001:db8:1::/48;";
    let lines = NginxLines {
        real_ip,
        ..NginxLines::default()
    };
    let nginx = Nginx::with(&format!("ip_hash; {}", five.theirs), lines).await;
    let folder = TempDir::new().expect("a temporary folder");
    let plan = Proxy::ip_hash().trusting(&TRUSTED);
    let proxy = RunningProxy::before(plan, folder.path(), &five.ours).await;
    let seed = Dice::seed();
    let mut dice = Dice(seed);
    let mut clients = std::collections::HashSet::new();
    for number in 0..500 {
        let chain = chain(&mut dice);
        let ours = seen(&proxy.address(), &chain).await;
        assert_eq!(
            ours,
            expected(&nginx, &chain).await,
            "BERTH_SEED={seed}, chain {number}: {chain:?}"
        );
        clients.insert(ours.real_ip);
    }
    assert!(
        clients.len() > 200,
        "BERTH_SEED={seed}: only {} clients",
        clients.len()
    );
}

#[tokio::test]
async fn without_recursion_nginx_sees_the_same_client_if_the_last_hop_is_no_trusted_one() {
    let five = Five::start().await;
    let lines = NginxLines {
        real_ip: "real_ip_header X-Forwarded-For; set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8;",
        ..NginxLines::default()
    };
    let nginx = Nginx::with(&format!("ip_hash; {}", five.theirs), lines).await;
    let folder = TempDir::new().expect("a temporary folder");
    let plan = Proxy::ip_hash().trusting(&["127.0.0.1", "10.0.0.0/8"]);
    let proxy = RunningProxy::before(plan, folder.path(), &five.ours).await;
    let seed = Dice::seed();
    let mut dice = Dice(seed);
    let mut compared = 0;
    for number in 0..200 {
        let chain = chain(&mut dice);
        let theirs = expected(&nginx, &chain).await;
        if theirs.real_ip.starts_with("10.") {
            continue;
        }
        compared += 1;
        let ours = seen(&proxy.address(), &chain).await;
        assert_eq!(ours, theirs, "BERTH_SEED={seed}, chain {number}: {chain:?}");
    }
    assert!(compared > 50, "BERTH_SEED={seed}: only {compared} chains");
    // The difference itself, which the importer tells of.
    let trusted_last = ["203.0.113.7, 10.0.0.3".to_owned()];
    assert_eq!(
        seen(&nginx.address(), &trusted_last).await.real_ip,
        "10.0.0.3"
    );
    assert_eq!(
        seen(&proxy.address(), &trusted_last).await.real_ip,
        "203.0.113.7"
    );
}

#[tokio::test]
async fn nobody_is_believed_who_is_not_trusted() {
    let five = Five::start().await;
    let lines = NginxLines {
        real_ip: "real_ip_header X-Forwarded-For; real_ip_recursive on; set_real_ip_from 192.0.2.1;",
        ..NginxLines::default()
    };
    let nginx = Nginx::with(&format!("ip_hash; {}", five.theirs), lines).await;
    let folder = TempDir::new().expect("a temporary folder");
    let plan = Proxy::ip_hash().trusting(&["192.0.2.1"]);
    let proxy = RunningProxy::before(plan, folder.path(), &five.ours).await;
    let seed = Dice::seed();
    let mut dice = Dice(seed);
    for number in 0..60 {
        let chain = chain(&mut dice);
        let ours = seen(&proxy.address(), &chain).await;
        let theirs = seen(&nginx.address(), &chain).await;
        assert_eq!(ours, theirs, "BERTH_SEED={seed}, chain {number}: {chain:?}");
        assert_eq!(ours.real_ip, "127.0.0.1");
    }
}

async fn seen_over(path: &Path, chain: &[String]) -> Seen {
    let exchange = async {
        let mut stream = UnixStream::connect(path).await.expect("a connection");
        stream.write_all(&request(chain)).await.expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        Seen::of(&String::from_utf8_lossy(&answer))
    };
    within("an answer over a Unix socket", secs(10), exchange).await
}

#[tokio::test]
async fn clients_and_servers_on_unix_sockets_meet_as_in_nginx() {
    for (method, plan) in [
        ("ip_hash;", Proxy::ip_hash()),
        (
            "hash $remote_addr consistent;",
            Proxy::hash("$remote_addr", true),
        ),
        ("hash $remote_addr;", Proxy::hash("$remote_addr", false)),
    ] {
        let folder = TempDir::new().expect("a temporary folder");
        let five = Five::on_sockets(folder.path());
        let (theirs, ours) = (folder.path().join("nginx"), folder.path().join("berth"));
        let lines = NginxLines {
            real_ip: "real_ip_header X-Forwarded-For; real_ip_recursive on; set_real_ip_from unix:; set_real_ip_from 10.0.0.0/8;",
            server: &format!("listen unix:{};", theirs.display()),
            ..NginxLines::default()
        };
        let _nginx = Nginx::with(&format!("{method} {}", five.theirs), lines).await;
        let plan = plan
            .trusting(&["10.0.0.0/8"])
            .listening(&format!("unix:{}", ours.display()));
        let _proxy = RunningProxy::before(plan, folder.path(), &five.ours).await;
        let seed = Dice::seed();
        let mut dice = Dice(seed);
        let nobody = seen_over(&ours, &[]).await;
        assert_eq!(nobody, seen_over(&theirs, &[]).await, "{method}");
        assert_eq!(nobody.real_ip, "unix:");
        for number in 0..80 {
            let chain = chain(&mut dice);
            if chain.iter().any(|line| line.contains("ffff")) {
                continue;
            }
            assert_eq!(
                seen_over(&ours, &chain).await,
                seen_over(&theirs, &chain).await,
                "BERTH_SEED={seed}, chain {number}: {method} {chain:?}"
            );
        }
    }
}
