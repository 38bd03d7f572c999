//! Drafts and messages: what somebody wants to say, and what was said.
//!
//! A room is one log of entries. Messages are entries, and so is everything that happens to them: a cursor covers it all.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::room::RoomId;

/// Who says it. The public user id, never a session id or a socket id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub id: String,
    pub name: String,
}

/// What an entry of a room's log is. `ref_seq` names the message that a change is about; `fold` says what it does to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Message {
        /// The client's `type`, such as `text`.
        message_type: String,
        content: String,
        /// The seq that it answers.
        reply_to: Option<u64>,
    },
    Edit {
        ref_seq: u64,
        content: String,
    },
    Delete {
        ref_seq: u64,
    },
    Reaction {
        ref_seq: u64,
        emoji: String,
        /// False takes it back.
        added: bool,
    },
    /// Something happened in the room that nobody said.
    System {
        /// A word such as `memberJoined`.
        event: String,
        /// The same as a sentence, for clients that do not know the word.
        content: String,
        /// The id of the user whom it happened to.
        subject: Option<String>,
    },
}

impl Entry {
    /// The kind's word, on the wire and in stores.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::Reaction { .. } => "reaction",
            Self::System { .. } => "system",
        }
    }

    /// The message that it changes.
    #[must_use]
    pub fn ref_seq(&self) -> Option<u64> {
        match self {
            Self::Edit { ref_seq, .. }
            | Self::Delete { ref_seq }
            | Self::Reaction { ref_seq, .. } => Some(*ref_seq),
            Self::Message { .. } | Self::System { .. } => None,
        }
    }

    /// Its longest text: the content, or what an entry has in its place.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Message { content, .. }
            | Self::Edit { content, .. }
            | Self::System { content, .. } => content,
            Self::Reaction { emoji, .. } => emoji,
            Self::Delete { .. } => "",
        }
    }

    /// All its texts, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rest = match self {
            Self::Message { message_type, .. } => message_type.len(),
            Self::System { event, subject, .. } => {
                event.len() + subject.as_ref().map_or(0, String::len)
            }
            Self::Edit { .. } | Self::Delete { .. } | Self::Reaction { .. } => 0,
        };
        self.text().len() + rest
    }
}

/// A place in a room's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Starts at 1; gap-free within a room.
    pub seq: u64,
    /// How many of the entries up to here are messages: what is unread is a difference of two of these.
    pub n: u64,
}

impl Place {
    /// Where `entry` comes to lie behind this place.
    #[must_use]
    pub fn next(self, entry: &Entry) -> Self {
        Self {
            seq: self.seq + 1,
            n: self.n + u64::from(matches!(entry, Entry::Message { .. })),
        }
    }
}

/// An admitted entry that has no place in its room yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Version 7, made by the server.
    pub id: Uuid,
    pub sender: Sender,
    /// The client's own id for it, or one the server made. `(room, sender, client_msg_id)` is stored at most once.
    pub client_msg_id: String,
    pub entry: Entry,
    /// Milliseconds since the Unix epoch, by the server's clock.
    pub timestamp_ms: i64,
}

/// A stored entry with its final place in its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: Uuid,
    pub room: RoomId,
    pub seq: u64,
    /// See [`Place::n`].
    pub n: u64,
    pub sender: Sender,
    pub client_msg_id: String,
    pub entry: Entry,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    pub marks: Marks,
}

/// What later entries did to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub edited_at_ms: Option<i64>,
    /// Set: the content is gone.
    pub deleted_at_ms: Option<i64>,
    /// In the order in which the emojis first came.
    pub reactions: Vec<Reactions>,
}

/// Who reacted with one emoji. Never empty. Stores keep it in this form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reactions {
    pub emoji: String,
    /// User ids, in the order of their reactions, each once.
    pub users: Vec<String>,
}

impl Draft {
    /// The message this draft becomes at its place in a room.
    #[must_use]
    pub fn placed(self, room: &RoomId, place: Place) -> Message {
        let Self {
            id,
            sender,
            client_msg_id,
            entry,
            timestamp_ms,
        } = self;
        Message {
            id,
            room: room.clone(),
            seq: place.seq,
            n: place.n,
            sender,
            client_msg_id,
            entry,
            timestamp_ms,
            marks: Marks::default(),
        }
    }
}

impl Message {
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            seq: self.seq,
            n: self.n,
        }
    }
}

/// Why a text of a message is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    #[error("{field} is empty")]
    Empty { field: &'static str },
    #[error("{field} is longer than {bytes_max} bytes")]
    TooLong {
        field: &'static str,
        bytes_max: usize,
    },
    #[error("{field} has a control character")]
    ControlCharacter { field: &'static str },
}
