//! A town: backends, what they share, and the proxy before them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::backend::Backend;
use crate::client::Client;
use crate::eventually::{eventually, secs};
use crate::http;
use crate::proxy::{Proxy, RunningProxy};
use crate::services::{Mongo, Redis};

/// The secret all backends of all towns sign sessions with.
pub const SESSION_SECRET: &str = "a secret for tests";

/// What a town shall be. `start` makes it so.
pub struct TownPlan {
    backends: usize,
    redis: RedisPlan,
    mongo: MongoPlan,
    store: &'static str,
    proxy: Option<Proxy>,
    settings: Vec<(String, String)>,
    launcher: Option<String>,
    launchers: BTreeMap<usize, String>,
}

enum RedisPlan {
    None,
    Running,
    Stopped,
}

enum MongoPlan {
    None,
    Shared,
    Own,
}

impl TownPlan {
    /// A Redis of the town's own.
    #[must_use]
    pub fn redis(mut self) -> Self {
        self.redis = RedisPlan::Running;
        self
    }

    /// A Redis that is configured but not running when the backends start.
    #[must_use]
    pub fn stopped_redis(mut self) -> Self {
        self.redis = RedisPlan::Stopped;
        self
    }

    /// Messages lie in MongoDB.
    #[must_use]
    pub fn mongo(mut self) -> Self {
        self.mongo = MongoPlan::Shared;
        self.store = "mongodb";
        self
    }

    /// Messages lie in a MongoDB that the test may stop.
    #[must_use]
    pub fn own_mongo(mut self) -> Self {
        self.mongo = MongoPlan::Own;
        self.store = "mongodb";
        self
    }

    /// Messages lie in each backend's memory.
    #[must_use]
    pub fn memory(mut self) -> Self {
        self.store = "memory";
        self
    }

    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// An environment variable for every backend.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Shell words to run before each backend, such as a limit it shall live with.
    #[must_use]
    pub fn launched_by(mut self, script: &str) -> Self {
        self.launcher = Some(script.to_owned());
        self
    }

    /// Shell words to run before the backend with this number, from 1, instead.
    #[must_use]
    pub fn launching(mut self, number: usize, script: &str) -> Self {
        self.launchers.insert(number, script.to_owned());
        self
    }

    /// # Panics
    /// When anything does not come up.
    pub async fn start(self) -> Town {
        let directory = TempDir::new().expect("a temporary folder");
        let redis = match self.redis {
            RedisPlan::None => None,
            RedisPlan::Running => Some(Redis::start().await),
            RedisPlan::Stopped => Some(Redis::reserved()),
        };
        let mongo = match self.mongo {
            MongoPlan::None => None,
            MongoPlan::Shared => Some(Mongo::start().await),
            MongoPlan::Own => Some(Mongo::start_own().await),
        };
        let mut environment = self.settings;
        let mut set = |name: &str, value: String| environment.push((name.to_owned(), value));
        set("BERTH_STORE", self.store.to_owned());
        set(
            "BERTH_DATA",
            directory.path().join("data").display().to_string(),
        );
        set("SESSION_SECRET", SESSION_SECRET.to_owned());
        if let Some(redis) = &redis {
            set("REDIS_URL", redis.url());
        }
        if let Some(mongo) = &mongo {
            set("MONGO_URI", mongo.uri().to_owned());
        }
        let mut backends = Vec::new();
        for number in 1..=self.backends {
            let mut backend = Backend::planned(format!("backend-{number}"), environment.clone());
            if let Some(script) = self.launchers.get(&number).or(self.launcher.as_ref()) {
                backend.launched_by(script);
            }
            backend.launch(directory.path());
            backends.push(backend);
        }
        let mut town = Town {
            proxy: None,
            backends,
            redis,
            mongo,
            directory,
        };
        for backend in &mut town.backends {
            backend.is_up().await;
        }
        if let Some(plan) = self.proxy {
            let file = town.path().join("proxy.toml");
            let servers: Vec<usize> = (1..=self.backends).collect();
            let servers = town.servers(&servers);
            town.proxy = Some(RunningProxy::start(plan, file, &servers).await);
        }
        if town.redis.as_ref().is_some_and(Redis::is_running) {
            town.is_clustered().await;
        }
        town
    }
}

