//! Servers to choose among, and clients that ask, made from nothing but what the core offers to anybody.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use berth_proxy::affinity::{Mark, Marks, Method};
use berth_proxy::choose::{Asking, Attempt, Choice, NoServer, Policy, choose};
use berth_proxy::client::HashBytes;
use berth_proxy::pool::{Endpoint, Pool, Seconds, Server, State};
use berth_proxy::settings::Balance;

/// Far from zero, as the proxy's clock.
pub(crate) const NOW: Seconds = 1_000_000_000;

/// A pool and the way in which one of its servers is chosen.
pub(crate) struct Fleet {
    pub(crate) pool: Pool,
    pub(crate) policy: Policy,
}

impl Fleet {
    /// Servers of weights 1 to 3 with nginx's defaults, all well and idle.
    pub(crate) fn new(balance: Balance, servers: u32) -> Self {
        let servers = (0..servers).map(server);
        let pool = if balance == Balance::HashConsistent {
            Pool::with_ring(servers)
        } else {
            Pool::new(servers)
        };
        Self {
            pool,
            policy: Policy {
                balance,
                tries_max: 0,
                fail_open: false,
            },
        }
    }

    /// Servers with some requests each, no two of them with as many for their weight.
    pub(crate) fn busy(balance: Balance, servers: u32) -> Self {
        let fleet = Self::new(balance, servers);
        for (server, connections) in fleet.pool.servers().iter().zip((100..).step_by(7)) {
            let connections = connections * server.weight;
            server.state.connections.store(connections, Relaxed);
        }
        fleet
    }

    /// One more try of a request.
    pub(crate) fn choose(
        &self,
        asking: Asking<'_>,
        attempt: &mut Attempt,
    ) -> Result<Choice, NoServer> {
        choose(&self.pool, self.policy, asking, attempt, NOW)
    }

    /// The request is over.
    pub(crate) fn leave(&self, choice: Choice) {
        if let Some(server) = self.pool.get(choice.server) {
            server.leave();
        }
    }

    /// A mark that names the server at `index`.
    pub(crate) fn mark(&self, method: Method, index: usize) -> Mark<'_> {
        let server = &self.pool.servers()[index % self.pool.servers().len()];
        let name = match method {
            Method::Sid => server.tag.as_bytes(),
            Method::Cookie => server.mark.as_bytes(),
        };
        Mark {
            method,
            name,
            is_only: method == Method::Sid,
        }
    }
}

pub(crate) fn server(index: u32) -> Server {
    let address = format!("10.0.{}.{}:3000", index / 256, index % 256);
    let weight = 1 + index % 3;
    Server {
        name: address.as_str().into(),
        configured: address.as_str().into(),
        endpoint: Endpoint::Unix(address.into()),
        weight,
        max_fails: 1,
        fail_timeout: 10,
        failure_window: None,
        slow_start: 0,
        max_conns: 0,
        handshakes: None,
        counts_apart: false,
        backup: false,
        down: false,
        has_check: false,
        // As long as those that are made from addresses.
        mark: format!("{index:032x}").into(),
        tag: format!("{index:012x}").into(),
        state: Arc::new(State::new(weight)),
    }
}

/// The request of one of many clients; `number` tells them apart.
pub(crate) fn asking<'a>(number: u32, key: &'a [u8], marks: Marks<'a>) -> Asking<'a> {
    let [a, b, c, _] = number.to_le_bytes();
    Asking {
        address: HashBytes::Three([a, b, c]),
        marks,
        key,
        dice: u64::from(number),
        // Takes a token of servers that have a limit.
        handshake: Some(1),
    }
}
