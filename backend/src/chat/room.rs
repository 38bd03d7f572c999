//! Room names: what a client may call a room.

use std::fmt;
use std::sync::Arc;

/// Longest room name, in bytes. Room names become index keys, Redis channel names and metric-free log fields, so they stay short.
pub const ROOM_ID_BYTES_MAX: usize = 128;

/// Begins the name of the room that a user's sockets are in, on every server: what is for one user is sent there. It is no room to talk
/// in, so no [`RoomId`] begins so.
const USER_ROOM_PREFIX: &str = "user:";

/// The room of all sockets of a user.
#[must_use]
pub fn user_room(user_id: &str) -> String {
    format!("{USER_ROOM_PREFIX}{user_id}")
}

/// The checked name of a room. It can only exist well-formed; cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(Arc<str>);

/// Why a text is not a room name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoomId {
    #[error("roomId is empty")]
    Empty,
    #[error("roomId is longer than {ROOM_ID_BYTES_MAX} bytes")]
    TooLong,
    #[error("roomId has a control character")]
    ControlCharacter,
    #[error("roomId begins with {USER_ROOM_PREFIX}, which is kept for users' own rooms")]
    Reserved,
}

impl RoomId {
    /// # Errors
    /// [`BadRoomId`] when the text is empty, longer than [`ROOM_ID_BYTES_MAX`] bytes, has a control character, or is a user's own room.
    pub fn parse(text: &str) -> Result<Self, BadRoomId> {
        if text.is_empty() {
            return Err(BadRoomId::Empty);
        }
        if text.len() > ROOM_ID_BYTES_MAX {
            return Err(BadRoomId::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(BadRoomId::ControlCharacter);
        }
        if text.starts_with(USER_ROOM_PREFIX) {
            return Err(BadRoomId::Reserved);
        }
        Ok(Self(Arc::from(text)))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_talks_in_a_users_own_room() {
        let room = user_room("7");
        assert_eq!(RoomId::parse(&room), Err(BadRoomId::Reserved));
        assert!(RoomId::parse("users").is_ok());
    }
}
