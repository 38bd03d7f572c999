//! The servers of one upstream, in the order that decides, and what is known about each at this moment.
//!
//! Owns: the fixed facts (`Server`) and the counters (`State`) beside each other. Does not decide whether a server
//! may serve (`health`) nor which one does (`balance`, `choose`). The counters are atomics so that choosing neither
//! locks nor allocates; they are shared by every pool that holds the same server, which is how a reload keeps them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::by_thread::ByThread;
use crate::handshakes::{Bucket, Rate};
use crate::health::Badness;
use crate::health::check::{LastCheck, Standing};
use crate::health::slow_start::Comeback;
use crate::health::window::Window;
use crate::heartbeat::Longest;

use crate::balance::hash_consistent::Ring;

/// Whole seconds on a clock that only goes forward; nginx counts failures in these.
pub type Seconds = u64;

/// One place to dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Ip(SocketAddr),
    Unix(PathBuf),
}

/// What is configured about one server. A name with several addresses is several servers.
#[derive(Clone, Debug)]
pub struct Server {
    /// What stands in the settings, with the address behind it when a name has several.
    pub name: Arc<str>,
    /// What stands in the settings: the same for all addresses behind one name.
    pub configured: Arc<str>,
    pub endpoint: Endpoint,
    pub weight: u32,
    pub max_fails: u32,
    pub fail_timeout: Seconds,
    /// Only failures of the last so many seconds count; `None`: as nginx counts.
    pub failure_window: Option<Seconds>,
    /// How long its weight rises when it comes back; 0: it has it at once.
    pub slow_start: Seconds,
    /// Requests and tunnels that it takes at once; 0 is no limit.
    pub max_conns: u32,
    /// Engine.IO sessions that it begins.
    pub handshakes: Option<Rate>,
    /// No choice depends on how many connections it has, so that each thread may count its own.
    pub counts_apart: bool,
    pub backup: bool,
    pub down: bool,
    /// Whether `state.standing` says anything: somebody asks the server how it is.
    pub has_check: bool,
    /// The value of the sticky cookie that names this server.
    pub mark: Arc<str>,
    /// What names this server in a session id.
    pub tag: Arc<str>,
    pub state: Arc<State>,
}

impl Server {
    /// Whether `max_conns` leaves room for one more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.max_conns == 0 || self.state.connections() < self.max_conns
    }

    /// Takes a place among its connections, even when several ask at the same instant.
    #[must_use]
    pub fn enter(&self) -> bool {
        let (state, max_conns) = (&self.state, self.max_conns);
        if self.counts_apart {
            state.apart().mine().fetch_add(1, Ordering::Relaxed);
            return true;
        }
        state
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                let all = count.wrapping_add(state.connections_apart());
                (max_conns == 0 || all < max_conns).then(|| count.wrapping_add(1))
            })
            .is_ok()
    }

    /// Gives the place back.
    pub fn leave(&self) {
        let connections = if self.counts_apart {
            self.state.apart().mine()
        } else {
            &self.state.connections
        };
        connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What changes about one server while it serves.
#[derive(Debug, Default)]
pub struct State {
    weight: AtomicU32,
    /// Requests and tunnels that use the server now, but for those that threads count apart. One may be counted up
    /// here and down there, so each of the numbers may be below zero, and only their sum means anything.
    pub connections: AtomicU32,
    apart: OnceLock<Box<ByThread<AtomicU32>>>,
    pub(crate) fails: AtomicU32,
    pub(crate) window: Window,
    pub(crate) accessed: AtomicU64,
    pub(crate) checked: AtomicU64,
    pub(crate) effective_weight: AtomicI64,
    /// In parts of a weight: see `slow_start::WHOLE`.
    pub(crate) current_weight: AtomicI64,
    pub(crate) comeback: Comeback,
    /// What the active checks say.
    pub standing: Standing,
    /// The latest of them.
    pub last_check: LastCheck,
    /// Tokens for Engine.IO sessions.
    pub handshakes: Bucket,
    /// How long its Engine.IO connections may be silent, by its own words.
    pub silence: Longest,
}

impl State {
    #[must_use]
    pub fn new(weight: u32) -> Self {
        let state = Self::default();
        state.reweigh(weight);
        state
    }

    /// Requests and tunnels that use the server now.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections
            .load(Ordering::Relaxed)
            .wrapping_add(self.connections_apart())
    }

    fn connections_apart(&self) -> u32 {
        let Some(apart) = self.apart.get() else {
            return 0;
        };
        let counts = apart.all().map(|count| count.load(Ordering::Relaxed));
        counts.fold(0, u32::wrapping_add)
    }

    /// Makes room for what threads count apart, so that no choice has to.
    pub(crate) fn prepare_to_count_apart(&self) {
        self.apart();
    }

    fn apart(&self) -> &ByThread<AtomicU32> {
        self.apart.get_or_init(Box::default)
    }

    /// A changed weight starts its round robin afresh; failures and connections stay known.
    pub fn reweigh(&self, weight: u32) {
        if self.weight.swap(weight, Ordering::Relaxed) != weight {
            self.effective_weight
                .store(i64::from(weight), Ordering::Relaxed);
            self.current_weight.store(0, Ordering::Relaxed);
        }
    }
}

