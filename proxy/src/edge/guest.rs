//! Who is in: every open connection of a client, counted in all and by the client's address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use prometheus::IntGauge;

use crate::client::canonical;
use crate::lifecycle::Open;
use crate::refusal::Refusal;
use crate::shared::{Context, Shared};
use crate::workers::Worker;

/// So that workers rarely wait for each other.
const SHARDS: usize = 16;

/// An open connection, counted for as long as this is held.
#[derive(Debug)]
pub(crate) struct Guest {
    shared: Arc<Shared>,
    on_worker: IntGauge,
    /// `None`: its address is not counted.
    home: Option<Home>,
    _open: Open,
}

impl Guest {
    /// Lets a client in.
    ///
    /// # Errors
    /// When `connections_max` are in already, or `connections_per_client_max` of its address.
    pub(crate) fn admit(
        context: &Context,
        worker: &Worker,
        peer: Option<IpAddr>,
        open: &Open,
    ) -> Result<Self, Refusal> {
        let shared = &context.shared;
        let snapshot = shared.registry.current();
        let limits = &snapshot.limits;
        shared.metrics.connections.inc();
        worker.connections.inc();
        let mut guest = Self {
            shared: Arc::clone(shared),
            on_worker: worker.connections.clone(),
            home: None,
            _open: open.clone(),
        };
        let is_place = usize::try_from(shared.metrics.connections.get())
            .is_ok_and(|open| open <= limits.connections_max);
        if !is_place {
            return Err(Refusal::TooManyConnections);
        }
        if limits.connections_per_client_max > 0
            && let Some(home) = Home::of(peer, &snapshot.trusted_proxies)
        {
            if !shared.crowd.enter(home, limits.connections_per_client_max) {
                return Err(Refusal::TooManyOfClient);
            }
            guest.home = Some(home);
        }
        Ok(guest)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.shared.metrics.connections.dec();
        self.on_worker.dec();
        if let Some(home) = self.home {
            self.shared.crowd.leave(home);
        }
    }
}

/// Where a client is at home: its IPv4 address, or the network of its IPv6 address, of which it has all 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Home(NonZeroU64);

impl Home {
    /// `None`: a Unix socket, or a hop that is trusted to stand for many clients.
    fn of(peer: Option<IpAddr>, trusted: &[IpNet]) -> Option<Self> {
        let ip = canonical(peer?);
        if trusted.iter().any(|net| net.contains(&ip)) {
            return None;
        }
        let number = match ip {
            // Where no IPv6 client can be: this network is for multicast.
            IpAddr::V4(ip) => 0xffff_ffff_0000_0000 | u64::from(u32::from(ip)),
            // One is the network of nobody, too, and `::1` has 0.
            IpAddr::V6(ip) => u64::try_from(u128::from(ip) >> 64).unwrap_or(1).max(1),
        };
        NonZeroU64::new(number).map(Self)
    }
}

/// How many connections every home has open. Holds nothing of homes without any, so it is bounded by `connections_max`.
#[derive(Debug, Default)]
pub(crate) struct Crowd([Mutex<HashMap<Home, usize>>; SHARDS]);

impl Crowd {
    /// Tells whether there was a place.
    fn enter(&self, home: Home, most: usize) -> bool {
        let mut shard = self.shard(home);
        let open = shard.entry(home).or_default();
        let is_place = *open < most;
        *open += usize::from(is_place);
        is_place
    }

    fn leave(&self, home: Home) {
        let mut shard = self.shard(home);
        if let Some(open) = shard.get_mut(&home) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                shard.remove(&home);
            }
        }
        if shard.is_empty() {
            // Gives back what a flood took.
            *shard = HashMap::new();
        }
    }

    fn shard(&self, home: Home) -> MutexGuard<'_, HashMap<Home, usize>> {
        // Neighbours are in different ones.
        let index = usize::try_from(home.0.get() % SHARDS as u64).unwrap_or_default();
        let [first, ..] = &self.0;
        let shard = self.0.get(index).unwrap_or(first);
        // Whole at any moment; a panic elsewhere cannot leave it half done.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(ip: &str) -> Option<Home> {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        Home::of(Some(ip.parse().unwrap()), &trusted)
    }

    #[test]
    fn a_client_is_at_home_in_one_address_or_one_network() {
        assert_ne!(home("192.0.2.1"), home("192.0.2.2"));
        assert_eq!(home("192.0.2.1"), home("::ffff:192.0.2.1"));
        assert_eq!(home("2001:db8::1"), home("2001:db8::2:3"));
        assert_ne!(home("2001:db8::1"), home("2001:db8:0:1::1"));
        assert_ne!(home("::1"), home("127.0.0.1"));
        assert!(home("::1").is_some());
    }

    #[test]
    fn whoever_stands_for_many_is_not_counted() {
        assert_eq!(home("10.1.2.3"), None);
        assert_eq!(Home::of(None, &[]), None);
    }

    #[test]
    fn every_home_has_its_own_places_and_leaves_nothing_behind() {
        let crowd = Crowd::default();
        let (one, other) = (home("192.0.2.1").unwrap(), home("192.0.2.2").unwrap());
        assert!(crowd.enter(one, 2) && crowd.enter(one, 2));
        assert!(!crowd.enter(one, 2));
        assert!(crowd.enter(other, 2));
        crowd.leave(one);
        assert!(crowd.enter(one, 2));
        for home in [one, one, other] {
            crowd.leave(home);
        }
        let entries = crowd.0.iter().map(|shard| shard.lock().unwrap().capacity());
        assert_eq!(entries.sum::<usize>(), 0);
    }
}
