//! Every method that aims a client at one server aims as a real nginx does: random servers, of which some are down and
//! some dead, and random clients, one after the other so that even what goes round robin must agree.
//!
//! Each run draws new cases; a mismatch tells its seed, and `BERTH_SEED` draws that case again.

use std::hash::{BuildHasher, RandomState};

use berth_tests::{Echo, Nginx, Port, Proxy, RunningProxy, http, variable};
use tempfile::TempDir;

/// Random numbers that a seed brings back (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn seed() -> u64 {
        variable("BERTH_SEED").map_or_else(
            || RandomState::new().hash_one("seed") % 1_000_000_000,
            |seed| seed.parse().expect("BERTH_SEED is a number"),
        )
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// IPv4, or IPv6 with zeros in all places that are written in some special way.
    pub(crate) fn address(&mut self) -> String {
        if self.roll(3) > 0 {
            let [a, b, c, d] = [223, 256, 256, 256].map(|sides| self.roll(sides));
            return format!("{}.{b}.{c}.{d}", a + 1);
        }
        let zeros = self.roll(3) * self.roll(8);
        let groups = [0, 1, 2, 3, 4, 5, 6, 7].map(|place| match self.roll(3) {
            _ if place < zeros => 0,
            0 => 0,
            1 => u16::from(self.roll(2) == 0),
            _ => u16::try_from(self.roll(65_536)).expect("16 bits"),
        });
        std::net::Ipv6Addr::from(groups).to_string()
    }
}

/// One line of the upstream.
struct Line {
    address: String,
    weight: u64,
    is_down: bool,
    _echo: Result<Echo, Port>,
}

impl Line {
    /// Nobody is ever ejected: what happens to one client must not depend on the second in which another came.
    fn nginx(&self) -> String {
        let down = if self.is_down { " down" } else { "" };
        format!(
            "server {} weight={} max_fails=0{down};",
            self.address, self.weight
        )
    }

    fn berth(&self) -> String {
        format!(
            "{{ address = \"{}\", weight = {}, max_fails = 0, down = {} }}",
            self.address, self.weight, self.is_down
        )
    }
}

/// Two to eight servers; the first one serves.
async fn lines(dice: &mut Dice) -> Vec<Line> {
    let mut lines = Vec::new();
    for index in 0..2 + dice.roll(7) {
        let weight = [1, 1, 2, 5, 17]
            .into_iter()
            .nth(usize::try_from(dice.roll(5)).expect("small"))
            .expect("one of five");
        let is_down = index > 0 && dice.roll(4) == 0;
        let is_dead = index > 0 && dice.roll(5) == 0;
        let echo = if is_dead {
            Err(Port::reserve())
        } else {
            Ok(Echo::start().await)
        };
        let address = match &echo {
            Ok(echo) => echo.address(),
            Err(port) => port.address(),
        };
        lines.push(Line {
            address,
            weight,
            is_down,
            _echo: echo,
        });
    }
    lines
}

/// Who answers: the server's address.
async fn chosen(client: &reqwest::Client, url: String, address: &str) -> String {
    let request = client
        .get(&url)
        .header("x-forwarded-for", address)
        .header("cookie", format!("user={address}"));
    let answer = request.send().await.expect("an answer");
    let name = answer
        .headers()
        .get("x-echo")
        .and_then(|name| name.to_str().ok());
    name.map_or_else(|| format!("status {}", answer.status()), str::to_owned)
}

/// Asks nginx with these lines and the proxy for `clients` random clients with random paths.
async fn agree(method: &str, proxy: impl Fn() -> Proxy, cases: u64, clients: usize) {
    let first_seed = Dice::seed();
    for seed in first_seed..first_seed + cases {
        let mut dice = Dice(seed);
        let lines = lines(&mut dice).await;
        let theirs: String = lines.iter().map(Line::nginx).collect();
        let ours: Vec<String> = lines.iter().map(Line::berth).collect();
        let nginx = Nginx::start(&format!("{method} {theirs}")).await;
        let folder = TempDir::new().expect("a temporary folder");
        let proxy = RunningProxy::before(proxy().behind_localhost(), folder.path(), &ours).await;
        let client = http::client();
        for number in 0..clients {
            let address = dice.address();
            let path = format!("/r%6Fom//{}/?sid={}", dice.roll(50), dice.roll(1000));
            let (theirs_chose, ours_chose) = tokio::join!(
                chosen(&client, nginx.url(&path), &address),
                chosen(&client, proxy.url(&path), &address)
            );
            assert_eq!(
                ours_chose, theirs_chose,
                "BERTH_SEED={seed}, client {number} {address} {path}: {method} {theirs}"
            );
        }
    }
}

#[tokio::test]
async fn ip_hash_of_random_servers() {
    agree("ip_hash;", Proxy::ip_hash, 4, 400).await;
}

#[tokio::test]
async fn hash_of_the_address() {
    agree(
        "hash $remote_addr;",
        || Proxy::hash("$remote_addr", false),
        4,
        400,
    )
    .await;
}

#[tokio::test]
async fn consistent_hash_of_the_address() {
    agree(
        "hash $remote_addr consistent;",
        || Proxy::hash("$remote_addr", true),
        4,
        400,
    )
    .await;
}

#[tokio::test]
async fn consistent_hash_of_the_binary_address() {
    let key = "$binary_remote_addr";
    agree(
        &format!("hash {key} consistent;"),
        || Proxy::hash(key, true),
        2,
        400,
    )
    .await;
}

#[tokio::test]
async fn hash_of_what_a_request_says() {
    for key in [
        "$request_uri",
        "$uri",
        "$host$arg_sid",
        "$cookie_user",
        "$http_x_forwarded_for-$arg_none",
        "$arg_none",
    ] {
        let quoted = format!("hash \"{key}\";");
        agree(&quoted, || Proxy::hash(key, false), 1, 150).await;
    }
}
