//! Rooms and members on the wire: what clients ask about them, and what they are shown.

use serde::Serialize;
use serde_json::{Map, Value};

use super::read::{boolean, needed, number, object, text};
use crate::chat::admit::check_word;
use crate::chat::membership::{Access, FOREVER, Member, ROOM_NAME_BYTES_MAX, Role, Room, Rules};
use crate::chat::refusal::Refusal;
use crate::chat::room::RoomId;
use crate::chat::standing::Standing;
use crate::date::to_iso;

/// Longest user id, in bytes. It is part of index keys.
const USER_ID_BYTES_MAX: usize = 128;

/// Longest reason of a kick or a ban, in bytes.
const REASON_BYTES_MAX: usize = 256;

/// `createRoom({name, type?, roomId?, settings?})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest {
    /// None: the server makes one.
    pub room: Option<RoomId>,
    pub name: String,
    pub access: Access,
    pub rules: Rules,
}

/// `updateRoom({roomId, name?, settings?})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRequest {
    pub room: RoomId,
    name: Option<String>,
    settings: Map<String, Value>,
}

/// `inviteUser`, `kickUser`, `banUser`, `muteUser`, each `({roomId, userId, …})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRequest {
    pub room: RoomId,
    pub user_id: String,
    /// Of an invitation.
    pub name: Option<String>,
    /// Of an invitation.
    pub role: Option<Role>,
    pub reason: Option<String>,
    /// Of a ban or a mute: 0 lifts it, none is for ever.
    pub duration_ms: Option<u64>,
}

/// `openDirect({userId})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectRequest {
    pub user_id: String,
}

/// `markRead({roomId, seq})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRequest {
    pub room: RoomId,
    pub seq: u64,
}

impl CreateRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let fields = object(arguments)?;
        let access = match text(&fields, "type")?.as_deref() {
            None | Some("private") => Access::Private,
            Some("public") => Access::Public,
            Some(_) => return Err(Refusal::bad_request("type is neither public nor private")),
        };
        let room = text(&fields, "roomId")?;
        Ok(Self {
            room: room.as_deref().map(RoomId::parse).transpose()?,
            name: name(&needed(&fields, "name")?)?,
            access,
            rules: rules(Rules::default(), &settings(&fields)?)?,
        })
    }
}

impl UpdateRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let fields = object(arguments)?;
        Ok(Self {
            room: room(&fields)?,
            name: text(&fields, "name")?.map(|text| name(&text)).transpose()?,
            settings: settings(&fields)?,
        })
    }

    /// The room with what is asked for.
    ///
    /// # Errors
    /// The refusal to answer.
    pub fn applied_to(&self, room: &Room) -> Result<Room, Refusal> {
        let mut room = room.clone();
        if let Some(name) = &self.name {
            room.name.clone_from(name);
        }
        room.rules = rules(room.rules, &self.settings)?;
        Ok(room)
    }
}

impl MemberRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let fields = object(arguments)?;
        let role = match text(&fields, "role")? {
            None => None,
            Some(word) => Some(Role::parse(&word).ok_or_else(|| {
                Refusal::bad_request("role is none of member, moderator and owner")
            })?),
        };
        let reason = text(&fields, "reason")?;
        if let Some(reason) = &reason {
            check_word("reason", reason, REASON_BYTES_MAX)?;
        }
        Ok(Self {
            room: room(&fields)?,
            user_id: user_id(&fields)?,
            name: text(&fields, "name")?.map(|text| name(&text)).transpose()?,
            role,
            reason,
            duration_ms: number(&fields, "durationMs")?,
        })
    }

    /// When what is asked for ends; none lifts it.
    #[must_use]
    pub fn until_ms(&self, now_ms: i64) -> Option<i64> {
        match self.duration_ms {
            None => Some(FOREVER),
            Some(0) => None,
            Some(ms) => Some(now_ms.saturating_add(i64::try_from(ms).unwrap_or(FOREVER))),
        }
    }
}

impl DirectRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let fields = object(arguments)?;
        let user_id = user_id(&fields)?;
        Ok(Self { user_id })
    }
}

impl MarkRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let fields = object(arguments)?;
        let seq = number(&fields, "seq")?.ok_or_else(|| Refusal::bad_request("seq is missing"))?;
        let room = room(&fields)?;
        Ok(Self { room, seq })
    }
}

fn room(fields: &Map<String, Value>) -> Result<RoomId, Refusal> {
    Ok(RoomId::parse(&needed(fields, "roomId")?)?)
}

fn user_id(fields: &Map<String, Value>) -> Result<String, Refusal> {
    let user_id = needed(fields, "userId")?;
    check_word("userId", &user_id, USER_ID_BYTES_MAX)?;
    Ok(user_id)
}

