//! Reads the arguments of clients' events: anything in, a checked request or a refusal out.

use serde_json::{Map, Value};

use crate::chat::admit::Wish;
use crate::chat::change::{Change, Deed};
use crate::chat::refusal::Refusal;
use crate::chat::room::RoomId;

/// `joinRoom(roomId)`, `(roomId, {lastSeq, epoch, limit})`, `({roomId, …})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    pub room: RoomId,
    /// The newest seq that the client has.
    pub last_seq: Option<u64>,
    /// The log that `last_seq` is of.
    pub epoch: Option<String>,
    pub limit: Option<u64>,
}

/// `leaveRoom(roomId)`, `({roomId})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveRequest {
    pub room: RoomId,
}

/// `sendMessage(roomId, {content, …})`, `({roomId, content, …})`, `(roomId, "text")`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendRequest {
    pub room: RoomId,
    pub wish: Wish,
}

/// `editMessage({roomId, seq, content})`, `deleteMessage({roomId, seq})`, `addReaction({roomId, seq, emoji})`, `removeReaction({…})`, each
/// with an optional `clientMsgId`, and each as `(roomId, {…})` as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRequest {
    pub room: RoomId,
    pub change: Change,
}

/// `getHistory({roomId, before | after | around, limit})`, `(roomId, {…})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRequest {
    pub room: RoomId,
    pub cursor: Cursor,
}

/// Where in a room's log, in seqs, and how many messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub before: Option<u64>,
    pub after: Option<u64>,
    /// Half of the page lies before it.
    pub around: Option<u64>,
    pub limit: Option<u64>,
}

/// The arguments of an event packet, `["name", …]`, without the name.
///
/// # Errors
/// A refusal when the packet is not JSON of a sane depth. Engine.IO's payload limit has bounded its size.
pub fn arguments(packet: &str) -> Result<Vec<Value>, Refusal> {
    let mut items: Vec<Value> = serde_json::from_str(packet)
        .map_err(|_| Refusal::bad_request("the event is not JSON of a sane depth"))?;
    if items.is_empty() {
        return Err(Refusal::bad_request("the event has no name"));
    }
    items.remove(0);
    Ok(items)
}

impl JoinRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let (room, fields) = room_and_fields(arguments)?;
        Ok(Self {
            room,
            last_seq: number(&fields, "lastSeq")?,
            epoch: text(&fields, "epoch")?,
            limit: number(&fields, "limit")?,
        })
    }
}

impl LeaveRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let (room, _) = room_and_fields(arguments)?;
        Ok(Self { room })
    }
}

impl SendRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let (room, fields) = room_and_fields(arguments)?;
        let content = text(&fields, "content")?
            .ok_or_else(|| Refusal::bad_request("content is missing; send {content: \"…\"}"))?;
        let wish = Wish {
            content,
            message_type: text(&fields, "type")?,
            reply_to: number(&fields, "replyTo")?,
            client_msg_id: text(&fields, "clientMsgId")?,
        };
        Ok(Self { room, wish })
    }
}

impl ChangeRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn edit(arguments: Vec<Value>) -> Result<Self, Refusal> {
        Self::read(arguments, |fields| {
            let content = needed(fields, "content")?;
            Ok(Deed::Edit { content })
        })
    }

    /// # Errors
    /// The refusal to answer.
    pub fn delete(arguments: Vec<Value>) -> Result<Self, Refusal> {
        Self::read(arguments, |_| Ok(Deed::Delete))
    }

    /// # Errors
    /// The refusal to answer.
    pub fn react(arguments: Vec<Value>, added: bool) -> Result<Self, Refusal> {
        Self::read(arguments, |fields| {
            let emoji = needed(fields, "emoji")?;
            Ok(Deed::React { emoji, added })
        })
    }

    fn read(
        arguments: Vec<Value>,
        deed: impl FnOnce(&Map<String, Value>) -> Result<Deed, Refusal>,
    ) -> Result<Self, Refusal> {
        let (room, fields) = room_and_fields(arguments)?;
        let change = Change {
            ref_seq: number(&fields, "seq")?
                .ok_or_else(|| Refusal::bad_request("seq is missing"))?,
            deed: deed(&fields)?,
            client_msg_id: text(&fields, "clientMsgId")?,
        };
        Ok(Self { room, change })
    }
}

impl HistoryRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let (room, fields) = room_and_fields(arguments)?;
        let cursor = Cursor {
            before: number(&fields, "before")?,
            after: number(&fields, "after")?,
            around: number(&fields, "around")?,
            limit: number(&fields, "limit")?,
        };
        Ok(Self { room, cursor })
    }
}

/// Brings both forms to one: the room, and the object with the rest. A bare text in second place is the content.
pub(super) fn room_and_fields(
    arguments: Vec<Value>,
) -> Result<(RoomId, Map<String, Value>), Refusal> {
    let mut arguments = arguments.into_iter();
    match (arguments.next(), arguments.next()) {
        (Some(Value::Object(fields)), _) => {
            let room = text(&fields, "roomId")?
                .ok_or_else(|| Refusal::bad_request("roomId is missing"))?;
            Ok((RoomId::parse(&room)?, fields))
        }
        (Some(Value::String(room)), rest) => {
            let room = RoomId::parse(&room)?;
            match rest {
                None | Some(Value::Null) => Ok((room, Map::new())),
                Some(Value::Object(fields)) => Ok((room, fields)),
                Some(content @ Value::String(_)) => {
                    Ok((room, Map::from_iter([("content".to_owned(), content)])))
                }
                Some(_) => Err(Refusal::bad_request("the second argument is not an object")),
            }
        }
        _ => Err(Refusal::bad_request(
            "the first argument is neither a roomId nor an object with one",
        )),
    }
}

/// The one object that some events take.
pub(super) fn object(arguments: Vec<Value>) -> Result<Map<String, Value>, Refusal> {
    match arguments.into_iter().next() {
        Some(Value::Object(fields)) => Ok(fields),
        _ => Err(Refusal::bad_request("the first argument is not an object")),
    }
}

pub(crate) fn boolean(fields: &Map<String, Value>, key: &str) -> Result<Option<bool>, Refusal> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(Refusal::bad_request(format!(
            "{key} is neither true nor false"
        ))),
    }
}

pub(super) fn needed(fields: &Map<String, Value>, key: &str) -> Result<String, Refusal> {
    text(fields, key)?.ok_or_else(|| Refusal::bad_request(format!("{key} is missing")))
}

pub(crate) fn text(fields: &Map<String, Value>, key: &str) -> Result<Option<String>, Refusal> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::bad_request(format!("{key} is not a text"))),
    }
}

pub(super) fn flag(fields: &Map<String, Value>, key: &str) -> Result<Option<bool>, Refusal> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(Refusal::bad_request(format!("{key} is not true or false"))),
    }
}

pub(crate) fn number(fields: &Map<String, Value>, key: &str) -> Result<Option<u64>, Refusal> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| Refusal::bad_request(format!("{key} is not a whole number from 0"))),
    }
}
