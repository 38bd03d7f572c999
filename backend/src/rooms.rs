//! Rooms and memberships as the handlers of this instance see them.
//!
//! Owns what is remembered of the directory (rooms, for a while), what is told to the other instances when something changes, and the
//! read marks on their way to the directory. What somebody may do is decided in `chat::standing`.

mod cards;
mod marks;
mod pace;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::chat::membership::{Access, Member, MemberChange, Room, Rules};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::chat::standing::Standing;
use crate::clock;
use crate::directory::{Directory, ReadMark};
use crate::store::StoreError;

use cards::Cards;
pub use marks::Marks;
pub use pace::Pace;

/// Begins the id of a direct room. Nobody makes one by joining it.
const DIRECT_PREFIX: &str = "dm:";

/// How long a request waits for the directory.
const PATIENCE: Duration = Duration::from_secs(6);

/// What an instance knows of rooms. Cheap to share.
pub struct Rooms {
    directory: Arc<dyn Directory>,
    cards: Cards<Room>,
    /// Whether so few are in a room that they are told who has read what.
    smalls: Cards<bool>,
    /// Goes up with every word about a room: who read something before it reads it again.
    heard: AtomicU64,
    small_members_max: u32,
    pub marks: Marks,
    pub pace: Pace,
    /// Whether joining a room that is not there makes it.
    is_made_by_joining: bool,
}

impl Rooms {
    #[must_use]
    pub fn new(
        directory: Arc<dyn Directory>,
        is_made_by_joining: bool,
        small_members_max: u32,
    ) -> Self {
        Self {
            directory,
            cards: Cards::new(),
            smalls: Cards::new(),
            heard: AtomicU64::new(0),
            small_members_max,
            marks: Marks::default(),
            pace: Pace::default(),
            is_made_by_joining,
        }
    }

    #[must_use]
    pub fn directory(&self) -> &dyn Directory {
        &*self.directory
    }

    /// Somebody's standing in a room that they want to be in. A public room comes into being here.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, or `UNAVAILABLE`.
    pub async fn standing_to_join(&self, id: &RoomId, user_id: &str) -> Result<Standing, Refusal> {
        let room = match self.room(id).await? {
            Some(room) => room,
            None => self.made_by_joining(id).await?,
        };
        self.of_member(room, user_id).await
    }

    /// Somebody's standing in a room that is there.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, or `UNAVAILABLE`.
    pub async fn standing(&self, id: &RoomId, user_id: &str) -> Result<Standing, Refusal> {
        let room = self.room(id).await?.ok_or_else(not_found)?;
        self.of_member(room, user_id).await
    }

