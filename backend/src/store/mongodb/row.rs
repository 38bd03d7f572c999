//! A message as a document, both ways.

use mongodb::bson;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::chat::message::{Draft, Message, Sender};
use crate::chat::room::RoomId;
use crate::store::StoreError;

/// One document of `messages`. Fields that later versions add are skipped when reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    #[serde(rename = "_id")]
    pub(super) id: bson::Uuid,
    room_id: String,
    pub(super) seq: i64,
    kind: String,
    pub(super) sender_id: String,
    sender_name: String,
    pub(super) client_msg_id: String,
    #[serde(rename = "type")]
    message_type: String,
    content: String,
    ts: bson::DateTime,
}

impl Row {
    pub(super) fn new(room: &RoomId, seq: i64, draft: &Draft) -> Self {
        Self {
            id: bson::Uuid::from_bytes(draft.id.into_bytes()),
            room_id: room.as_str().to_owned(),
            seq,
            kind: "message".to_owned(),
            sender_id: draft.sender.id.clone(),
            sender_name: draft.sender.name.clone(),
            client_msg_id: draft.client_msg_id.clone(),
            message_type: draft.kind.clone(),
            content: draft.content.clone(),
            ts: bson::DateTime::from_millis(draft.timestamp_ms),
        }
    }

    pub(super) fn into_message(self, room: &RoomId) -> Result<Message, StoreError> {
        Ok(Message {
            id: Uuid::from_bytes(self.id.bytes()),
            room: room.clone(),
            seq: seq(self.seq)?,
            sender: Sender {
                id: self.sender_id,
                name: self.sender_name,
            },
            client_msg_id: self.client_msg_id,
            kind: self.message_type,
            content: self.content,
            timestamp_ms: self.ts.timestamp_millis(),
        })
    }
}

/// A stored seq as the program counts it.
pub(super) fn seq(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| StoreError::Broken(format!("seq {stored} is negative")))
}
