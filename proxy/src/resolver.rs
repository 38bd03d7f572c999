//! Looks up the names of servers: at the start, at every reload, and again while the proxy runs.
//!
//! A failed lookup keeps the last answer; a name that never had one is tried again every five seconds. Answers are
//! sorted, so that a resolver that rotates them does not move anybody under `ip_hash`.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::Clock;
use crate::registry::{Addresses, Name, Registry, names};
use crate::settings::{ServerAddress, Settings};

/// How soon a name without any address is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// What one lookup may take; a start or a reload waits for it.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// What one question about a name brings, in any order.
type Found = io::Result<Vec<SocketAddr>>;

/// Asks as the system is set up to: `/etc/hosts`, DNS, whatever `nsswitch.conf` says.
pub(crate) async fn system((host, port): Name) -> Found {
    let found = tokio::net::lookup_host((host.as_str(), port)).await?;
    Ok(found.collect())
}

/// Looks up names side by side; those without an answer are missing from the result and given to `tell`.
async fn look_up<F>(
    names: Vec<Name>,
    ask: impl Fn(Name) -> F,
    mut tell: impl FnMut(Name, io::Error),
) -> Addresses
where
    F: Future<Output = Found> + Send + 'static,
{
    let mut lookups = JoinSet::new();
    for name in names {
        let asked = ask(name.clone());
        lookups.spawn(async move { (name, settled(asked).await) });
    }
    let mut addresses = Addresses::new();
    while let Some(joined) = lookups.join_next().await {
        match joined {
            Ok((name, Ok(found))) => {
                addresses.insert(name, found);
            }
            Ok((name, Err(error))) => tell(name, error),
            Err(error) => tracing::error!(%error, "a lookup did not end"),
        }
    }
    addresses
}

fn warn((host, port): &Name, error: &io::Error) {
    tracing::warn!(host, port, %error, "server name has no address");
}

/// The answer in time and in an order of its own.
async fn settled(asked: impl Future<Output = Found>) -> Found {
    let found = timeout(LOOKUP_TIMEOUT, asked).await;
    let mut addresses = found.map_err(io::Error::from)??;
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    Ok(addresses)
}

/// Keeps the registry's addresses fresh until it is dropped; `ask` answers for names.
pub(crate) async fn keep_fresh<F>(registry: Arc<Registry>, clock: Clock, ask: impl Fn(Name) -> F)
where
    F: Future<Output = Found> + Send + 'static,
{
    let mut due: HashMap<Name, Instant> = HashMap::new();
    // A name is logged when it stops having an answer, not every time that is still so.
    let mut failing: HashSet<Name> = registry.unresolved().into_iter().collect();
    loop {
        let settings = registry.settings();
        let unresolved = registry.unresolved();
        let now = Instant::now();
        let intervals = intervals(&settings, &unresolved);
        due.retain(|name, _| intervals.contains_key(name));
        for (name, interval) in &intervals {
            let at = due.entry(name.clone()).or_insert(now + *interval);
            // A reload may have shortened the interval.
            *at = (*at).min(now + *interval);
        }
        // Settings can change meanwhile; looking at them again is cheap.
        let next = due
            .values()
            .min()
            .copied()
            .unwrap_or(now + RETRY_INTERVAL)
            .min(now + RETRY_INTERVAL);
        sleep_until(next).await;
        let now = Instant::now();
        let ready: Vec<Name> = due
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(name, _)| name.clone())
            .collect();
        due.retain(|_, at| *at > now);
        if ready.is_empty() {
            continue;
        }
        let found = look_up(ready, &ask, |name, error| {
            if !failing.contains(&name) {
                warn(&name, &error);
                failing.insert(name);
            }
        });
        let found = found.await;
        failing.retain(|name| !found.contains_key(name));
        if registry.readdress(found, clock.seconds()) {
            tracing::info!("server addresses changed");
        }
    }
}

/// How often each name is to be looked up; names that are looked up only at reloads are not in it.
fn intervals(settings: &Settings, unresolved: &[Name]) -> HashMap<Name, Duration> {
    let mut intervals: HashMap<Name, Duration> = HashMap::new();
    for upstream in &settings.upstreams {
        let Some(interval) = upstream.resolve else {
            continue;
        };
        for server in &upstream.servers {
            if let ServerAddress::Name { host, port } = &server.address {
                let slot = intervals.entry((host.clone(), *port)).or_insert(interval);
                *slot = (*slot).min(interval);
            }
        }
    }
    intervals.extend(
        unresolved
            .iter()
            .cloned()
            .map(|name| (name, RETRY_INTERVAL)),
    );
    intervals
}

/// Looks up everything that the settings name, and logs what has no address.
pub(crate) async fn look_up_all(settings: &Settings) -> Addresses {
    look_up(names(settings), system, |name, error| warn(&name, &error)).await
}

#[cfg(test)]
mod tests;
