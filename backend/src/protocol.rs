//! What clients see: the arguments of their events, the answers, and the events of the server.
//!
//! The only serde types on the wire. Reading turns a client's arguments into checked values or a refusal; it never panics, ignores
//! unknown fields, and takes both forms of every event: positional and one object. It decides nothing about permission.

mod entry;
mod identity;
mod listing;
mod notice;
mod presence;
mod read;
mod room;
mod search;
mod sync;
mod webhook;

use serde::Serialize;

use crate::chat::message::Message;
use crate::chat::refusal::Refusal;
use crate::date::to_iso;

pub use entry::{MessageBody, shown, told};
pub use identity::{
    RefreshRequest, Refreshed, SESSION_ENDED, SESSION_EXPIRING, SessionEnded, SessionExpiring,
};
pub use listing::{ListedRoom, MemberList, OneRoom, PartnerBody, RoomList, Unread};
pub use notice::{SERVER_DRAINING, SERVER_NOTICE, ServerDraining, ServerNotice};
pub use presence::{
    PRESENCE, PersonBody, PresenceBody, PresenceChanged, PresenceRequest, TYPING, TypingBody,
    TypingRequest,
};
pub use read::{
    ChangeRequest, Cursor, HistoryRequest, JoinRequest, LeaveRequest, SendRequest, arguments,
};
pub(crate) use read::{boolean, number, text};
pub use room::{
    CreateRequest, DirectRequest, KICKED, Kicked, MarkRequest, Marked, MemberAnswer, MemberBody,
    MemberRequest, READ_RECEIPT, ROOM_UPDATED, ReadReceipt, RoomAnswer, RoomBody, Until,
    UpdateRequest,
};

pub use search::{FoundBody, SearchRequest};
pub use sync::{SYNC_ROOMS_MAX, SyncRequest, Synced, SyncedRoom};
pub use webhook::{CreatedWebhook, NewWebhook, WebhookBody, WebhookRequest, WebhooksBody};

/// What a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    JoinRoom,
    LeaveRoom,
    SendMessage,
    Sync,
    GetHistory,
    EditMessage,
    DeleteMessage,
    AddReaction,
    RemoveReaction,
    AuthRefresh,
    Typing,
    GetPresence,
    MarkRead,
    OpenDirect,
    CreateRoom,
    UpdateRoom,
    InviteUser,
    KickUser,
    BanUser,
    MuteUser,
}

impl Event {
    pub const ALL: [Self; 20] = [
        Self::JoinRoom,
        Self::LeaveRoom,
        Self::SendMessage,
        Self::Sync,
        Self::GetHistory,
        Self::EditMessage,
        Self::DeleteMessage,
        Self::AddReaction,
        Self::RemoveReaction,
        Self::AuthRefresh,
        Self::Typing,
        Self::GetPresence,
        Self::MarkRead,
        Self::OpenDirect,
        Self::CreateRoom,
        Self::UpdateRoom,
        Self::InviteUser,
        Self::KickUser,
        Self::BanUser,
        Self::MuteUser,
    ];

    /// The event of a packet's text, `["name",…]`, if it is one of these.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let name = text.trim_start().strip_prefix('[')?.trim_start();
        let (name, _arguments) = name.strip_prefix('"')?.split_once('"')?;
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }

    /// The event's name on the wire; also its metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JoinRoom => "joinRoom",
            Self::LeaveRoom => "leaveRoom",
            Self::SendMessage => "sendMessage",
            Self::Sync => "sync",
            Self::GetHistory => "getHistory",
            Self::EditMessage => "editMessage",
            Self::DeleteMessage => "deleteMessage",
            Self::AddReaction => "addReaction",
            Self::RemoveReaction => "removeReaction",
            Self::AuthRefresh => "authRefresh",
            Self::Typing => TYPING,
            Self::GetPresence => "getPresence",
            Self::MarkRead => "markRead",
            Self::OpenDirect => "openDirect",
            Self::CreateRoom => "createRoom",
            Self::UpdateRoom => "updateRoom",
            Self::InviteUser => "inviteUser",
            Self::KickUser => "kickUser",
            Self::BanUser => "banUser",
            Self::MuteUser => "muteUser",
        }
    }
}

