//! Looks at what open connections rest on: a token that ends, a session that may have ended elsewhere.
//!
//! One task for all of them. Who is looked at when is a queue by time; a connection that has closed meanwhile is skipped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use rand::Rng as _;
use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;
use tokio_util::sync::CancellationToken;

use super::connect::Client;
use super::hold::Due;
use super::revoke::{self, Ended};
use super::{Adapter, App, evict, identity};
use crate::clock;
use crate::date::to_iso;
use crate::protocol::{self, SessionExpiring};
use crate::session::{SessionError, USER_PATHS};

/// How often the queue is looked at.
const TICK: Duration = Duration::from_millis(500);

/// Sessions asked for at once: the keeper has other work, too.
const ASKED_AT_ONCE_MAX: usize = 32;

/// When each connection is to be looked at.
#[derive(Default)]
pub(super) struct Watch(Mutex<BinaryHeap<Reverse<(Instant, Sid)>>>);

impl Watch {
    fn push(&self, at: Instant, socket: Sid) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(Reverse((at, socket)));
    }

    fn due(&self, now: Instant) -> Vec<Sid> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while let Some(Reverse((at, socket))) = queue.peek()
            && *at <= now
        {
            due.push(*socket);
            queue.pop();
        }
        due
    }
}

/// Begins to look at a connection. One whose identity rests on nothing is not looked at.
pub(super) fn begin(app: &App, client: &Client, socket: Sid) {
    // Spread out: after a deploy all connections are of the same age.
    let spread = rand::rng().random_range(0.9..1.1);
    let interval = app.recheck_interval.mul_f64(spread);
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    if let Some(wait_ms) = client.next_look_ms(interval_ms, clock::unix_ms()) {
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default());
        app.watch.push(clock::monotonic() + wait, socket);
    }
}

/// Looks at whoever is due, until the instance drains.
pub(super) async fn run(app: Arc<App>, io: SocketIo<Adapter>, draining: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = draining.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let due = app.watch.due(clock::monotonic());
        let sockets = due.into_iter().filter_map(|sid| io.get_socket(sid));
        let looks = futures_util::stream::iter(sockets)
            .for_each_concurrent(ASKED_AT_ONCE_MAX, |socket| look(&app, socket));
        tokio::select! {
            () = draining.cancelled() => return,
            () = looks => {}
        }
    }
}

async fn look(app: &App, socket: SocketRef<Adapter>) {
    let Some(client) = socket.extensions.get::<Arc<Client>>() else {
        return;
    };
    match client.due(clock::unix_ms()) {
        Due::Nothing => {}
        Due::End => revoke::tell(app, &socket, Ended::Expired),
        // At the transport: a client that gets its tokens from a function comes back by itself with a new one.
        Due::Close => {
            evict::close(&socket, &client);
            return;
        }
        Due::Warn { ends_ms } => {
            let expires_at = to_iso(ends_ms);
            let warning = SessionExpiring { expires_at };
            if let Err(error) = client.tell(protocol::SESSION_EXPIRING, &warning) {
                tracing::debug!(%error, "a client was not told that its token ends");
            }
        }
        Due::AskFor { sid } => {
            if !is_alive(app, &client, &sid).await {
                return revoke::end(app, socket, Ended::LoggedOut);
            }
        }
    }
    begin(app, &client, socket.id);
}

/// Whether the session still names the same user. While its keeper is away, people stay who they are.
async fn is_alive(app: &App, client: &Client, sid: &str) -> bool {
    match app.sessions.load(sid).await {
        Ok(Some(session)) => {
            let user = session
                .user(&USER_PATHS)
                .and_then(|user| identity::user(&user));
            if user.is_none_or(|user| user.id != client.sender.id) {
                return false;
            }
            // An open chat is use: its session does not end under it.
            if let Err(error) = app.sessions.touch(sid, &session).await {
                tracing::debug!(%error, "session not touched");
            }
            true
        }
        Ok(None) | Err(SessionError::Malformed(_)) => false,
        Err(SessionError::Unavailable(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_due_comes_out_once() {
        let (watch, start) = (Watch::default(), clock::monotonic());
        let [first, second] = [Sid::new(), Sid::new()];
        watch.push(start + Duration::from_secs(2), second);
        watch.push(start + Duration::from_secs(1), first);
        assert_eq!(watch.due(start), []);
        assert_eq!(watch.due(start + Duration::from_secs(1)), [first]);
        assert_eq!(watch.due(start + Duration::from_secs(9)), [second]);
        assert_eq!(watch.due(start + Duration::from_secs(9)), []);
    }
}
