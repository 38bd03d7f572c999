//! Presence within one process: for a single server, and for the servers of one program, which share it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::view::merge;
use super::{Beat, Change, InstanceId, People, Presence, PresenceError, Written};
use crate::chat::room::RoomId;
use crate::clock;

/// Share it in an `Arc` to have several instances on the same rooms. It holds what sockets are in, so it is as bounded as they are.
pub struct MemoryPresence {
    now: Box<dyn Fn() -> Instant + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When each instance's lease ends.
    leases: BTreeMap<String, Instant>,
    rooms: HashMap<RoomId, BTreeMap<String, People>>,
}

impl MemoryPresence {
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(clock::monotonic)
    }

    fn with_clock(now: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self {
            now: Box::new(now),
            state: Mutex::default(),
        }
    }

    /// Every change is complete before anything can panic, so a poisoned lock guards sound data.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryPresence {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPresence")
            .field("rooms", &self.state().rooms.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn is_live(&self, instance: &str, now: Instant) -> bool {
        self.leases.get(instance).is_some_and(|ends| *ends > now)
    }

    fn remove(&mut self, instance: &str) -> Vec<RoomId> {
        self.leases.remove(instance);
        let mut rooms = Vec::new();
        self.rooms.retain(|room, parts| {
            if parts.remove(instance).is_some() {
                rooms.push(room.clone());
            }
            !parts.is_empty()
        });
        rooms
    }
}

#[async_trait]
impl Presence for MemoryPresence {
    async fn beat(&self, me: &InstanceId, lease: Duration) -> Result<Beat, PresenceError> {
        let (now, mut state) = ((self.now)(), self.state());
        let was_lost = !state.is_live(me.as_str(), now);
        state.leases.insert(me.as_str().to_owned(), now + lease);
        let (live, dead) = state
            .leases
            .iter()
            .partition::<Vec<_>, _>(|(_, ends)| **ends > now);
        let names = |some: Vec<(&String, &Instant)>| {
            some.into_iter().map(|(name, _)| name.clone()).collect()
        };
        Ok(Beat {
            live: names(live),
            was_lost,
            dead: names(dead),
        })
    }

    async fn write(
        &self,
        me: &InstanceId,
        room: &RoomId,
        change: &Change,
        lease: Duration,
    ) -> Result<Written, PresenceError> {
        let (now, mut state) = ((self.now)(), self.state());
        let me = me.as_str().to_owned();
        let written = match state.leases.contains_key(&me) {
            true => Written::Onward,
            false => Written::Anew,
        };
        state.leases.entry(me.clone()).or_insert(now + lease);
        let parts = state.rooms.entry(room.clone()).or_default();
        let part = parts.entry(me.clone()).or_default();
        part.extend(change.add.clone());
        part.retain(|id, _| !change.remove.contains(id));
        if part.is_empty() {
            parts.remove(&me);
        }
        if parts.is_empty() {
            state.rooms.remove(room);
        }
        Ok(written)
    }

    async fn read(&self, room: &RoomId) -> Result<People, PresenceError> {
        let (now, state) = ((self.now)(), self.state());
        let parts = state.rooms.get(room).into_iter().flatten();
        let live = parts.filter(|(instance, _)| state.is_live(instance, now));
        Ok(merge(live.map(|(_, part)| part)))
    }

    async fn reap(&self, _: &InstanceId, dead: &str) -> Result<Vec<RoomId>, PresenceError> {
        let (now, mut state) = ((self.now)(), self.state());
        if state.is_live(dead, now) {
            return Ok(Vec::new());
        }
        Ok(state.remove(dead))
    }

    async fn leave(&self, me: &InstanceId) -> Result<Vec<RoomId>, PresenceError> {
        Ok(self.state().remove(me.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::presence::contract::{Fixture, presence_contract};

    struct Shared(Arc<MemoryPresence>, Arc<AtomicU64>);

    #[async_trait]
    impl Fixture for Shared {
        async fn fresh() -> Self {
            let (start, passed_ms) = (clock::monotonic(), Arc::new(AtomicU64::new(0)));
            let passed = Arc::clone(&passed_ms);
            let now = move || start + Duration::from_millis(passed.load(Ordering::SeqCst));
            Self(Arc::new(MemoryPresence::with_clock(now)), passed_ms)
        }

        async fn open(&self) -> Arc<dyn Presence> {
            self.0.clone()
        }

        async fn pass(&self, time: Duration) {
            let ms = u64::try_from(time.as_millis()).unwrap();
            self.1.fetch_add(ms, Ordering::SeqCst);
        }

        async fn clear(self) {
            assert!(self.0.state().rooms.is_empty(), "rooms are left behind");
        }
    }

    presence_contract!(Shared);
}