    /// A room, if it is there; at most some seconds old.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn room(&self, id: &RoomId) -> Result<Option<Room>, Refusal> {
        let now = clock::monotonic();
        if let Some(room) = self.cards.get(id, now) {
            return Ok(Some(room));
        }
        let found = answered(id, self.directory.room(id)).await?;
        if let Some(room) = &found {
            self.cards.put(id, room.clone(), now);
        }
        Ok(found)
    }

    async fn made_by_joining(&self, id: &RoomId) -> Result<Room, Refusal> {
        if !self.is_made_by_joining || is_direct(id) {
            return Err(not_found());
        }
        let wanted = Room {
            id: id.clone(),
            name: id.as_str().to_owned(),
            access: Access::Public,
            created_by: None,
            created_at_ms: clock::unix_ms(),
            rules: Rules::default(),
            version: 0,
        };
        let (room, _) = self.room_or_new(&wanted).await?;
        Ok(room)
    }

    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn room_or_new(&self, wanted: &Room) -> Result<(Room, bool), Refusal> {
        let (room, is_new) = answered(&wanted.id, self.directory.room_or_new(wanted)).await?;
        self.cards.put(&wanted.id, room.clone(), clock::monotonic());
        Ok((room, is_new))
    }

    /// The room after the update.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, or `UNAVAILABLE`.
    pub async fn update_room(&self, room: &Room) -> Result<Room, Refusal> {
        let updated = answered(&room.id, self.directory.update_room(room)).await?;
        self.cards.forget(&room.id);
        updated.ok_or_else(not_found)
    }

    /// # Errors
    /// `ROOM_NOT_FOUND`, or `UNAVAILABLE`.
    pub async fn archive_room(&self, id: &RoomId) -> Result<(), Refusal> {
        let is_there = answered(id, self.directory.archive_room(id)).await?;
        self.cards.forget(id);
        if is_there { Ok(()) } else { Err(not_found()) }
    }

    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn change_member(
        &self,
        room: &RoomId,
        user_id: &str,
        change: &MemberChange,
    ) -> Result<Member, Refusal> {
        answered(room, self.directory.change_member(room, user_id, change)).await
    }

    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn member_count(&self, room: &RoomId) -> Result<u64, Refusal> {
        answered(room, self.directory.member_count(room)).await
    }

    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn members(
        &self,
        room: &RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, Refusal> {
        answered(room, self.directory.members(room, after, limit)).await
    }

    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn rooms_of(
        &self,
        user_id: &str,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<(Room, Member)>, Refusal> {
        listed(self.directory.rooms_of(user_id, after, limit)).await
    }

    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn public_rooms(
        &self,
        named: Option<&str>,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<Room>, Refusal> {
        listed(self.directory.public_rooms(named, after, limit)).await
    }

    /// Whether a room has so few members on record that they are told who has read what; as of some seconds ago.
    pub async fn is_small(&self, id: &RoomId) -> bool {
        let now = clock::monotonic();
        if let Some(is_small) = self.smalls.get(id, now) {
            return is_small;
        }
        match self.member_count(id).await {
            Ok(count) => {
                let is_small = count <= u64::from(self.small_members_max);
                self.smalls.put(id, is_small, now);
                is_small
            }
            // Nobody misses a receipt.
            Err(_) => false,
        }
    }

    /// Something changed in a room.
    pub fn heard(&self, room: &RoomId) {
        self.cards.forget(room);
        self.smalls.forget(room);
        self.heard.fetch_add(1, Ordering::SeqCst);
    }

    /// How many changes were heard of, in any room.
    #[must_use]
    pub fn changes_heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// Keeps the read marks that have gathered.
    pub async fn keep_marks(&self) {
        let marks: Vec<ReadMark> = self.marks.take();
        if marks.is_empty() {
            return;
        }
        if let Err(error) = self.directory.mark_read(marks.clone()).await {
            tracing::debug!(%error, "read marks are kept for later");
            self.marks.put_back(marks);
        }
    }

    async fn of_member(&self, room: Room, user_id: &str) -> Result<Standing, Refusal> {
        let found = answered(&room.id, self.directory.member(&room.id, user_id)).await?;
        let member = found.unwrap_or_else(|| Member::unknown(user_id));
        let member = self.with_mark(&room.id, member);
        Ok(Standing { room, member })
    }

    /// With what was marked a moment ago and is not on record yet.
    pub(crate) fn with_mark(&self, room: &RoomId, mut member: Member) -> Member {
        if let Some(read) = self.marks.of(room, &member.user_id)
            && read.seq > member.read.seq
        {
            member.read = read;
        }
        member
    }
}

/// The id of the room between two users: the same for both, and no way back to who they are.
///
/// # Errors
/// Never for ids of users; a room id has a form of its own.
pub fn direct_room(one: &str, other: &str) -> Result<RoomId, Refusal> {
    let (first, second) = if one <= other {
        (one, other)
    } else {
        (other, one)
    };
    // The length keeps ("a", "bc") apart from ("ab", "c").
    let digest = Sha256::digest(format!("{}:{first}{second}", first.len()));
    let short: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(RoomId::parse(&format!("{DIRECT_PREFIX}{short}"))?)
}

/// Whether this is the id of a direct room, there or not.
#[must_use]
pub fn is_direct(id: &RoomId) -> bool {
    id.as_str().starts_with(DIRECT_PREFIX)
}

fn not_found() -> Refusal {
    Refusal::new(Code::RoomNotFound, "there is no such room")
}

/// The directory's answer about a room.
async fn answered<T>(
    room: &RoomId,
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Refusal> {
    in_time(asked).await.map_err(|error| {
        tracing::warn!(%room, %error, "directory not asked");
        Refusal::from(&error)
    })
}

/// The directory's answer about many.
async fn listed<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, Refusal> {
    in_time(asked).await.map_err(|error| {
        tracing::warn!(%error, "rooms not listed");
        Refusal::from(&error)
    })
}

/// Within the time a client should wait.
async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let timed_out = || StoreError::Unavailable("timed out".to_owned());
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    answer.unwrap_or_else(|_| Err(timed_out()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_users_have_one_room_whoever_opens_it() {
        let of = |one, other| direct_room(one, other).unwrap();
        assert_eq!(of("ann", "bob"), of("bob", "ann"));
        assert_ne!(of("a", "bc"), of("ab", "c"));
        assert_ne!(of("ann", "ann"), of("ann", "bob"));
        assert!(!of("ann", "bob").as_str().contains("ann"));
    }
}
