//! WebSockets that polling sessions are about to become, noted when they are asked for: that may be before the session's client is
//! admitted, and whoever has to end its connection later must know which one it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use socketioxide_core::Sid;

use crate::lane::Lane;

/// Those of which no client was admitted yet. Only a storm of sessions that never become a client fills it; then one that becomes a client
/// all the same cannot be cut, and ends with its heartbeat.
const EARLY_MAX: usize = 4_096;

pub(super) struct Upgrades<T = Lane>(Mutex<HashMap<Sid, Weak<T>>>);

impl<T> Default for Upgrades<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Upgrades<T> {
    /// To be called before the client is looked for: one that is admitted in between takes it.
    pub(super) fn note(&self, session: Sid, connection: &Arc<T>) {
        let mut early = self.early();
        if early.len() >= EARLY_MAX {
            early.retain(|_, connection| connection.strong_count() > 0);
        }
        if early.len() < EARLY_MAX {
            early.insert(session, Arc::downgrade(connection));
        }
    }

    pub(super) fn take(&self, session: Sid) -> Option<Arc<T>> {
        self.early().remove(&session)?.upgrade()
    }

    fn early(&self) -> MutexGuard<'_, HashMap<Sid, Weak<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_taken_once_and_while_it_is_open() {
        let (upgrades, open) = (Upgrades::default(), Arc::new(()));
        let [here, closed] = [Sid::new(), Sid::new()];
        upgrades.note(here, &open);
        upgrades.note(closed, &Arc::new(()));
        assert!(Arc::ptr_eq(&upgrades.take(here).unwrap(), &open));
        assert!(upgrades.take(here).is_none() && upgrades.take(closed).is_none());
    }

    #[test]
    fn it_stays_bounded_and_what_has_closed_makes_room() {
        let upgrades = Upgrades::default();
        for _ in 0..EARLY_MAX {
            upgrades.note(Sid::new(), &Arc::new(()));
        }
        let (open, session) = (Arc::new(()), Sid::new());
        upgrades.note(session, &open);
        assert!(upgrades.take(session).is_some());
        for _ in 0..EARLY_MAX + 9 {
            upgrades.note(Sid::new(), &open);
        }
        assert_eq!(upgrades.early().len(), EARLY_MAX);
    }
}
