//! Asks servers how they are: one small task per server that has a check, for as long as the settings have the server.
//!
//! Owns when and how they are asked; what the answers add up to is `health::check`. Follows every new snapshot, so
//! reloads and changed addresses start and end tasks. Invariant: **what goes wrong on this machine counts for nothing**.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::health::check::{CheckResult, Checked, Count, Verdict};
use crate::health::slow_start;
use crate::pool::{Endpoint, Server};
use crate::registry::{Registry, Snapshot};
use crate::settings::HealthCheck;
use crate::shared::Shared;

mod ask;

use ask::{Trouble, ask};

/// How long a start waits for first verdicts. Longer than a check's default timeout, so that a machine that lost power
/// does not end the wait; short enough that whoever started the proxy does not take it for dead.
const FIRST_VERDICTS_TIMEOUT: Duration = Duration::from_secs(3);
/// Part of the interval by which a pause may be shorter or longer: proxies that started together drift apart.
const JITTER: f64 = 0.1;

/// Begins to ask, and returns when every server has its first verdict or there was time enough for one.
pub(crate) async fn start(shared: &Arc<Shared>) {
    let verdicts = watch::Sender::new(());
    let mut told = verdicts.subscribe();
    tokio::spawn(follow(Arc::clone(shared), verdicts));
    let all_known = async {
        while is_any_pending(&shared.registry) {
            if told.changed().await.is_err() {
                break;
            }
        }
    };
    if timeout(FIRST_VERDICTS_TIMEOUT, all_known).await.is_err() {
        tracing::warn!("some servers did not end their first check in time; starting without");
    }
}

fn is_any_pending(registry: &Registry) -> bool {
    let snapshot = registry.current();
    let mut servers = snapshot
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.pool.servers());
    servers.any(|server| is_asked(server) && server.state.standing.get() == Verdict::Pending)
}

/// A server that is down is left alone: who takes one out to repair it wants no visitors.
fn is_asked(server: &Server) -> bool {
    server.has_check && !server.down
}

/// What tells the tasks apart.
type Key = (Arc<str>, Arc<str>, Endpoint);

/// One server that is asked.
#[derive(Clone)]
struct Subject {
    upstream: Arc<str>,
    server: Arc<Server>,
    check: Arc<HealthCheck>,
}

impl Subject {
    fn key(&self) -> Key {
        let Self {
            upstream, server, ..
        } = self;
        let name = Arc::clone(&server.name);
        (Arc::clone(upstream), name, server.endpoint.clone())
    }

    /// Whether the task of one does for the other.
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.server.state, &other.server.state) && self.check == other.check
    }
}

/// A subject's task; it ends with this.
struct Task {
    subject: Subject,
    handle: AbortHandle,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Keeps exactly the tasks that the snapshot wants, until the runtime ends.
async fn follow(shared: Arc<Shared>, verdicts: watch::Sender<()>) {
    let mut news = shared.registry.news();
    let mut tasks: HashMap<Key, Task> = HashMap::new();
    loop {
        let wanted = subjects(&shared.registry.current());
        tasks.retain(|key, task| {
            wanted
                .get(key)
                .is_some_and(|subject| subject.is_same(&task.subject))
        });
        for (key, subject) in wanted {
            if let Entry::Vacant(vacant) = tasks.entry(key) {
                let watching = watch_one(subject.clone(), Arc::clone(&shared), verdicts.clone());
                let handle = tokio::spawn(watching).abort_handle();
                vacant.insert(Task { subject, handle });
            }
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

fn subjects(snapshot: &Snapshot) -> HashMap<Key, Subject> {
    let mut subjects = HashMap::new();
    for upstream in &snapshot.upstreams {
        let Some(check) = &upstream.health_check else {
            continue;
        };
        for server in upstream.pool.servers().iter().filter(|it| is_asked(it)) {
            let subject = Subject {
                upstream: Arc::clone(&upstream.name),
                server: Arc::clone(server),
                check: Arc::clone(check),
            };
            subjects.insert(subject.key(), subject);
        }
    }
    subjects
}

async fn watch_one(subject: Subject, shared: Arc<Shared>, verdicts: watch::Sender<()>) {
    let Subject {
        upstream,
        server,
        check,
    } = &subject;
    let standing = &server.state.standing;
    let mut count = Count::new(check.rise, check.fall, standing.get());
    loop {
        let asked = ask(server, check).await;
        let result = match &asked {
            Ok(()) => CheckResult::Passed,
            Err(Trouble::Theirs(_)) => CheckResult::Failed,
            Err(Trouble::Ours(error)) => {
                tracing::debug!(upstream = &**upstream, server = &*server.name, %error, "cannot check");
                CheckResult::Local
            }
        };
        shared
            .metrics
            .health_checked(upstream, &server.name, result);
        server.state.last_check.set(Checked {
            result,
            why: asked.as_ref().err().map(ToString::to_string),
            at: shared.clock.seconds(),
        });
        let before = count.verdict();
        if let Some(verdict) = count.take(result) {
            // Before the verdict is seen, or its first requests would find it at full weight.
            match (before, verdict) {
                (Verdict::Unwell, Verdict::Well) => {
                    slow_start::begin(server, shared.clock.seconds())
                }
                (Verdict::Pending, Verdict::Well) => {
                    slow_start::begin_if_added(server, shared.clock.seconds())
                }
                _ => {}
            }
            tell(&subject, (before, verdict), asked.err());
        }
        // Also when nothing changed: the task before this one may have had a last word.
        standing.set(count.verdict());
        verdicts.send_replace(());
        sleep(jittered(check.interval, rand::random())).await;
    }
}

fn tell(subject: &Subject, change: (Verdict, Verdict), trouble: Option<Trouble>) {
    let (upstream, server) = (&*subject.upstream, &*subject.server.name);
    match change {
        // That a new server is well is nothing to write about.
        (Verdict::Pending, Verdict::Well) | (_, Verdict::Pending) => {}
        (_, Verdict::Well) => tracing::info!(upstream, server, "server passes its checks again"),
        (_, Verdict::Unwell) => {
            let why = trouble.map(tracing::field::display);
            tracing::warn!(upstream, server, why, "server fails its checks");
        }
    }
}

/// Up to a tenth shorter or longer; `roll` is from 0 to 1.
pub(crate) fn jittered(interval: Duration, roll: f64) -> Duration {
    interval.mul_f64(1.0 + JITTER * (2.0 * roll - 1.0))
}

#[cfg(test)]
mod tests;
