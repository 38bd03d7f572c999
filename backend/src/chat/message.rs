//! Drafts and messages: what somebody wants to say, and what was said.

use uuid::Uuid;

use super::room::RoomId;

/// Who says it. The public user id, never a session id or a socket id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub id: String,
    pub name: String,
}

/// An admitted message that has no place in its room yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Version 7, made by the server.
    pub id: Uuid,
    pub sender: Sender,
    /// The client's own id for it, or one the server made. `(room, sender, client_msg_id)` is stored at most once.
    pub client_msg_id: String,
    /// The client's `type`, such as `text`.
    pub kind: String,
    pub content: String,
    /// Milliseconds since the Unix epoch, by the server's clock.
    pub timestamp_ms: i64,
}

/// A stored message with its final place in its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: Uuid,
    pub room: RoomId,
    /// Starts at 1; gap-free within a room.
    pub seq: u64,
    pub sender: Sender,
    pub client_msg_id: String,
    pub kind: String,
    pub content: String,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

impl Draft {
    /// The message this draft becomes at its place in a room.
    #[must_use]
    pub fn placed(self, room: &RoomId, seq: u64) -> Message {
        let Self {
            id,
            sender,
            client_msg_id,
            kind,
            content,
            timestamp_ms,
        } = self;
        Message {
            id,
            room: room.clone(),
            seq,
            sender,
            client_msg_id,
            kind,
            content,
            timestamp_ms,
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