/// The names of the server's events; those of a room's entries are [`shown`]'s.
pub const WELCOME: &str = "welcome";
pub const ERROR: &str = "error";

/// A positive ack: `ok: true` and the fields of its kind.
#[derive(Debug, Serialize)]
pub struct Done<T> {
    ok: bool,
    #[serde(flatten)]
    body: T,
}

impl<T> Done<T> {
    pub fn new(body: T) -> Self {
        Self { ok: true, body }
    }
}

/// The body of an ack that has nothing to add.
#[derive(Debug, Serialize)]
pub struct Nothing {}

/// A negative ack, and with its context the body of the `error` event for clients that gave no ack.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused<'a> {
    ok: bool,
    error: RefusedError<'a>,
    #[serde(flatten)]
    context: Option<Context<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusedError<'a> {
    code: &'static str,
    message: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// Which request an `error` event is about.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Context<'a> {
    pub event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_msg_id: Option<&'a str>,
}

impl<'a> Refused<'a> {
    #[must_use]
    pub fn ack(refusal: &'a Refusal) -> Self {
        Self {
            ok: false,
            error: RefusedError {
                code: refusal.code.as_str(),
                message: &refusal.message,
                retryable: refusal.code.retryable(),
                retry_after_ms: refusal.retry_after_ms,
            },
            context: None,
        }
    }

    #[must_use]
    pub fn event(refusal: &'a Refusal, context: Context<'a>) -> Self {
        Self {
            context: Some(context),
            ..Self::ack(refusal)
        }
    }
}

/// `welcome`: who the server takes the client for, and what it may do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome<'a> {
    pub user_id: &'a str,
    pub name: &'a str,
    pub instance_id: &'a str,
    pub server_time: String,
    pub limits: WelcomeLimits,
    /// Every event that this server answers. An event that it does not know gets no ack at all, so clients ask here first.
    pub events: [&'static str; Event::ALL.len()],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WelcomeLimits {
    /// Bytes of UTF-8.
    pub max_content: usize,
    pub rate_per_sec: u32,
}

/// The ack of `sendMessage`, and of everything else that adds an entry to a room's log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent<'a> {
    id: String,
    room_id: &'a str,
    seq: u64,
    timestamp: String,
    client_msg_id: &'a str,
    duplicate: bool,
}

impl<'a> Sent<'a> {
    #[must_use]
    pub fn new(message: &'a Message, duplicate: bool) -> Self {
        Self {
            id: message.id.to_string(),
            room_id: message.room.as_str(),
            seq: message.seq,
            timestamp: to_iso(message.timestamp_ms),
            client_msg_id: &message.client_msg_id,
            duplicate,
        }
    }
}

/// The ack of `joinRoom`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Joined<'a> {
    pub room: RoomBody<'a>,
    #[serde(flatten)]
    pub history: HistoryBody<'a>,
    /// Everything since the client's `lastSeq` is in `messages`.
    pub recovered: bool,
    pub presence: PresenceBody,
    /// Messages behind the client's read mark; none for who never marked one.
    pub unread: u64,
}

/// The ack of `getHistory`, and a part of `joinRoom`'s.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryBody<'a> {
    epoch: &'a str,
    first_seq: u64,
    last_seq: u64,
    messages: Vec<MessageBody<'a>>,
    has_more: bool,
}

impl<'a> From<&'a crate::store::History> for HistoryBody<'a> {
    fn from(history: &'a crate::store::History) -> Self {
        Self {
            epoch: &history.epoch,
            first_seq: history.first_seq,
            last_seq: history.last_seq,
            messages: history.messages.iter().map(MessageBody::from).collect(),
            has_more: history.has_more,
        }
    }
}

#[cfg(test)]
mod tests;
