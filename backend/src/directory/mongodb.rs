//! Rooms and members in MongoDB's collections `rooms` and `members`, beside the messages.
//!
//! There is no lock: a membership has a version, and a change counts only if nobody has changed it since it was read. Read marks have
//! fields of their own, which such a change leaves alone.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{IndexOptions, ReturnDocument};
use mongodb::{Collection, IndexModel};

use super::{Directory, ReadMark};
use crate::chat::membership::{Access, Member, MemberChange, Room};
use crate::chat::room::RoomId;
use crate::store::StoreError;
use crate::store::mongodb::keeper::{DUPLICATE_KEY, Durable, Keeper, within};

mod document;

/// A directory in MongoDB, which may be away at start; each call tries again.
#[derive(Debug)]
pub struct MongoDirectory(Keeper<Opened>);

struct Opened {
    rooms: Collection<Document>,
    members: Collection<Document>,
}

impl MongoDirectory {
    /// Checks the URI; connects at the first use.
    ///
    /// # Errors
    /// [`StoreError::Broken`] when the text is not a connection string.
    pub fn connect(uri: &str) -> Result<Self, StoreError> {
        Ok(Self(Keeper::at(uri)?))
    }

    async fn opened(&self) -> Result<&Opened, StoreError> {
        self.0.opened(open).await
    }

    async fn try_change(
        &self,
        room: &RoomId,
        user_id: &str,
        change: &MemberChange,
    ) -> Result<Option<Member>, StoreError> {
        let members = &self.opened().await?.members;
        let key = doc! { "roomId": room.as_str(), "userId": user_id };
        let found = members.find_one(key.clone()).await.map_err(failure)?;
        let version = found
            .as_ref()
            .map(|found| found.get("version").cloned().unwrap_or(Bson::Null));
        let before = match &found {
            Some(found) => document::member(found)?,
            None => Member::unknown(user_id),
        };
        let after = before.after(change);
        let Some(version) = version else {
            let made = members.insert_one(document::new_member(room, &after)).await;
            return match made {
                Ok(_) => Ok(Some(after)),
                Err(why) if is_duplicate(&why) => Ok(None),
                Err(why) => Err(failure(why)),
            };
        };
        let mut unchanged = key;
        // `null` also finds what is missing: a record that a read mark made.
        unchanged.insert("version", version);
        let update = doc! { "$set": document::changeable(&after), "$inc": { "version": 1_i64 } };
        // Answered as it is then: a read mark may have moved meanwhile.
        let changed = members
            .find_one_and_update(unchanged, update)
            .return_document(ReturnDocument::After)
            .await
            .map_err(failure)?;
        changed.as_ref().map(document::member).transpose()
    }
}

async fn open(database: Durable) -> Result<Opened, StoreError> {
    let (rooms, members) = (database.collection("rooms"), database.collection("members"));
    let index = |keys| IndexModel::builder().keys(keys).build();
    let once = IndexModel::builder()
        .keys(doc! { "roomId": 1, "userId": 1 })
        .options(IndexOptions::builder().unique(true).build())
        .build();
    let by_user = index(doc! { "userId": 1, "roomId": 1 });
    members
        .create_indexes([once, by_user])
        .await
        .map_err(failure)?;
    rooms
        .create_index(index(doc! { "type": 1, "_id": 1 }))
        .await
        .map_err(failure)?;
    Ok(Opened { rooms, members })
}

fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(refused)) => refused.code == DUPLICATE_KEY,
        ErrorKind::Command(refused) => refused.code == DUPLICATE_KEY,
        _ => false,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn failure(error: Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

async fn mark(members: &Collection<Document>, mark: &ReadMark) -> Result<(), StoreError> {
    let seq = document::stored(mark.read.seq);
    let behind = doc! {
        "roomId": mark.room.as_str(),
        "userId": &mark.user_id,
        "lastReadSeq": { "$lt": seq },
    };
    let update = doc! {
        "$set": { "lastReadSeq": seq, "lastReadN": document::stored(mark.read.n) },
        "$setOnInsert": document::changeable(&Member::unknown(&mark.user_id)),
    };
    match members.update_one(behind, update).upsert(true).await {
        Ok(_) => Ok(()),
        // It is there and not behind.
        Err(why) if is_duplicate(&why) => Ok(()),
        Err(why) => Err(failure(why)),
    }
}

#[async_trait]
impl Directory for MongoDirectory {
    async fn room_or_new(&self, room: &Room) -> Result<(Room, bool), StoreError> {
        within(async {
            let rooms = &self.opened().await?.rooms;
            match rooms.insert_one(document::new_room(room)).await {
                Ok(_) => return Ok((room.clone(), true)),
                Err(why) if is_duplicate(&why) => {}
                Err(why) => return Err(failure(why)),
            }
            let found = rooms
                .find_one(doc! { "_id": room.id.as_str() })
                .await
                .map_err(failure)?;
            match found {
                Some(found) => Ok((document::room(&found)?, false)),
                // It is there, but no majority has it yet.
                None => Err(StoreError::Unavailable("the room is being made".to_owned())),
            }
        })
        .await
    }

    async fn room(&self, id: &RoomId) -> Result<Option<Room>, StoreError> {
        within(async {
            let rooms = &self.opened().await?.rooms;
            let found = rooms.find_one(doc! { "_id": id.as_str() }).await;
            found
                .map_err(failure)?
                .as_ref()
                .map(document::room)
                .transpose()
        })
        .await
    }

    async fn update_room(&self, room: &Room) -> Result<Option<Room>, StoreError> {
        within(async {
            let update = doc! {
                "$set": { "name": &room.name, "settings": document::rules(room) },
                "$inc": { "version": 1_i64 },
            };
            let rooms = &self.opened().await?.rooms;
            let updated = rooms
                .find_one_and_update(doc! { "_id": room.id.as_str() }, update)
                .return_document(ReturnDocument::After)
                .await
                .map_err(failure)?;
            updated.as_ref().map(document::room).transpose()
        })
        .await
    }

    async fn archive_room(&self, id: &RoomId) -> Result<bool, StoreError> {
        within(async {
            let update = doc! {
                "$set": { "type": Access::Archived.as_str() },
                "$inc": { "version": 1_i64 },
            };
            let rooms = &self.opened().await?.rooms;
            let updated = rooms.update_one(doc! { "_id": id.as_str() }, update).await;
            Ok(updated.map_err(failure)?.matched_count == 1)
        })
        .await
    }

    async fn member(&self, room: &RoomId, user_id: &str) -> Result<Option<Member>, StoreError> {
        within(async {
            let members = &self.opened().await?.members;
            let key = doc! { "roomId": room.as_str(), "userId": user_id };
            let found = members.find_one(key).await.map_err(failure)?;
            found.as_ref().map(document::member).transpose()
        })
        .await
    }

    async fn change_member(
        &self,
        room: &RoomId,
        user_id: &str,
        change: &MemberChange,
    ) -> Result<Member, StoreError> {
        within(async {
            loop {
                if let Some(member) = self.try_change(room, user_id, change).await? {
                    return Ok(member);
                }
                // Somebody else changed it; each time one of those who race is done.
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    async fn mark_read(&self, marks: Vec<ReadMark>) -> Result<(), StoreError> {
        within(async {
            let members = &self.opened().await?.members;
            for one in &marks {
                mark(members, one).await?;
            }
            Ok(())
        })
        .await
    }

    async fn members(
        &self,
        room: &RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        within(async {
            let behind = doc! {
                "roomId": room.as_str(),
                "userId": { "$gt": after.unwrap_or_default() },
                "isMember": true,
            };
            let found = self
                .opened()
                .await?
                .members
                .find(behind)
                .sort(doc! { "userId": 1 })
                .limit(i64::from(limit))
                .await
                .map_err(failure)?;
            let found: Vec<Document> = found.try_collect().await.map_err(failure)?;
            found.iter().map(document::member).collect()
        })
        .await
    }

    async fn member_count(&self, room: &RoomId) -> Result<u64, StoreError> {
        within(async {
            let members = &self.opened().await?.members;
            members
                .count_documents(doc! { "roomId": room.as_str(), "isMember": true })
                .await
                .map_err(failure)
        })
        .await
    }

    async fn rooms_of(
        &self,
        user_id: &str,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<(Room, Member)>, StoreError> {
        within(async {
            let opened = self.opened().await?;
            let behind = doc! {
                "userId": user_id,
                "roomId": { "$gt": after.map_or("", RoomId::as_str) },
                "isMember": true,
            };
            let found = opened
                .members
                .find(behind)
                .sort(doc! { "roomId": 1 })
                .limit(i64::from(limit))
                .await
                .map_err(failure)?;
            let found: Vec<Document> = found.try_collect().await.map_err(failure)?;
            let ids: Vec<&str> = found
                .iter()
                .filter_map(|one| one.get_str("roomId").ok())
                .collect();
            let rooms = opened
                .rooms
                .find(doc! { "_id": { "$in": ids } })
                .await
                .map_err(failure)?;
            let rooms: Vec<Document> = rooms.try_collect().await.map_err(failure)?;
            let rooms: Vec<Room> = rooms.iter().map(document::room).collect::<Result<_, _>>()?;
            let with_room = |member: &Document| {
                let id = member.get_str("roomId").ok()?;
                let room = rooms.iter().find(|room| room.id.as_str() == id)?;
                Some(document::member(member).map(|member| (room.clone(), member)))
            };
            found.iter().filter_map(with_room).collect()
        })
        .await
    }

    async fn public_rooms(
        &self,
        named: Option<&str>,
        after: Option<&RoomId>,
        limit: u32,
    ) -> Result<Vec<Room>, StoreError> {
        within(async {
            let mut behind = doc! {
                "type": Access::Public.as_str(),
                "_id": { "$gt": after.map_or("", RoomId::as_str) },
            };
            if let Some(named) = named {
                behind.insert("name", document::containing(named));
            }
            let found = self
                .opened()
                .await?
                .rooms
                .find(behind)
                .sort(doc! { "_id": 1 })
                .limit(i64::from(limit))
                .await
                .map_err(failure)?;
            let found: Vec<Document> = found.try_collect().await.map_err(failure)?;
            found.iter().map(document::room).collect()
        })
        .await
    }
}

#[cfg(test)]
mod tests;
