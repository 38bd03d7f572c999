//! Rooms and members in memory: for tests and for trying things out. They end with the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Directory, ReadMark};
use crate::chat::membership::{Access, Member, MemberChange, Room};
use crate::chat::room::RoomId;
use crate::store::StoreError;

/// Rooms and memberships together. When there are so many, it refuses like a full disk; they are about 300 bytes each.
const RECORDS_MAX: usize = 500_000;

/// A directory that forgets. Share it in an `Arc` to have several instances on the same data.
#[derive(Debug, Default)]
pub struct MemoryDirectory(Mutex<Records>);

#[derive(Debug, Default)]
struct Records {
    rooms: BTreeMap<RoomId, Room>,
    members: BTreeMap<(RoomId, String), Member>,
}

impl MemoryDirectory {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every change is complete before anything can panic, so a poisoned lock guards sound data.
    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn check_space(&self) -> Result<(), StoreError> {
        if self.rooms.len() + self.members.len() < RECORDS_MAX {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "memory directory is full ({RECORDS_MAX} records)"
        )))
    }

    fn change(
        &mut self,
        room: &RoomId,
        user_id: &str,
        change: impl FnOnce(Member) -> Member,
    ) -> Result<Member, StoreError> {
        let key = (room.clone(), user_id.to_owned());
        let member = match self.members.get(&key) {
            Some(member) => member.clone(),
            None => {
                self.check_space()?;
                Member::unknown(user_id)
            }
        };
        let member = change(member);
        self.members.insert(key, member.clone());
        Ok(member)
    }

    fn members_of(&self, room: &RoomId, after: &str) -> impl Iterator<Item = &Member> {
        let start = (room.clone(), after.to_owned());
        self.members
            .range((Bound::Excluded(start), Bound::Unbounded))
            .take_while(move |((of, _), _)| of == room)
            .map(|(_, member)| member)
            .filter(|member| member.is_member)
    }
}

fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn is_behind(id: &RoomId, after: Option<&RoomId>) -> bool {
    after.is_none_or(|after| id > after)
}

#[async_trait]
impl Directory for MemoryDirectory {
    async fn room_or_new(&self, room: &Room) -> Result<(Room, bool), StoreError> {
        let mut records = self.records();
        if let Some(found) = records.rooms.get(&room.id) {
            return Ok((found.clone(), false));
        }
        records.check_space()?;
        records.rooms.insert(room.id.clone(), room.clone());
        Ok((room.clone(), true))
    }

    async fn room(&self, id: &RoomId) -> Result<Option<Room>, StoreError> {
        Ok(self.records().rooms.get(id).cloned())
    }

    async fn update_room(&self, room: &Room) -> Result<Option<Room>, StoreError> {
        let mut records = self.records();
        let Some(found) = records.rooms.get_mut(&room.id) else {
            return Ok(None);
        };
        found.name.clone_from(&room.name);
        found.rules = room.rules;
        found.version += 1;
        Ok(Some(found.clone()))
    }

    async fn archive_room(&self, id: &RoomId) -> Result<bool, StoreError> {
        let mut records = self.records();
        let Some(found) = records.rooms.get_mut(id) else {
            return Ok(false);
        };
        found.access = Access::Archived;
        found.version += 1;
        Ok(true)
    }

    async fn member(&self, room: &RoomId, user_id: &str) -> Result<Option<Member>, StoreError> {
        let key = (room.clone(), user_id.to_owned());
        Ok(self.records().members.get(&key).cloned())
    }

    async fn change_member(
        &self,
        room: &RoomId,
        user_id: &str,
        change: &MemberChange,
    ) -> Result<Member, StoreError> {
        self.records()
            .change(room, user_id, |member| member.after(change))
    }

    async fn mark_read(&self, marks: Vec<ReadMark>) -> Result<(), StoreError> {
        let mut records = self.records();
        for mark in marks {
            records.change(&mark.room, &mark.user_id, |mut member| {
                if member.read.seq < mark.read.seq {
                    member.read = mark.read;
                }
                member
            })?;
        }
        Ok(())
    }

    async fn members(
        &self,
        room: &RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let records = self.records();
        let members = records.members_of(room, after.unwrap_or_default());
        Ok(members.take(count(limit)).cloned().collect())
    }

    async fn member_count(&self, room: &RoomId) -> Result<u64, StoreError> {
        Ok(self.records().members_of(room, "").count() as u64)
    }

    async fn rooms_of(
        &self,
        user_id: &str,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<(Room, Member)>, StoreError> {
        let records = self.records();
        Ok(records
            .members
            .iter()
            .filter(|((_, user), member)| user == user_id && member.is_member)
            .filter(|((room, _), _)| is_behind(room, after))
            .filter_map(|((room, _), member)| {
                Some((records.rooms.get(room)?.clone(), member.clone()))
            })
            .take(count(limit))
            .collect())
    }

    async fn public_rooms(
        &self,
        named: Option<&str>,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<Room>, StoreError> {
        let named = named.unwrap_or_default().to_ascii_lowercase();
        Ok(self
            .records()
            .rooms
            .values()
            .filter(|room| room.access == Access::Public && is_behind(&room.id, after))
            .filter(|room| room.name.to_ascii_lowercase().contains(&named))
            .take(count(limit))
            .cloned()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::MemoryDirectory;
    use crate::contract::Fixture;
    use crate::directory::Directory;
    use crate::directory::contract::directory_contract;

    #[async_trait]
    impl Fixture<dyn Directory> for Arc<MemoryDirectory> {
        async fn open(&self) -> Arc<dyn Directory> {
            self.clone()
        }
    }

    directory_contract!(Arc<MemoryDirectory>);
}
