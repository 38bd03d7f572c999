//! What clients see of who is there and who is typing.

use serde::Serialize;
use serde_json::Value;

use super::read::{flag, room_and_fields, text};
use crate::chat::message::Sender;
use crate::chat::refusal::Refusal;
use crate::chat::room::RoomId;

/// The names of the server's events. `typing` is also one of the client's.
pub const PRESENCE: &str = "presence";
pub const TYPING: &str = "typing";

/// `typing(roomId, true)`, `({roomId, isTyping})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypingRequest {
    pub room: RoomId,
    pub is_typing: bool,
}

impl TypingRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(mut arguments: Vec<Value>) -> Result<Self, Refusal> {
        let positional = match arguments.get(1) {
            Some(Value::Bool(is_typing)) => Some(*is_typing),
            _ => None,
        };
        if positional.is_some() {
            arguments.truncate(1);
        }
        let (room, fields) = room_and_fields(arguments)?;
        let is_typing = match positional {
            Some(is_typing) => is_typing,
            None => flag(&fields, "isTyping")?
                .ok_or_else(|| Refusal::bad_request("isTyping is missing; send true or false"))?,
        };
        Ok(Self { room, is_typing })
    }
}

/// `getPresence({roomId, cursor?})`, `(roomId)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceRequest {
    pub room: RoomId,
    /// The last user id of the page before.
    pub cursor: Option<String>,
}

impl PresenceRequest {
    /// # Errors
    /// The refusal to answer.
    pub fn read(arguments: Vec<Value>) -> Result<Self, Refusal> {
        let (room, fields) = room_and_fields(arguments)?;
        Ok(Self {
            room,
            cursor: text(&fields, "cursor")?,
        })
    }
}

/// One person in a list.
#[derive(Debug, Serialize)]
pub struct PersonBody {
    pub id: String,
    pub name: String,
}

impl From<(String, String)> for PersonBody {
    fn from((id, name): (String, String)) -> Self {
        Self { id, name }
    }
}

impl From<Sender> for PersonBody {
    fn from(sender: Sender) -> Self {
        Self {
            id: sender.id,
            name: sender.name,
        }
    }
}

/// `presence`: who came and who went since the last one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceChanged<'a> {
    pub room_id: &'a str,
    pub joined: Vec<PersonBody>,
    pub left: Vec<PersonBody>,
    pub count: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approximate: bool,
}

/// Who is there: the ack of `getPresence`, and `presence` in the ack of `joinRoom`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceBody {
    pub count: usize,
    pub users: Vec<PersonBody>,
    /// There are more: ask again with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Other servers may have people whom this one has not heard of.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approximate: bool,
}

/// `typing`: everybody who types; nobody means that they have stopped.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypingBody<'a> {
    pub room_id: &'a str,
    pub users: Vec<PersonBody>,
}
