//! The port behind which rooms and memberships are kept: MongoDB, SQLite, or memory.
//!
//! Every directory passes the same suite, `directory::contract`. It keeps what it is told; what somebody may do is `chat::standing`'s.

use async_trait::async_trait;

use crate::chat::membership::{Member, MemberChange, Room};
use crate::chat::message::Place;
use crate::chat::room::RoomId;
use crate::store::StoreError;

#[cfg(test)]
mod contract;
pub mod memory;
pub mod mongodb;
pub mod sqlite;

/// Rooms and their members.
///
/// Guarantees, for each implementation and with any number of processes on the same data:
/// - There is one room of an id, and everybody is answered the same one, whoever made it.
/// - Changes of one membership happen one after the other: none is lost to another that was made at the same time.
/// - Every change of a room or a membership gives it a higher version.
/// - Read marks only move forward, in whatever order they come.
/// - What was answered is found by everybody who asks later.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// The room of this id: the one on record, else this one, which is then on record. True: it is new.
    async fn room_or_new(&self, room: &Room) -> Result<(Room, bool), StoreError>;

    async fn room(&self, id: &RoomId) -> Result<Option<Room>, StoreError>;

    /// Keeps the name and the rules of a room, and answers the room after it. None: there is no such room.
    async fn update_room(&self, room: &Room) -> Result<Option<Room>, StoreError>;

    /// Closes a room for good: its access is `Archived` from then on. False: there is no such room.
    async fn archive_room(&self, id: &RoomId) -> Result<bool, StoreError>;

    /// What is on record of somebody.
    async fn member(&self, room: &RoomId, user_id: &str) -> Result<Option<Member>, StoreError>;

    /// Makes a change, and answers the record after it.
    async fn change_member(
        &self,
        room: &RoomId,
        user_id: &str,
        change: &MemberChange,
    ) -> Result<Member, StoreError>;

    /// Moves read marks forward, making records where there are none.
    async fn mark_read(&self, marks: Vec<ReadMark>) -> Result<(), StoreError>;

    /// The members of a room in the order of their ids, those behind `after`.
    async fn members(
        &self,
        room: &RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError>;

    async fn member_count(&self, room: &RoomId) -> Result<u64, StoreError>;

    /// The rooms that somebody is a member of, in the order of their ids, those behind `after`.
    async fn rooms_of(
        &self,
        user_id: &str,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<(Room, Member)>, StoreError>;

    /// The public rooms in the order of their ids, those behind `after`, with `named` in their names; the case of ASCII letters does
    /// not count.
    async fn public_rooms(
        &self,
        named: Option<&str>,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<Room>, StoreError>;
}

/// Up to where somebody has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadMark {
    pub room: RoomId,
    pub user_id: String,
    pub read: Place,
}
