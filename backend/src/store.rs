//! The port behind which messages are kept: MongoDB, SQLite, or memory.
//!
//! Every store passes the same suite, `store::contract`. It keeps messages; it does not know sockets, sessions or who may send.

use async_trait::async_trait;

use crate::chat::message::{Draft, Message};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::chat::search::Query;

#[cfg(test)]
pub(crate) mod contract;
pub mod memory;
pub mod mongodb;
pub mod sqlite;

/// The log of every room.
///
/// Guarantees, for each implementation and with any number of processes on the same data:
/// - `append` gives each draft the next `seq` of its room: from 1, without gaps, each used once.
/// - `n` counts the entries of kind message up to each entry.
/// - Pages show a message as the changes up to the page's end have left it (`chat::fold`): the text of its last edit, its reactions; a
///   deleted message's content is gone, from its edits as well, once its deletion is `Ok`.
/// - A draft whose outcome is `Ok` survives the death of this process, and, for the durable stores, of the machine.
/// - `(room, sender.id, client_msg_id)` is stored at most once. Appending it again answers the stored message with `duplicate: true`.
/// - An outcome of `Err` means unknown: it may be stored. Appending the same draft again is always safe.
/// - A reader that sees `seq` n can read every seq below n that retention has not removed.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Appends the drafts in their order. Answers one outcome per draft, in the same order.
    async fn append(&self, room: &RoomId, drafts: Vec<Draft>) -> Vec<Result<Appended, StoreError>>;

    /// A page of the room's log, in ascending `seq`. A room nobody wrote to is an empty page, not an error.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn page(&self, room: &RoomId, page: Page) -> Result<History, StoreError>;

    /// The newest seq of each of these rooms, in their order; 0 for one that nobody wrote to. One question for many rooms, cheap
    /// enough to be asked every second: it is how an instance that hears nothing from the others keeps up with them.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn tails(&self, rooms: &[RoomId]) -> Result<Tails, StoreError>;

    /// The rooms that have a log, in the order of their ids, those behind `after`, and where their logs end.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn ends(&self, after: Option<&RoomId>, limit: u32) -> Result<Ends, StoreError>;

    /// The rooms that were appended to since a mark, and the mark to ask with next; without one, the mark of this moment. One question
    /// for the whole store, cheap enough to be asked every second.
    ///
    /// A room may be named again that has not grown. One may be left out for good while several hosts append whose clocks are more than
    /// some seconds apart, so who must not miss any looks through [`Store::ends`] now and then.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn grown(&self, since: Option<Mark>) -> Result<Grown, StoreError>;

    /// Messages that a question finds, the newest first, as pages show them; deleted ones are not found. A page has no more than it is
    /// asked for, and may have less although there is more: [`Found::next`] tells.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn search(&self, search: Search) -> Result<Found, StoreError>;

    /// Answers whether the store can serve now; used by readiness.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The word an operator reads in logs and health: `mongodb`, `sqlite` or `memory`.
    fn name(&self) -> &'static str;
}

/// Where a draft came to lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    pub message: Message,
    /// It was there already: the same sender had sent the same `client_msg_id` to this room.
    pub duplicate: bool,
}

/// Which part of a room's log is wanted. `limit` counts messages, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// The newest `limit` messages.
    Latest { limit: u32 },
    /// The newest `limit` messages with `seq < before`.
    Before { before: u64, limit: u32 },
    /// The oldest `limit` messages with `seq > after`.
    After { after: u64, limit: u32 },
}

/// A page with what a client needs to know about the rest of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    pub messages: Vec<Message>,
    /// The oldest seq kept, or 0 for an empty log.
    pub first_seq: u64,
    /// The newest seq, or 0 for an empty log.
    pub last_seq: u64,
    /// How many messages the log has had up to there.
    pub last_n: u64,
    /// There is more in the direction of the page.
    pub has_more: bool,
    /// Names this log; a wiped or restored store has another one, so that stale cursors are noticed.
    pub epoch: String,
}

/// Where the logs of some rooms end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tails {
    pub seqs: Vec<u64>,
    /// See [`History::epoch`].
    pub epoch: String,
}

/// Rooms and the newest seqs of their logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    pub rooms: Vec<(RoomId, u64)>,
    /// See [`History::epoch`].
    pub epoch: String,
}

/// What somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    pub query: Query,
    /// None: in all rooms.
    pub room: Option<RoomId>,
    /// Behind what was found before.
    pub before: Option<SearchMark>,
    /// At least 1.
    pub limit: u32,
}

impl Search {
    /// Whether a message of the right room is found.
    fn finds(&self, message: &Message) -> bool {
        message.marks.deleted_at_ms.is_none() && self.query.finds(message.entry.text())
    }
}

/// Where a search goes on. Means something to the store that gave it, and any other is a place as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchMark(pub u128);

/// What a search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub messages: Vec<Message>,
    /// To ask with next; none: there is no more.
    pub next: Option<SearchMark>,
}

/// How far somebody has followed what is appended, in whatever room. Means something to the store that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(i64);

/// What was appended to since a [`Mark`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grown {
    /// With the newest seqs that were seen of them.
    pub rooms: Vec<(RoomId, u64)>,
    pub mark: Mark,
}

/// Why a store did not answer. `Display` is for logs; clients see a refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Unreachable, timed out, locked or full: worth trying again.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The store answered something it should not have: a bug or damaged data.
    #[error("store broken: {0}")]
    Broken(String),
}

impl From<&StoreError> for Refusal {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::store_unavailable(),
            StoreError::Broken(_) => {
                Self::new(Code::Internal, "the message store answered nonsense")
            }
        }
    }
}
