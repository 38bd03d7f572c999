//! Connections to servers that wait for their next request (nginx's `keepalive`).
//!
//! Owns which one is taken and which one goes. Each worker has its own, so that a connection never leaves the thread
//! on which it is polled.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::pool::{Server, State};
use crate::registry::Upstream;
use crate::socket::Socket;

/// How often idle connections are looked at: closed by their server, or idle for `keepalive_timeout`.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A connection to a server, and how many requests it has carried.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    pub(crate) uses: u32,
    /// Whose connection it is; the same server keeps its state over reloads.
    pub(crate) state: Arc<State>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    until: Instant,
}

/// By the upstream's name, the longest idle first.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<BTreeMap<Arc<str>, Vec<Idle>>>);

impl Kept {
    /// The connection to this server that was used last, if it still stands.
    #[must_use]
    pub(crate) fn take(
        &self,
        upstream: &Upstream,
        server: &Server,
        now: Instant,
    ) -> Option<Connection> {
        let mut all = self.all();
        let idle = all.get_mut(&upstream.name)?;
        while let Some(index) = idle
            .iter()
            .rposition(|idle| Arc::ptr_eq(&idle.connection.state, &server.state))
        {
            let found = idle.remove(index);
            if found.connection.socket.is_quiet() && now < found.until {
                return Some(found.connection);
            }
        }
        None
    }

    /// Keeps a connection, unless the upstream keeps none; the one that was idle longest makes room.
    pub(crate) fn put(&self, upstream: &Upstream, connection: Connection, now: Instant) {
        let is_worn = connection.uses >= upstream.keepalive_requests;
        if upstream.keepalive == 0 || is_worn {
            return;
        }
        let mut all = self.all();
        if !all.contains_key(&upstream.name) {
            // Not `entry`, which would count one more owner of the name each time.
            all.insert(Arc::clone(&upstream.name), Vec::new());
        }
        let Some(idle) = all.get_mut(&upstream.name) else {
            return;
        };
        if idle.len() >= upstream.keepalive {
            idle.remove(0);
        }
        idle.push(Idle {
            connection,
            until: now + upstream.keepalive_timeout,
        });
    }

    /// Closes what waited too long or was closed by its server, for ever.
    pub(crate) async fn sweep(&self) {
        let mut turn = interval(SWEEP_INTERVAL);
        loop {
            let now = turn.tick().await;
            self.all().retain(|_, idle| {
                idle.retain(|idle| now < idle.until && idle.connection.socket.is_quiet());
                !idle.is_empty()
            });
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Vec<Idle>>> {
        // Whole at any moment; a panic elsewhere cannot leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
