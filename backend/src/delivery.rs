//! The one way by which entries of rooms' logs reach this server's sockets: each once, in the order of their seqs, whatever the bus does.
//!
//! Local appends and frames of other instances wait in the same `line`. What is missing is fetched from the log, once per instance. Two
//! instances may append to one room at once, so a gap is given [`GAP_PATIENCE`] to close by itself. What no frame tells of is found by
//! looking where the logs end: see `watch`. What an entry is does not matter here.

mod beacon;
mod frame;
mod line;
mod recent;
mod repair;
mod room;
pub mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use berth_adapter::{Arrived, Gate};
use socketioxide_core::Str;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::chat::message::Message;
use crate::chat::room::RoomId;
use crate::clock;
use crate::metrics::Metrics;
use crate::reader::Reader;
use crate::store::{History, Page, StoreError};

use beacon::Beacons;
use frame::Frame;
use recent::Recent;
use room::{Room, Told};

/// How long a missing entry may still come by itself before the store is asked. Frames take about a millisecond; an instance that is busy
/// or far away takes some tens.
pub const GAP_PATIENCE: Duration = Duration::from_millis(30);

/// Rooms that are repaired at the same time. More wait for their turn: after an outage all of them are behind at once.
const REPAIRS_MAX: usize = 16;

/// Bytes of recent messages that an instance keeps, over all rooms. Rooms beyond it are read from the store.
const RECENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Servers with another log that are remembered. There should be none.
const STRANGERS_MAX: usize = 1_024;

/// The namespace that rooms are in.
pub const NAMESPACE: &str = "/";

/// This server's sockets, as delivery sees them.
pub trait Outlet: Send + Sync + 'static {
    fn has_members(&self, room: &RoomId) -> bool;
    /// Gives events, in this order, to every member on this server. Must not block.
    fn show(&self, room: &RoomId, events: &[Str]);
}

/// By which way an entry came; also the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Local,
    Bus,
    Repair,
}

impl Way {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Bus => "bus",
            Self::Repair => "repair",
        }
    }
}

/// Keeps the lines of all rooms that have members here. Cheap to clone.
#[derive(Clone)]
pub struct Delivery(Arc<Inner>);

struct Inner {
    outlet: Arc<dyn Outlet>,
    reader: Reader,
    metrics: Metrics,
    stop: CancellationToken,
    repairs: Semaphore,
    /// A room is here while it has members, and a little longer.
    rooms: RwLock<HashMap<RoomId, Arc<Room>>>,
    recent_bytes: AtomicUsize,
    beacons: Mutex<Beacons>,
    /// Servers on this bus that keep another log.
    strangers: RwLock<HashSet<String>>,
}

impl Delivery {
    /// Repairs end at `stop`.
    pub fn new(
        outlet: Arc<dyn Outlet>,
        reader: Reader,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            outlet,
            reader,
            metrics,
            stop,
            repairs: Semaphore::new(REPAIRS_MAX),
            rooms: RwLock::default(),
            recent_bytes: AtomicUsize::new(0),
            beacons: Mutex::default(),
            strangers: RwLock::default(),
        }))
    }

    /// Takes entries of a room that were appended here, and their events.
    pub fn appended(&self, name: &RoomId, entries: &[(&Message, Str)]) {
        let inner = &self.0;
        let Some(end) = entries.iter().map(|(message, _)| message.seq).max() else {
            return;
        };
        inner.beacons().note(name, end, clock::monotonic());
        let Some(room) = inner.room(name) else {
            return;
        };
        let told = entries.iter().map(|(message, event)| {
            let told = Told {
                event: event.clone(),
                way: Way::Local,
                made_ms: Some(message.timestamp_ms),
            };
            (message.seq, told)
        });
        self.offer(name, &room, told);
        for (message, _) in entries {
            room.remember(message, &inner.recent_bytes);
        }
    }

    /// An append of this room had no certain outcome: its log is looked at.
    pub fn doubt(&self, room: &RoomId) {
        if self.0.room(room).is_some() {
            let (delivery, room) = (self.clone(), room.clone());
            self.until_stopped(async move { delivery.check_until_known(&room).await });
        }
    }

    /// Has a socket `join` a room. When it is the first here, the line begins anew: see [`Self::begin`].
    pub fn enter(&self, room: &RoomId, join: impl FnOnce()) {
        let mut rooms = self.0.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let is_first = !self.0.outlet.has_members(room);
        join();
        if is_first || !rooms.contains_key(room) {
            let begun = Arc::new(Room::asking());
            if let Some(stale) = rooms.insert(room.clone(), begun) {
                stale.retire(&self.0.recent_bytes);
            }
        }
    }

    /// Has a socket `leave` a room between two entries: none that is being shown reaches it after this call.
    pub fn exit(&self, room: &RoomId, leave: impl FnOnce()) {
        match self.0.room(room) {
            Some(room) => room.between(leave),
            None => leave(),
        }
    }

    /// Makes sure that the room's line has begun, at an end of the log that was read after its first socket had come: whatever is not in
    /// a history that is read after this call reaches the sockets.
    ///
    /// # Errors
    /// [`StoreError`] when the log does not answer; the line then begins with the next entry.
    pub async fn begin(&self, name: &RoomId) -> Result<(), StoreError> {
        let inner = &self.0;
        let Some(room) = inner.room(name).filter(|room| !room.has_begun()) else {
            return Ok(());
        };
        let limit = recent::MESSAGES_MAX;
        let latest = inner.reader.page(name, Page::Latest { limit }).await;
        room.begin(latest.as_deref().ok(), |told| inner.show(name, told));
        self.mend(name, &room);
        latest.map(|latest| room.renew(&latest, &inner.recent_bytes))
    }

    /// A page of a room's log for a member, from memory where that reaches. What is newer than the page comes to the member by itself.
    ///
    /// # Errors
    /// [`StoreError`] when it is not in memory and the store does not answer.
    pub async fn page(&self, name: &RoomId, page: Page) -> Result<Arc<History>, StoreError> {
        let inner = &self.0;
        let Some(room) = inner.room(name) else {
            return inner.reader.page(name, page).await;
        };
        if let Some(history) = room.page(page) {
            return Ok(Arc::new(history));
        }
        if room.is_near_the_end(page) {
            // Everybody who wants some of the end asks the same question, and shares its answer.
            let limit = recent::MESSAGES_MAX;
            let latest = inner.reader.page(name, Page::Latest { limit }).await?;
            room.renew(&latest, &inner.recent_bytes);
            if let Some(history) = Recent::new(&latest).page(page) {
                return Ok(Arc::new(history));
            }
        }
        inner.reader.page(name, page).await
    }

    /// The rooms that have members here, with where their lines have got to.
    #[must_use]
    pub fn ends(&self) -> Vec<(RoomId, u64)> {
        let rooms = self.0.rooms.read().unwrap_or_else(PoisonError::into_inner);
        let ends = rooms.iter().map(|(name, room)| (name.clone(), room.end()));
        ends.collect()
    }

    fn offer(
        &self,
        name: &RoomId,
        room: &Arc<Room>,
        entries: impl IntoIterator<Item = (u64, Told)>,
    ) {
        let some_wait = room.offer(entries, |told| self.0.show(name, told));
        if some_wait {
            self.mend(name, room);
        }
    }

    /// Another instance says where the room's log ends.
    fn hear_of_end(&self, frame: &Frame, sender: &str) {
        let Some(room) = self.0.room(&frame.room) else {
            return;
        };
        let is_same_log = room.hear_of_end(frame.seq, frame.epoch.as_deref());
        self.0.note_stranger(sender, !is_same_log);
        self.mend(&frame.room, &room);
    }

    fn until_stopped(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        tokio::spawn(async move {
            stop.run_until_cancelled(work).await;
        });
    }

    fn take(&self, frame: Frame, event: Str) {
        let room = self.0.room_or_new(&frame.room);
        let told = Told::by_bus(&frame, event);
        self.offer(&frame.room, &room, [(frame.seq, told)]);
    }

    /// An entry of another log has no place in the line: it is shown as it comes.
    fn show_foreign(&self, frame: Frame, event: Str) {
        let told = Told::by_bus(&frame, event);
        let show = || self.0.show(&frame.room, std::slice::from_ref(&told));
        match self.0.room(&frame.room) {
            Some(room) => room.between(show),
            None => show(),
        }
    }
}

