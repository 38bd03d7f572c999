//! What goes wrong in a row, and how it is done to real processes.

use std::path::Path;
use std::time::Duration;

use berth_tests::{Program, secs};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::history::History;
use crate::site::{INSTANCES, Pair, Site};

/// What goes wrong while clients talk. What clients themselves do is in their habits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing, for this long.
    None,
    KillOne,
    KillAll,
    /// A zombie: it stands still and comes back.
    FreezeOne,
    /// SIGTERM to one backend after the other, as a rolling deploy does.
    Deploy,
    RedisRestart,
    RedisFlush,
    RedisPause,
    RedisDown,
    StoreRestart,
    StorePause,
    ProxyKill,
    ProxyStop,
    ProxyReload,
    /// The clocks of two backends are wrong from the start.
    Skew,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dose {
    pub(crate) times: usize,
    /// How long something stands still or is away.
    pub(crate) lasts: Duration,
    /// Between two times, and after the last.
    pub(crate) pause: Duration,
}

impl Fault {
    /// Whether it can be done there.
    pub(crate) fn suits(self, pair: Pair) -> bool {
        match self {
            Self::None | Self::KillAll | Self::FreezeOne | Self::StorePause => true,
            Self::StoreRestart => pair == Pair::MongoRedis,
            Self::RedisRestart | Self::RedisFlush | Self::RedisPause | Self::RedisDown => {
                matches!(pair, Pair::MongoRedis | Pair::SqliteRedis)
            }
            Self::KillOne
            | Self::Deploy
            | Self::ProxyKill
            | Self::ProxyStop
            | Self::ProxyReload
            | Self::Skew => pair != Pair::SqliteHub,
        }
    }

    /// Does it, and returns when everything runs again.
    ///
    /// # Panics
    /// When something does not come back.
    pub(crate) async fn inject(self, site: &mut Site, dose: Dose, history: &History) {
        for time in 0..dose.times {
            self.once(site, time, dose, history).await;
            sleep(dose.pause).await;
        }
    }

    async fn once(self, site: &mut Site, time: usize, dose: Dose, history: &History) {
        let number = time % INSTANCES + 1;
        match self {
            Self::None | Self::Skew => {}
            Self::KillOne => {
                let town = &mut site.processes().town;
                history.fault(format!("kill -9 backend-{number}"));
                town.kill(number);
                sleep(dose.lasts).await;
                town.restart(number).await;
                history.fault(format!("backend-{number} is back"));
            }
            Self::Deploy => {
                let town = &mut site.processes().town;
                history.fault(format!("SIGTERM backend-{number}"));
                town.stop(number, secs(30)).await;
                town.restart(number).await;
                history.fault(format!("backend-{number} is back"));
            }
            Self::KillAll => kill_all(site, dose, history).await,
            Self::FreezeOne => match site {
                Site::Processes(site) => {
                    let program = site.town.backend(number).program();
                    freeze(&format!("backend-{number}"), program, dose, history).await;
                }
                Site::Stack(site) => freeze("berth", site.stack.program(), dose, history).await,
            },
            Self::RedisRestart | Self::RedisFlush | Self::RedisPause | Self::RedisDown => {
                self.redis(site, time, dose, history).await;
            }
            Self::StoreRestart | Self::StorePause => self.store(site, dose, history).await,
            Self::ProxyKill | Self::ProxyStop | Self::ProxyReload => {
                self.proxy(site, dose, history).await;
            }
        }
    }

    async fn redis(self, site: &mut Site, time: usize, dose: Dose, history: &History) {
        let redis = site.processes().town.redis_mut();
        match self {
            Self::RedisFlush => {
                history.fault("FLUSHALL");
                redis.command(&["FLUSHALL"]).await;
            }
            Self::RedisPause if time.is_multiple_of(2) => {
                freeze("redis", redis.program(), dose, history).await;
            }
            Self::RedisPause => {
                history.fault("CLIENT PAUSE");
                let ms = dose.lasts.as_millis().to_string();
                redis.command(&["CLIENT", "PAUSE", &ms, "ALL"]).await;
                sleep(dose.lasts).await;
                history.fault("redis goes on");
            }
            _ => {
                history.fault("stop redis");
                redis.stop().await;
                if self == Self::RedisDown {
                    sleep(dose.lasts).await;
                }
                redis.start_again().await;
                history.fault("redis is back");
            }
        }
    }

    async fn store(self, site: &mut Site, dose: Dose, history: &History) {
        if let Some(file) = site.database() {
            return lock(&file, dose, history).await;
        }
        let mongo = site.processes().town.mongo_mut();
        if self == Self::StorePause {
            return freeze("mongod", mongo.program(), dose, history).await;
        }
        history.fault("stop mongod");
        mongo.stop().await;
        mongo.start_again().await;
        history.fault("mongod is back");
    }

    async fn proxy(self, site: &mut Site, dose: Dose, history: &History) {
        let site = site.processes();
        let proxy = &mut site.proxies[0];
        match self {
            Self::ProxyReload => {
                history.fault("reload without the last backend");
                let all: Vec<usize> = (1..=INSTANCES).collect();
                proxy.write(&site.town.servers(&all[..INSTANCES - 1]));
                proxy.reload("success").await;
                sleep(dose.lasts).await;
                history.fault("reload with all backends");
                proxy.write(&site.town.servers(&all));
                proxy.reload("success").await;
            }
            Self::ProxyKill => {
                history.fault("kill -9 proxy");
                proxy.kill();
                sleep(dose.lasts).await;
                proxy.start_again().await;
                history.fault("the proxy is back");
            }
            _ => {
                history.fault("SIGTERM proxy");
                proxy.stop(Signal::SIGTERM, secs(30)).await;
                proxy.start_again().await;
                history.fault("the proxy is back");
            }
        }
    }
}

async fn kill_all(site: &mut Site, dose: Dose, history: &History) {
    history.fault("kill -9 of all");
    match site {
        Site::Processes(site) => {
            for number in 1..=INSTANCES {
                site.town.kill(number);
            }
            sleep(dose.lasts).await;
            for number in 1..=INSTANCES {
                site.town.restart(number).await;
            }
        }
        Site::Stack(site) => site.kill(dose.lasts).await,
    }
    history.fault("all are back");
}

async fn freeze(name: &str, program: &Program, dose: Dose, history: &History) {
    history.fault(format!("SIGSTOP {name}"));
    program.signal(Signal::SIGSTOP);
    sleep(dose.lasts).await;
    program.signal(Signal::SIGCONT);
    history.fault(format!("SIGCONT {name}"));
}

/// Another process writes for a long time.
async fn lock(file: &Path, dose: Dose, history: &History) {
    let database = rusqlite::Connection::open(file).expect("the database");
    database
        .busy_timeout(secs(10))
        .expect("a timeout for locks");
    database.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    history.fault("the database is locked");
    sleep(dose.lasts).await;
    database
        .execute_batch("ROLLBACK")
        .expect("the end of the lock");
    history.fault("the database is free");
}
