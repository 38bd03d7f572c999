//! How an entry of a room's log looks to clients: the event that shows it, and its body.

use serde::Serialize;
use socketioxide_core::Str;

use crate::chat::message::{Entry, Message, Reactions};
use crate::date::to_iso;

/// Users named beside the count of a reaction. Pages have many messages, and nobody reads more names.
const REACTING_USERS_SHOWN: usize = 50;

/// The event that shows an entry to the members of its room, and its body: the same that pages have.
///
/// What nobody said has events of its own, so that clients which know `message` alone show messages alone.
#[must_use]
pub fn shown(message: &Message) -> (&'static str, MessageBody<'_>) {
    let event = match message.entry {
        Entry::Message { .. } => "message",
        Entry::Edit { .. } => "messageUpdated",
        Entry::Delete { .. } => "messageDeleted",
        Entry::Reaction { .. } => "reaction",
        Entry::System { .. } => "systemMessage",
    };
    (event, MessageBody::from(message))
}

/// The same as it travels: `["message",{…}]`.
#[must_use]
pub fn told(message: &Message) -> Option<Str> {
    match serde_json::to_string(&shown(message)) {
        Ok(text) => Some(Str::from(text)),
        // Texts and numbers can always be written; if not, nobody is told, and the log still has it.
        Err(error) => {
            tracing::error!(room = %message.room, seq = message.seq, %error, "an entry cannot be written");
            None
        }
    }
}

/// An entry, with the fields of its kind.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageBody<'a> {
    id: String,
    room_id: &'a str,
    seq: u64,
    kind: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    entry_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ref_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    sender_id: &'a str,
    sender_name: &'a str,
    timestamp: String,
    client_msg_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<String>,
    /// The content is empty then.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ReactionBody<'a>>,
}

#[derive(Debug, Serialize)]
struct ReactionBody<'a> {
    emoji: &'a str,
    count: usize,
    /// The ids of the first who reacted.
    users: &'a [String],
}

impl<'a> From<&'a Message> for MessageBody<'a> {
    fn from(message: &'a Message) -> Self {
        let marks = &message.marks;
        let body = Self {
            id: message.id.to_string(),
            room_id: message.room.as_str(),
            seq: message.seq,
            kind: message.entry.kind(),
            ref_seq: message.entry.ref_seq(),
            sender_id: &message.sender.id,
            sender_name: &message.sender.name,
            timestamp: to_iso(message.timestamp_ms),
            client_msg_id: &message.client_msg_id,
            edited_at: marks.edited_at_ms.map(to_iso),
            deleted_at: marks.deleted_at_ms.map(to_iso),
            reactions: marks.reactions.iter().map(ReactionBody::from).collect(),
            ..Self::default()
        };
        match &message.entry {
            Entry::Message {
                message_type,
                content,
                reply_to,
            } => Self {
                entry_type: Some(message_type),
                content: Some(content),
                reply_to: *reply_to,
                ..body
            },
            Entry::Edit { content, .. } => Self {
                content: Some(content),
                ..body
            },
            Entry::Delete { .. } => body,
            Entry::Reaction { emoji, added, .. } => Self {
                emoji: Some(emoji),
                added: Some(*added),
                ..body
            },
            Entry::System {
                event,
                content,
                subject,
            } => Self {
                entry_type: Some(event),
                content: Some(content),
                subject_id: subject.as_deref(),
                ..body
            },
        }
    }
}

impl<'a> From<&'a Reactions> for ReactionBody<'a> {
    fn from(reactions: &'a Reactions) -> Self {
        let users = &reactions.users;
        Self {
            emoji: &reactions.emoji,
            count: users.len(),
            users: users.get(..REACTING_USERS_SHOWN).unwrap_or(users),
        }
    }
}
