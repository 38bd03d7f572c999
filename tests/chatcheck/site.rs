//! The real system under a row: which programs, on which store and bus.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_tests::{Proxy, RunningProxy, Stack, Town, TownPlan};
use serde::Serialize;
use tokio::time::sleep;

/// Backends of a row.
pub(crate) const INSTANCES: usize = 3;
/// A proxy needs two descriptors for each client, of the 20 000 that a process commonly has at most.
const CLIENTS_PER_PROXY_MAX: usize = 8_000;
/// `berth up` needs three, as proxy and backend are one process. More clients come through proxies of their own, and cost it one.
const CLIENTS_OF_STACK_MAX: usize = 6_000;

/// What keeps the messages, and what carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Pair {
    /// Backend processes on MongoDB and Redis.
    #[serde(rename = "mongodb+redis")]
    MongoRedis,
    /// `berth up`: one process on SQLite and the hub.
    #[serde(rename = "sqlite+hub")]
    SqliteHub,
    /// Backend processes that share one SQLite file, and Redis.
    #[serde(rename = "sqlite+redis")]
    SqliteRedis,
    /// Backend processes that share one SQLite file and nothing else: they follow each other's messages in the file.
    #[serde(rename = "sqlite")]
    SqliteAlone,
}

impl Pair {
    pub(crate) const ALL: [Self; 4] = [
        Self::MongoRedis,
        Self::SqliteHub,
        Self::SqliteRedis,
        Self::SqliteAlone,
    ];

    /// Whether servers know who is at the others.
    pub(crate) fn shares_presence(self) -> bool {
        self != Self::SqliteAlone
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::MongoRedis => "mongodb+redis",
            Self::SqliteHub => "sqlite+hub",
            Self::SqliteRedis => "sqlite+redis",
            Self::SqliteAlone => "sqlite",
        }
    }
}

/// One backend lives an hour ahead, another an hour behind. Their timers run as always.
///
/// # Panics
/// When libfaketime is not there.
fn skewed(plan: TownPlan) -> TownPlan {
    let library = format!(
        "/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1",
        std::env::consts::ARCH
    );
    let is_there = Path::new(&library).is_file();
    assert!(
        is_there,
        "{library} is missing (Debian: apt-get install faketime)"
    );
    let script =
        |skew: &str| format!("export LD_PRELOAD={library} FAKETIME={skew} DONT_FAKE_MONOTONIC=1");
    plan.launching(1, &script("+1h"))
        .launching(2, &script("-1h"))
}

async fn start_proxies(clients: usize, folder: &Path, servers: &[String]) -> Vec<RunningProxy> {
    let mut proxies = Vec::new();
    for number in 0..clients.div_ceil(CLIENTS_PER_PROXY_MAX) {
        let file = folder.join(format!("proxy-{number}.toml"));
        // When all backends died at once, they are tried as soon as they are back, and not after nginx's ten seconds.
        let plan = Proxy::sticky_sid()
            .server_line("drain_timeout = \"2s\"")
            .upstream_line("fail_open = true");
        proxies.push(RunningProxy::start(plan, file, servers).await);
    }
    proxies
}

impl Stacked {
    async fn start(clients: usize) -> Self {
        let stack = Stack::start(INSTANCES).await;
        let proxies = if clients > CLIENTS_OF_STACK_MAX {
            start_proxies(clients, stack.data(), &stack.servers()).await
        } else {
            Vec::new()
        };
        Self { stack, proxies }
    }

    /// SIGKILL, and up again after a while.
    ///
    /// # Panics
    /// When it does not come up where it was.
    pub(crate) async fn kill(&mut self, away: Duration) {
        let before = self.stack.servers();
        self.stack.kill();
        sleep(away).await;
        self.stack.start_again().await;
        let is_same = self.proxies.is_empty() || self.stack.servers() == before;
        assert!(is_same, "the backends came up on other ports");
    }
}

/// The running system. Dropping it stops it.
pub(crate) enum Site {
    Processes(Box<Processes>),
    Stack(Box<Stacked>),
}

pub(crate) struct Stacked {
    pub(crate) stack: Stack,
    /// For crowds; a few go through the one inside.
    proxies: Vec<RunningProxy>,
}

pub(crate) struct Processes {
    pub(crate) town: Town,
    /// The first is the one that faults are about.
    pub(crate) proxies: Vec<RunningProxy>,
    pair: Pair,
}

impl Site {
    /// # Panics
    /// When anything does not come up.
    pub(crate) async fn start(pair: Pair, clients: usize, is_skewed: bool) -> Self {
        let plan = match pair {
            Pair::SqliteHub => return Self::Stack(Box::new(Stacked::start(clients).await)),
            Pair::MongoRedis => Town::with_backends(INSTANCES).redis().own_mongo(),
            Pair::SqliteRedis => Town::with_backends(INSTANCES).redis(),
            Pair::SqliteAlone => Town::with_backends(INSTANCES),
        };
        let plan = if is_skewed { skewed(plan) } else { plan };
        let town = plan.start().await;
        let servers = town.servers(&(1..=INSTANCES).collect::<Vec<_>>());
        let proxies = start_proxies(clients, town.path(), &servers).await;
        Self::Processes(Box::new(Processes {
            town,
            proxies,
            pair,
        }))
    }

    pub(crate) fn pair(&self) -> Pair {
        match self {
            Self::Processes(site) => site.pair,
            Self::Stack(_) => Pair::SqliteHub,
        }
    }

    /// Where the client with this number connects.
    pub(crate) fn address(&self, client: usize) -> SocketAddr {
        let proxies = match self {
            Self::Processes(site) => &site.proxies,
            Self::Stack(site) => &site.proxies,
        };
        let address = match (proxies.len(), self) {
            (0, Self::Stack(site)) => site.stack.address(),
            (count, _) => proxies[client % count].address(),
        };
        address.parse().expect("an address of our own")
    }

    /// A page of the REST API, through the proxy.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address(0))
    }

    /// The SQLite file, where there is one.
    pub(crate) fn database(&self) -> Option<PathBuf> {
        match self {
            Self::Processes(site) => {
                (site.pair != Pair::MongoRedis).then(|| site.town.path().join("data/chat.db"))
            }
            Self::Stack(site) => Some(site.stack.database()),
        }
    }

    /// MongoDB, where there is no SQLite file.
    pub(crate) fn mongo_uri(&self) -> Option<&str> {
        match self {
            Self::Processes(site) if site.pair == Pair::MongoRedis => Some(site.town.mongo().uri()),
            Self::Processes(_) | Self::Stack(_) => None,
        }
    }

    /// The backend processes.
    ///
    /// # Panics
    /// When they are one with the proxy.
    pub(crate) fn processes(&mut self) -> &mut Processes {
        match self {
            Self::Processes(site) => site,
            Self::Stack(_) => panic!("this row needs a process for each backend"),
        }
    }
}
