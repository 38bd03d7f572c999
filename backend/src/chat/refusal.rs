//! Every way this backend says no, and what a client may do about it.
//!
//! One table: the code on the wire, whether trying again can help, and the metric label. It does not know how a refusal travels.

use std::fmt;

use super::message::BadText;
use super::room::BadRoomId;

/// The closed list of refusal codes. The text of [`Code::as_str`] is the contract with clients and the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    Unauthorized,
    SessionStoreUnavailable,
    Forbidden,
    NotMember,
    RoomNotFound,
    Muted,
    Banned,
    BadRequest,
    PayloadTooLarge,
    Conflict,
    RateLimited,
    SlowMode,
    Overloaded,
    Unavailable,
    Internal,
}

impl Code {
    pub const ALL: [Self; 15] = [
        Self::Unauthorized,
        Self::SessionStoreUnavailable,
        Self::Forbidden,
        Self::NotMember,
        Self::RoomNotFound,
        Self::Muted,
        Self::Banned,
        Self::BadRequest,
        Self::PayloadTooLarge,
        Self::Conflict,
        Self::RateLimited,
        Self::SlowMode,
        Self::Overloaded,
        Self::Unavailable,
        Self::Internal,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "UNAUTHORIZED",
            Self::SessionStoreUnavailable => "SESSION_STORE_UNAVAILABLE",
            Self::Forbidden => "FORBIDDEN",
            Self::NotMember => "NOT_MEMBER",
            Self::RoomNotFound => "ROOM_NOT_FOUND",
            Self::Muted => "MUTED",
            Self::Banned => "BANNED",
            Self::BadRequest => "BAD_REQUEST",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::Conflict => "CONFLICT",
            Self::RateLimited => "RATE_LIMITED",
            Self::SlowMode => "SLOW_MODE",
            Self::Overloaded => "OVERLOADED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether the very same request can succeed later.
    #[must_use]
    pub fn retryable(self) -> bool {
        match self {
            Self::SessionStoreUnavailable
            | Self::Muted
            | Self::RateLimited
            | Self::SlowMode
            | Self::Overloaded
            | Self::Unavailable
            | Self::Internal => true,
            Self::Unauthorized
            | Self::Forbidden
            | Self::NotMember
            | Self::RoomNotFound
            | Self::Banned
            | Self::BadRequest
            | Self::PayloadTooLarge
            | Self::Conflict => false,
        }
    }
}

/// A no with its reason, in words that may be shown to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
    /// How long to wait before trying again, when we can tell. Milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: None,
        }
    }

    #[must_use]
    pub fn retry_after_ms(mut self, wait_ms: u64) -> Self {
        self.retry_after_ms = Some(wait_ms);
        self
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// The message log could not be asked. Its own words stay in our log: they may name hosts and paths.
    #[must_use]
    pub fn store_unavailable() -> Self {
        Self::new(
            Code::Unavailable,
            "the message store does not answer; try again",
        )
        .retry_after_ms(1_000)
    }

    #[must_use]
    pub fn draining() -> Self {
        Self::new(
            Code::Unavailable,
            "this server is shutting down; reconnect and try again",
        )
        .retry_after_ms(0)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl From<BadRoomId> for Refusal {
    fn from(bad: BadRoomId) -> Self {
        Self::bad_request(bad.to_string())
    }
}

impl From<BadText> for Refusal {
    fn from(bad: BadText) -> Self {
        match bad {
            BadText::TooLong { .. } => Self::new(Code::PayloadTooLarge, bad.to_string()),
            BadText::Empty { .. } | BadText::ControlCharacter { .. } => {
                Self::bad_request(bad.to_string())
            }
        }
    }
}