/// The running town. Fields are dropped, and so stopped, from the proxy down to the stores.
pub struct Town {
    proxy: Option<RunningProxy>,
    backends: Vec<Backend>,
    redis: Option<Redis>,
    mongo: Option<Mongo>,
    directory: TempDir,
}

impl Town {
    /// Backends on one SQLite file, without Redis and without a proxy, unless the plan says more.
    #[must_use]
    pub fn with_backends(count: usize) -> TownPlan {
        TownPlan {
            backends: count,
            redis: RedisPlan::None,
            mongo: MongoPlan::None,
            store: "sqlite",
            proxy: None,
            settings: Vec::new(),
            launcher: None,
            launchers: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The backend with this number, from 1.
    #[must_use]
    pub fn backend(&self, number: usize) -> &Backend {
        &self.backends[number - 1]
    }

    #[must_use]
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// # Panics
    /// When the plan had no proxy.
    #[must_use]
    pub fn proxy(&self) -> &RunningProxy {
        self.proxy.as_ref().expect("a town with a proxy")
    }

    /// # Panics
    /// When the plan had no proxy.
    pub fn proxy_mut(&mut self) -> &mut RunningProxy {
        self.proxy.as_mut().expect("a town with a proxy")
    }

    /// # Panics
    /// When the plan had no Redis.
    #[must_use]
    pub fn redis(&self) -> &Redis {
        self.redis.as_ref().expect("a town with Redis")
    }

    /// # Panics
    /// When the plan had no Redis.
    pub fn redis_mut(&mut self) -> &mut Redis {
        self.redis.as_mut().expect("a town with Redis")
    }

    /// # Panics
    /// When the plan had no MongoDB.
    #[must_use]
    pub fn mongo(&self) -> &Mongo {
        self.mongo.as_ref().expect("a town with MongoDB")
    }

    /// # Panics
    /// When the plan had no MongoDB.
    pub fn mongo_mut(&mut self) -> &mut Mongo {
        self.mongo.as_mut().expect("a town with MongoDB")
    }

    /// The lines of `servers` for these backends, as the proxy's file wants them.
    #[must_use]
    pub fn servers(&self, numbers: &[usize]) -> Vec<String> {
        let address = |number: &usize| format!("\"{}\"", self.backend(*number).address());
        numbers.iter().map(address).collect()
    }

    /// A client straight to a backend, by WebSocket.
    pub async fn client(&self, number: usize) -> Client {
        self.backend(number).client().await
    }

    /// A client through the proxy, by WebSocket.
    pub async fn visitor(&self) -> Client {
        Client::to(&self.proxy().address()).connect().await
    }

    /// SIGKILL to a backend.
    pub fn kill(&mut self, number: usize) {
        self.backends[number - 1].kill();
    }

    /// SIGTERM to a backend; answers its exit code and what it logged.
    pub async fn stop(&mut self, number: usize, deadline: Duration) -> (Option<i32>, Vec<String>) {
        self.backends[number - 1].stop(deadline).await
    }

    /// Another environment variable for a backend, from its next start on.
    pub fn set(&mut self, number: usize, name: &str, value: &str) {
        self.backends[number - 1].set(name, value);
    }

    /// Starts a stopped or killed backend again, on the same port and data.
    pub async fn restart(&mut self, number: usize) {
        let backend = &mut self.backends[number - 1];
        backend.launch(self.directory.path());
        backend.is_up().await;
    }

    /// Waits until all running backends hear each other: each says that Redis is connected, and Redis knows all of them.
    ///
    /// # Panics
    /// When they do not find each other.
    pub async fn is_clustered(&self) {
        let wanted = format!(":{}", self.backends.len());
        eventually("all backends are on Redis' channel", secs(30), async || {
            let answer = self
                .redis()
                .command(&["PUBSUB", "NUMSUB", "socket.io-request#/#"])
                .await;
            answer.ends_with(&wanted).then_some(())
        })
        .await;
        for backend in &self.backends {
            let what = format!("{} has redis_connection_status 1", backend.name());
            eventually(&what, secs(10), async || {
                let page = backend.metrics().await;
                http::each_is(&page, "redis_connection_status", 1.0).then_some(())
            })
            .await;
        }
    }
}
