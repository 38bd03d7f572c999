//! The state of the two connections as others see it, and the log lines of its transitions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::cluster::Link;
use crate::counts::Counters;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher,
    Subscriber,
}

pub(crate) struct Status {
    link: watch::Sender<Link>,
    counters: Arc<Counters>,
    publisher: Past,
    subscriber: Past,
}

/// What has been seen of a connection so far.
#[derive(Default)]
struct Past {
    was_up: AtomicBool,
    /// The present outage has been logged.
    is_failing: AtomicBool,
}

impl Status {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            link: watch::Sender::default(),
            counters,
            publisher: Past::default(),
            subscriber: Past::default(),
        }
    }

    fn past(&self, role: Role) -> &Past {
        match role {
            Role::Publisher => &self.publisher,
            Role::Subscriber => &self.subscriber,
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    pub(crate) fn up(&self, role: Role) {
        let past = self.past(role);
        past.is_failing.store(false, Ordering::Relaxed);
        if past.was_up.swap(true, Ordering::Relaxed) {
            self.counters.reconnects.add(1);
        }
        tracing::info!(?role, "connected to Redis");
        self.change(|link| match role {
            Role::Publisher => link.publisher = true,
            Role::Subscriber => link.subscriber = true,
        });
    }

    /// An attempt to connect has failed. An outage is logged once, not at every attempt.
    pub(crate) fn failed(&self, role: Role, why: &str) {
        if self.past(role).is_failing.swap(true, Ordering::Relaxed) {
            tracing::debug!(?role, why, "still cannot connect to Redis");
        } else {
            tracing::warn!(
                ?role,
                why,
                "cannot connect to Redis; trying again until it works"
            );
        }
    }

    pub(crate) fn lost(&self, role: Role, why: &str) {
        tracing::warn!(?role, why, "lost Redis");
        self.down(role);
    }

    /// On purpose.
    pub(crate) fn closed(&self, role: Role) {
        tracing::debug!(?role, "closed the connection to Redis");
        self.down(role);
    }

    fn down(&self, role: Role) {
        self.change(|link| match role {
            Role::Publisher => link.publisher = false,
            Role::Subscriber => {
                link.subscriber = false;
                link.attached = false;
            }
        });
    }

    pub(crate) fn set_attached(&self, attached: bool) {
        self.change(|link| link.attached = attached);
    }

    /// Wakes watchers only when something is different.
    fn change(&self, change: impl FnOnce(&mut Link)) {
        self.link.send_if_modified(|link| {
            let before = *link;
            change(link);
            *link != before
        });
    }
}