/// All servers of an upstream.
#[derive(Debug, Default)]
pub struct Pool {
    /// Primaries in the settings' order, then backups in the settings' order.
    servers: Vec<Arc<Server>>,
    primaries: usize,
    /// For each primary, the weights up to and with its own.
    reach: Box<[u64]>,
    ring: Arc<Ring>,
    /// The last request found nobody who may serve, and somebody was asked all the same.
    pub(crate) is_failing_open: Arc<AtomicBool>,
}

/// Primaries serve; backups only when no primary may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Primary,
    Backup,
}

impl Pool {
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = Server>) -> Self {
        let (mut primary, backup): (Vec<_>, Vec<_>) = servers
            .into_iter()
            .map(Arc::new)
            .partition(|server| !server.backup);
        let primaries = primary.len();
        let mut sum = 0;
        let reach = primary.iter().map(|server| {
            sum += u64::from(server.weight);
            sum
        });
        let reach = reach.collect();
        primary.extend(backup);
        Self {
            servers: primary,
            primaries,
            reach,
            ring: Arc::default(),
            is_failing_open: Arc::default(),
        }
    }

    /// The same servers in other places of the memory: what is counted about them is shared, who holds them is not.
    #[must_use]
    pub fn replica(&self) -> Self {
        let servers = self.servers.iter();
        Self {
            servers: servers.map(|server| Arc::new((**server).clone())).collect(),
            primaries: self.primaries,
            reach: self.reach.clone(),
            ring: Arc::clone(&self.ring),
            is_failing_open: Arc::clone(&self.is_failing_open),
        }
    }

    /// A pool that `hash_consistent` can choose from.
    #[must_use]
    pub fn with_ring(servers: impl IntoIterator<Item = Server>) -> Self {
        let mut pool = Self::new(servers);
        pool.ring = Arc::new(Ring::of(pool.group(Group::Primary)));
        pool
    }

    /// Empty unless the pool was made `with_ring`.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    #[must_use]
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Arc<Server>> {
        self.servers.get(index)
    }

    /// The servers of a group with their index in the pool.
    pub fn group(&self, group: Group) -> impl Iterator<Item = (usize, &Server)> + Clone {
        let (skip, take) = match group {
            Group::Primary => (0, self.primaries),
            Group::Backup => (self.primaries, self.servers.len() - self.primaries),
        };
        let servers = self.servers.iter().enumerate().skip(skip).take(take);
        servers.map(|(index, server)| (index, &**server))
    }

    #[must_use]
    pub fn primaries(&self) -> usize {
        self.primaries
    }

    /// Of all primaries together. Those that are down or out keep their part.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.reach.last().copied().unwrap_or(0)
    }

    /// The primary whose stretch of the weights holds `point`.
    #[must_use]
    pub fn at_weight(&self, point: u64) -> Option<(usize, &Server)> {
        let index = self.reach.partition_point(|end| *end <= point);
        // A backup has no stretch.
        self.reach.get(index)?;
        Some((index, self.servers.get(index)?))
    }

    /// nginx's single-server rule: nothing is ever held against the only server.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.servers.len() == 1
    }
}

/// Which servers one request has already tried, and how bad a server it takes.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// Nobody may serve, so this is good enough.
    pub(crate) takes: Option<Badness>,
    /// The first `TRIED_INLINE` servers, a bit each.
    first: [u64; TRIED_INLINE / 64],
    /// All others.
    rest: Option<Box<Rest>>,
}

/// So many servers a request remembers in place; only one that tries a server behind them allocates. No more, because
/// every idle WebSocket keeps these bits.
const TRIED_INLINE: usize = 320;

#[derive(Clone, Debug, Default)]
struct Rest(Vec<u64>);

impl Tried {
    pub fn insert(&mut self, index: usize) {
        let (word, bit) = place(index);
        if let Some(above) = word.checked_sub(self.first.len()) {
            let Rest(words) = &mut **self.rest.get_or_insert_default();
            if words.len() <= above {
                words.resize(above + 1, 0);
            }
        }
        if let Some(word) = self.word_mut(word) {
            *word |= bit;
        }
    }

    pub fn remove(&mut self, index: usize) {
        let (word, bit) = place(index);
        if let Some(word) = self.word_mut(word) {
            *word &= !bit;
        }
    }

    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        let (word, bit) = place(index);
        let word = match word.checked_sub(self.first.len()) {
            None => self.first.get(word),
            Some(above) => self.rest.as_ref().and_then(|rest| rest.0.get(above)),
        };
        word.is_some_and(|word| word & bit != 0)
    }

    fn word_mut(&mut self, word: usize) -> Option<&mut u64> {
        match word.checked_sub(self.first.len()) {
            None => self.first.get_mut(word),
            Some(above) => self.rest.as_mut()?.0.get_mut(above),
        }
    }
}

/// In which word a server has its bit.
fn place(index: usize) -> (usize, u64) {
    (index / 64, 1 << (index % 64))
}

#[cfg(test)]
pub(crate) mod tests;