impl Inner {
    fn room(&self, name: &RoomId) -> Option<Arc<Room>> {
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        rooms.get(name).cloned()
    }

    fn beacons(&self) -> MutexGuard<'_, Beacons> {
        self.beacons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stranger(&self, sender: &str) -> bool {
        let strangers = self
            .strangers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        !strangers.is_empty() && strangers.contains(sender)
    }

    /// What a server with another log sends has places of that log: it is shown as it comes, like events of Node servers.
    fn note_stranger(&self, sender: &str, is_stranger: bool) {
        if self.is_stranger(sender) == is_stranger {
            return;
        }
        let mut strangers = self
            .strangers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if !is_stranger {
            strangers.remove(sender);
        } else if strangers.len() < STRANGERS_MAX {
            tracing::warn!(
                sender,
                "a server on this bus keeps another log; its messages are shown, and kept only there"
            );
            strangers.insert(sender.to_owned());
        }
    }

    /// The room of an entry that came. One that others moved sockets into begins with it.
    fn room_or_new(&self, name: &RoomId) -> Arc<Room> {
        if let Some(room) = self.room(name) {
            return room;
        }
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            rooms
                .entry(name.clone())
                .or_insert_with(|| Arc::new(Room::adrift())),
        )
    }

    /// Takes away the rooms that have no members left, and answers the others.
    fn prune(&self) -> Vec<RoomId> {
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|name, room| {
            let has_members = self.outlet.has_members(name);
            if !has_members {
                room.retire(&self.recent_bytes);
            }
            has_members
        });
        rooms.keys().cloned().collect()
    }

    fn show(&self, room: &RoomId, told: &[Told]) {
        let events: Vec<Str> = told.iter().map(|told| told.event.clone()).collect();
        self.outlet.show(room, &events);
        for told in told {
            let Some(made_ms) = told.made_ms else {
                continue;
            };
            let delay_ms = u32::try_from(clock::unix_ms() - made_ms).unwrap_or(0);
            self.metrics
                .delivery
                .seconds
                .with_label_values(&[told.way.as_str()])
                .observe(f64::from(delay_ms) / 1_000.0);
        }
    }
}

impl Gate for Delivery {
    fn takes(&self, arrived: &Arrived<'_>) -> bool {
        let [room] = arrived.rooms else { return false };
        if arrived.namespace != NAMESPACE || arrived.volatile {
            return false;
        }
        let Some(frame) = frame::read(arrived.event, room) else {
            return false;
        };
        match arrived.except {
            [] if self.0.is_stranger(arrived.sender) => {
                self.show_foreign(frame, arrived.event.clone())
            }
            [] => self.take(frame, arrived.event.clone()),
            // For nobody but us: where the log ends.
            [nobody] if nobody == room => self.hear_of_end(&frame, arrived.sender),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests;
