//! The real system under a row: which programs, on which store and bus.

use std::net::SocketAddr;
use std::path::PathBuf;

use berth_tests::{Proxy, RunningProxy, Stack, Town};
use serde::Serialize;

/// Backends of a row.
pub(crate) const INSTANCES: usize = 3;
/// A proxy needs two descriptors for each client, of the 20 000 that a process commonly has at most.
const CLIENTS_PER_PROXY_MAX: usize = 8_000;

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
}

impl Pair {
    pub(crate) const ALL: [Self; 3] = [Self::MongoRedis, Self::SqliteHub, Self::SqliteRedis];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::MongoRedis => "mongodb+redis",
            Self::SqliteHub => "sqlite+hub",
            Self::SqliteRedis => "sqlite+redis",
        }
    }
}

/// The running system. Dropping it stops it.
pub(crate) enum Site {
    Processes(Box<Processes>),
    Stack(Stack),
}

pub(crate) struct Processes {
    pub(crate) town: Town,
    /// The first is the one that faults are about.
    pub(crate) proxies: Vec<RunningProxy>,
    is_sqlite: bool,
}

impl Site {
    /// # Panics
    /// When anything does not come up.
    pub(crate) async fn start(pair: Pair, clients: usize, settings: &[(&str, &str)]) -> Self {
        let plan = match pair {
            Pair::SqliteHub => return Self::Stack(Stack::start(INSTANCES).await),
            Pair::MongoRedis => Town::with_backends(INSTANCES).redis().own_mongo(),
            Pair::SqliteRedis => Town::with_backends(INSTANCES).redis(),
        };
        let plan = settings
            .iter()
            .fold(plan, |plan, (name, value)| plan.setting(name, value));
        let town = plan.start().await;
        let servers = town.servers(&(1..=INSTANCES).collect::<Vec<_>>());
        let mut proxies = Vec::new();
        for number in 0..clients.div_ceil(CLIENTS_PER_PROXY_MAX) {
            let file = town.path().join(format!("proxy-{number}.toml"));
            // When all backends died at once, they are tried as soon as they are back, and not after nginx's ten seconds.
            let plan = Proxy::sticky_sid()
                .server_line("drain_timeout = \"2s\"")
                .upstream_line("fail_open = true");
            proxies.push(RunningProxy::start(plan, file, &servers).await);
        }
        let is_sqlite = pair == Pair::SqliteRedis;
        Self::Processes(Box::new(Processes {
            town,
            proxies,
            is_sqlite,
        }))
    }

    /// Where the client with this number connects.
    pub(crate) fn address(&self, client: usize) -> SocketAddr {
        let address = match self {
            Self::Processes(site) => site.proxies[client % site.proxies.len()].address(),
            Self::Stack(stack) => stack.address(),
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
            Self::Processes(site) => site
                .is_sqlite
                .then(|| site.town.path().join("data/chat.db")),
            Self::Stack(stack) => Some(stack.database()),
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
