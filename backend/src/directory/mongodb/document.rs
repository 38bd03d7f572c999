//! Rooms and members as documents.

use mongodb::bson::{Bson, DateTime, Document, doc};

use crate::chat::membership::{Access, Member, Role, Room, Rules};
use crate::chat::message::Place;
use crate::chat::room::RoomId;
use crate::store::StoreError;

pub(super) fn new_room(room: &Room) -> Document {
    doc! {
        "_id": room.id.as_str(),
        "name": &room.name,
        "type": room.access.as_str(),
        "createdBy": room.created_by.as_deref(),
        "createdAt": DateTime::from_millis(room.created_at_ms),
        "settings": rules(room),
        "version": stored(room.version),
    }
}

pub(super) fn rules(room: &Room) -> Document {
    doc! {
        "slowModeMs": i64::from(room.rules.slow_mode_ms),
        "readOnly": room.rules.read_only,
        "maxMembers": i64::from(room.rules.members_max),
    }
}

pub(super) fn room(found: &Document) -> Result<Room, StoreError> {
    let settings = found.get_document("settings").map_err(broken)?;
    let number = |key: &str| {
        let number = settings.get_i64(key).map_err(broken)?;
        u32::try_from(number).map_err(broken)
    };
    let access = found.get_str("type").map_err(broken)?;
    Ok(Room {
        id: RoomId::parse(found.get_str("_id").map_err(broken)?).map_err(broken)?,
        name: found.get_str("name").map_err(broken)?.to_owned(),
        access: Access::parse(access).ok_or_else(|| broken(access))?,
        created_by: found.get_str("createdBy").ok().map(str::to_owned),
        created_at_ms: found
            .get_datetime("createdAt")
            .map_err(broken)?
            .timestamp_millis(),
        rules: Rules {
            slow_mode_ms: number("slowModeMs")?,
            read_only: settings.get_bool("readOnly").map_err(broken)?,
            members_max: number("maxMembers")?,
        },
        version: version(found)?,
    })
}

/// Matches what has this text in it, whatever its case.
pub(super) fn containing(text: &str) -> Document {
    let mut pattern = String::new();
    for char in text.chars() {
        // Outside letters and digits, an escape is always the character itself.
        if char.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    doc! { "$regex": pattern, "$options": "i" }
}

pub(super) fn new_member(room: &RoomId, member: &Member) -> Document {
    let mut made = doc! {
        "roomId": room.as_str(),
        "userId": &member.user_id,
        "lastReadSeq": stored(member.read.seq),
        "lastReadN": stored(member.read.n),
        "version": stored(member.version),
    };
    made.extend(changeable(member));
    made
}

/// All but the key and what a read mark moves.
pub(super) fn changeable(member: &Member) -> Document {
    doc! {
        "name": &member.name,
        "isMember": member.is_member,
        "role": member.role.as_str(),
        "joinedAt": DateTime::from_millis(member.joined_at_ms),
        "mutedUntil": until(member.muted_until_ms),
        "bannedUntil": until(member.banned_until_ms),
    }
}

pub(super) fn member(found: &Document) -> Result<Member, StoreError> {
    let count = |key: &str| {
        let number = found.get_i64(key).map_err(broken)?;
        u64::try_from(number).map_err(broken)
    };
    let until = |key: &str| found.get_i64(key).ok();
    let role = found.get_str("role").map_err(broken)?;
    Ok(Member {
        user_id: found.get_str("userId").map_err(broken)?.to_owned(),
        name: found.get_str("name").map_err(broken)?.to_owned(),
        is_member: found.get_bool("isMember").map_err(broken)?,
        role: Role::parse(role).ok_or_else(|| broken(role))?,
        joined_at_ms: found
            .get_datetime("joinedAt")
            .map_err(broken)?
            .timestamp_millis(),
        read: Place {
            seq: count("lastReadSeq")?,
            n: count("lastReadN")?,
        },
        muted_until_ms: until("mutedUntil"),
        banned_until_ms: until("bannedUntil"),
        version: version(found)?,
    })
}

/// None where nothing was changed since versions are counted, or where there is only a read mark.
fn version(found: &Document) -> Result<u64, StoreError> {
    let version = found.get_i64("version").unwrap_or_default();
    u64::try_from(version).map_err(broken)
}

/// Milliseconds since the Unix epoch as a number, because what has no end is beyond every date.
fn until(until_ms: Option<i64>) -> Bson {
    until_ms.map_or(Bson::Null, Bson::Int64)
}

/// A seq or a version as MongoDB keeps it.
pub(super) fn stored(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn broken(why: impl std::fmt::Display) -> StoreError {
    StoreError::Broken(format!(
        "a document of `rooms` or `members` is not Berth's: {why}"
    ))
}