fn name(text: &str) -> Result<String, Refusal> {
    let name = text.trim();
    check_word("name", name, ROOM_NAME_BYTES_MAX)?;
    Ok(name.to_owned())
}

fn settings(fields: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    match fields.get("settings") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(settings)) => Ok(settings.clone()),
        Some(_) => Err(Refusal::bad_request("settings is not an object")),
    }
}

/// The rules with what the settings name.
fn rules(mut rules: Rules, settings: &Map<String, Value>) -> Result<Rules, Refusal> {
    let small = |key: &'static str| -> Result<Option<u32>, Refusal> {
        let Some(wanted) = number(settings, key)? else {
            return Ok(None);
        };
        let too_big = |_| Refusal::bad_request(format!("{key} is too big"));
        u32::try_from(wanted).map(Some).map_err(too_big)
    };
    if let Some(ms) = small("slowModeMs")? {
        rules.slow_mode_ms = ms;
    }
    if let Some(count) = small("maxMembers")? {
        rules.members_max = count;
    }
    if let Some(read_only) = boolean(settings, "readOnly")? {
        rules.read_only = read_only;
    }
    Ok(rules)
}

/// A room as one of those in it sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomBody<'a> {
    pub id: &'a str,
    pub name: &'a str,
    #[serde(rename = "type")]
    pub room_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// Until when this very person is not heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Until>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<&'a str>,
    pub settings: RulesBody,
    /// Of two bodies, in whatever order they came, the one with the higher version is the later one: this is for all but the person,
    pub version: u64,
    /// and this for `role` and `mutedUntil`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_version: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RulesBody {
    slow_mode_ms: u32,
    read_only: bool,
    max_members: u32,
}

impl<'a> From<&'a Room> for RoomBody<'a> {
    fn from(room: &'a Room) -> Self {
        Self {
            id: room.id.as_str(),
            name: &room.name,
            room_type: room.access.as_str(),
            role: None,
            muted_until: None,
            created_by: room.created_by.as_deref(),
            settings: RulesBody {
                slow_mode_ms: room.rules.slow_mode_ms,
                read_only: room.rules.read_only,
                max_members: room.rules.members_max,
            },
            version: room.version,
            member_version: None,
        }
    }
}

impl<'a> From<&'a Standing> for RoomBody<'a> {
    fn from(standing: &'a Standing) -> Self {
        Self {
            role: Some(standing.role().as_str()),
            muted_until: standing.member.muted_until_ms.map(Until::from),
            member_version: Some(standing.member.version),
            ..Self::from(&standing.room)
        }
    }
}

/// The ack of `createRoom`, `updateRoom` and `openDirect`, and `roomUpdated`.
#[derive(Debug, Serialize)]
pub struct RoomAnswer<'a> {
    pub room: RoomBody<'a>,
}

/// A membership on record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberBody<'a> {
    user_id: &'a str,
    name: &'a str,
    role: &'static str,
    joined_at: String,
    last_read_seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until: Option<Until>,
    #[serde(skip_serializing_if = "Option::is_none")]
    banned_until: Option<Until>,
}

/// The ack of `inviteUser`, `muteUser` and `banUser`.
#[derive(Debug, Serialize)]
pub struct MemberAnswer<'a> {
    pub member: MemberBody<'a>,
}

impl<'a> From<&'a Member> for MemberBody<'a> {
    fn from(member: &'a Member) -> Self {
        Self {
            user_id: &member.user_id,
            name: &member.name,
            role: member.role.as_str(),
            joined_at: to_iso(member.joined_at_ms),
            last_read_seq: member.read.seq,
            muted_until: member.muted_until_ms.map(Until::from),
            banned_until: member.banned_until_ms.map(Until::from),
        }
    }
}

/// An end: a date, or the word `forever`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Until(String);

impl From<i64> for Until {
    fn from(until_ms: i64) -> Self {
        // Beyond what has four digits for the year, nobody waits.
        Self(if until_ms >= 253_402_300_800_000 {
            "forever".to_owned()
        } else {
            to_iso(until_ms)
        })
    }
}

/// The ack of `markRead`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Marked {
    pub last_read_seq: u64,
    pub unread: u64,
}

/// `readReceipt`, to the members of a small room. It has no `seq`: what has a `roomId` and a `seq` on the bus is an entry of the log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadReceipt<'a> {
    pub room_id: &'a str,
    pub user_id: &'a str,
    pub last_read_seq: u64,
}

/// `kicked`, to the sockets of whoever has to leave a room.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kicked<'a> {
    pub room_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
}

/// The names of the events that tell of rooms.
pub const READ_RECEIPT: &str = "readReceipt";
pub const ROOM_UPDATED: &str = "roomUpdated";
pub const KICKED: &str = "kicked";

#[cfg(test)]
mod tests;
