//! Who is in which room, over all instances: the port behind which it is kept, and what is decided from it.
//!
//! Each instance writes down who its own sockets are, under a lease that it renews. **Who is online is what the instances with a live
//! lease have written**: an instance that dies takes its people with it when its lease ends, whether somebody cleans up or not. An
//! instance's part of a room is written as a whole or as a change to what it wrote before, so writing twice does no harm and the parts of
//! different instances never touch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;

use crate::chat::room::RoomId;

#[cfg(test)]
mod contract;
pub mod memory;
pub mod redis;
pub mod view;

/// Everybody of a room, or of an instance's part of it: name by user id. A user is in it once, with however many sockets.
pub type People = BTreeMap<String, String>;

/// Names one run of one instance. A restarted one is another: it inherits nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(String);

impl InstanceId {
    /// `name:process:boot`. Bars in the name become underscores: a bar ends the id where it is kept.
    #[must_use]
    pub fn new(name: &str, process: u32, boot: uuid::Uuid) -> Self {
        let name = name.replace('|', "_");
        Self(format!("{name}:{process}:{}", boot.simple()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What to change in an instance's part of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub add: People,
    pub remove: BTreeSet<String>,
    /// Nobody of this instance is in the room afterwards.
    pub is_last: bool,
}

/// What an instance learns when it renews its lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Instances whose lease is live, this one included.
    pub live: BTreeSet<String>,
    /// Its own lease had ended, or was never there: what it wrote may be gone.
    pub was_lost: bool,
    /// Others whose lease has ended and that have not been cleaned up.
    pub dead: BTreeSet<String>,
}

/// Onto what an instance has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// What it wrote before.
    Onward,
    /// Nothing: it had no lease, one was begun, and what it wrote before may be gone.
    Anew,
}

/// Why presence could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("presence unavailable: {0}")]
pub struct PresenceError(pub String);

/// Where it is written down who is where. The keeper's own clock decides about leases, so the instances' clocks do not matter.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// Renews the lease of `me` for `lease` from now.
    ///
    /// # Errors
    /// [`PresenceError`] when the keeper cannot be asked; the lease may or may not be renewed.
    async fn beat(&self, me: &InstanceId, lease: Duration) -> Result<Beat, PresenceError>;

    /// Changes the part of `me` in a room. Repeating a change does no harm. Without a lease one is begun, and that is said: the next beat
    /// will find a live one.
    ///
    /// # Errors
    /// [`PresenceError`]; the change may or may not have been made.
    async fn write(
        &self,
        me: &InstanceId,
        room: &RoomId,
        change: &Change,
        lease: Duration,
    ) -> Result<Written, PresenceError>;

    /// Everybody whom an instance with a live lease has in the room. A user of two instances has the name that the first of them, by
    /// its id, has written.
    ///
    /// # Errors
    /// [`PresenceError`].
    async fn read(&self, room: &RoomId) -> Result<People, PresenceError>;

    /// Removes everything of an instance whose lease has ended, unless somebody else does; answers the rooms that it was in.
    ///
    /// # Errors
    /// [`PresenceError`]; what was left is removed another time.
    async fn reap(&self, me: &InstanceId, dead: &str) -> Result<Vec<RoomId>, PresenceError>;

    /// Ends the lease of `me` and removes everything of it; answers the rooms that it was in.
    ///
    /// # Errors
    /// [`PresenceError`]; then the lease ends by itself.
    async fn leave(&self, me: &InstanceId) -> Result<Vec<RoomId>, PresenceError>;
}
