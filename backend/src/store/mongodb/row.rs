//! An entry as a document, both ways.
//!
//! What differs between the kinds shares fields: an emoji is its entry's content, and `type` says whether it was added or removed, or
//! which event a system entry tells of.

use mongodb::bson;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::search;
use crate::chat::message::{Entry, Marks, Message, Place, Reactions, Sender};
use crate::chat::room::RoomId;
use crate::store::StoreError;

/// The `type` of a reaction.
const ADDED: &str = "added";
const REMOVED: &str = "removed";

/// One document of `messages`. Fields that later versions add are skipped when reading, and those that earlier ones did not have may miss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    #[serde(rename = "_id")]
    pub(super) id: bson::Uuid,
    room_id: String,
    pub(super) seq: i64,
    /// Missing: the seq, because every entry was a message then.
    n: Option<i64>,
    kind: String,
    pub(super) sender_id: String,
    sender_name: String,
    pub(super) client_msg_id: String,
    #[serde(rename = "type", default)]
    entry_type: String,
    #[serde(default)]
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ref_seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    ts: bson::DateTime,
    /// On a change, until its message shows it. See `fold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<bool>,
    /// On a message: the newest change that it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) folded: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<bson::DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<bson::DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reactions: Option<Vec<Reactions>>,
    /// On a message: what it is found by. See `search`.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<String>>,
}

impl Row {
    pub(super) fn new(message: &Message) -> Result<Self, StoreError> {
        let (entry_type, reply_to, subject) = match &message.entry {
            Entry::Message {
                message_type,
                reply_to,
                ..
            } => (message_type.as_str(), *reply_to, None),
            Entry::Reaction { added: true, .. } => (ADDED, None, None),
            Entry::Reaction { added: false, .. } => (REMOVED, None, None),
            Entry::System { event, subject, .. } => (event.as_str(), None, subject.clone()),
            Entry::Edit { .. } | Entry::Delete { .. } => ("", None, None),
        };
        let ref_seq = message.entry.ref_seq().map(stored).transpose()?;
        let words = match &message.entry {
            Entry::Message { content, .. } => Some(search::words(content)),
            Entry::Edit { .. }
            | Entry::Delete { .. }
            | Entry::Reaction { .. }
            | Entry::System { .. } => None,
        };
        Ok(Self {
            id: bson::Uuid::from_bytes(message.id.into_bytes()),
            room_id: message.room.as_str().to_owned(),
            seq: stored(message.seq)?,
            n: Some(stored(message.n)?),
            kind: message.entry.kind().to_owned(),
            sender_id: message.sender.id.clone(),
            sender_name: message.sender.name.clone(),
            client_msg_id: message.client_msg_id.clone(),
            entry_type: entry_type.to_owned(),
            content: message.entry.text().to_owned(),
            ref_seq,
            reply_to: reply_to.map(stored).transpose()?,
            subject,
            ts: bson::DateTime::from_millis(message.timestamp_ms),
            pending: ref_seq.map(|_| true),
            folded: None,
            edited_at: None,
            deleted_at: None,
            reactions: None,
            words,
        })
    }

    pub(super) fn room_id(&self) -> &str {
        &self.room_id
    }

    pub(super) fn content(&self) -> &str {
        &self.content
    }

    pub(super) fn into_message(self, room: &RoomId) -> Result<Message, StoreError> {
        let place = place(self.seq, self.n)?;
        let marks = Marks {
            edited_at_ms: self.edited_at.map(bson::DateTime::timestamp_millis),
            deleted_at_ms: self.deleted_at.map(bson::DateTime::timestamp_millis),
            reactions: self.reactions.unwrap_or_default(),
        };
        let ref_seq = || {
            let missing = || StoreError::Broken(format!("the change {} has no refSeq", place.seq));
            count(self.ref_seq.ok_or_else(missing)?)
        };
        let entry = match self.kind.as_str() {
            "message" => Entry::Message {
                message_type: self.entry_type,
                content: self.content,
                reply_to: self.reply_to.map(count).transpose()?,
            },
            "edit" => Entry::Edit {
                ref_seq: ref_seq()?,
                content: self.content,
            },
            "delete" => Entry::Delete {
                ref_seq: ref_seq()?,
            },
            "reaction" => Entry::Reaction {
                ref_seq: ref_seq()?,
                emoji: self.content,
                added: self.entry_type == ADDED,
            },
            "system" => Entry::System {
                event: self.entry_type,
                content: self.content,
                subject: self.subject,
            },
            kind => return Err(StoreError::Broken(format!("the kind {kind:?} is unknown"))),
        };
        Ok(Message {
            id: Uuid::from_bytes(self.id.bytes()),
            room: room.clone(),
            seq: place.seq,
            n: place.n,
            sender: Sender {
                id: self.sender_id,
                name: self.sender_name,
            },
            client_msg_id: self.client_msg_id,
            entry,
            timestamp_ms: self.ts.timestamp_millis(),
            marks,
        })
    }
}

/// The place that a document's `seq` and `n` name.
pub(super) fn place(seq: i64, n: Option<i64>) -> Result<Place, StoreError> {
    Ok(Place {
        seq: count(seq)?,
        n: count(n.unwrap_or(seq))?,
    })
}

/// A stored number as the program counts it.
pub(super) fn count(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| StoreError::Broken(format!("{stored} is no seq")))
}

/// A number as it is stored.
pub(super) fn stored(count: u64) -> Result<i64, StoreError> {
    i64::try_from(count).map_err(|_| StoreError::Broken(format!("seq {count} is out of range")))
}

/// A client's cursor as MongoDB can compare it: one beyond every seq stays beyond every seq.
pub(super) fn cursor(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
