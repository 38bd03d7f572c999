//! Messages in memory: for tests and for trying things out. They end with the process.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Appended, Ends, Found, Grown, History, Mark, Page, Search, SearchMark, Store, StoreError, Tails,
};
use crate::chat::fold;
use crate::chat::message::{Draft, Entry, Message, Place};
use crate::chat::room::RoomId;

/// When this much is kept, the store refuses like a full disk: 256 MiB leaves room for the rest of a small machine.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a message costs beside its texts: the structs, the map entry and the allocator's overhead, generously.
const MESSAGE_OVERHEAD_BYTES: usize = 512;

/// A store that forgets. Share it in an `Arc` to have several instances on the same data.
#[derive(Debug)]
pub struct MemoryStore {
    epoch: String,
    bytes_max: usize,
    logs: Mutex<Logs>,
}

#[derive(Debug, Default)]
struct Logs {
    rooms: HashMap<RoomId, Log>,
    bytes: usize,
    /// The messages of all rooms, in the order in which they came: a room and a place in it.
    said: Vec<(RoomId, usize)>,
    /// How many entries there are, over all rooms.
    entries: i64,
}

/// One room: its messages by seq, and where each `(sender, client_msg_id)` lies.
#[derive(Debug, Default)]
struct Log {
    messages: Vec<Message>,
    places: HashMap<(String, String), usize>,
    /// The store's count of entries when the last one came.
    appended: i64,
}

impl MemoryStore {
    #[must_use]
    pub fn new() -> Self {
        Self::holding(BYTES_MAX)
    }

    fn holding(bytes_max: usize) -> Self {
        Self {
            epoch: Uuid::new_v4().to_string(),
            bytes_max,
            logs: Mutex::default(),
        }
    }

    /// Every change is complete before anything can panic, so a poisoned lock guards sound data.
    fn logs(&self) -> MutexGuard<'_, Logs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Logs {
    fn append(
        &mut self,
        room: &RoomId,
        draft: Draft,
        bytes_max: usize,
    ) -> Result<Appended, StoreError> {
        let log = self.rooms.entry(room.clone()).or_default();
        let key = (draft.sender.id.clone(), draft.client_msg_id.clone());
        if let Some(stored) = log
            .places
            .get(&key)
            .and_then(|place| log.messages.get(*place))
        {
            return Ok(Appended {
                message: stored.clone(),
                duplicate: true,
            });
        }
        let bytes = self.bytes + cost_bytes(&draft);
        if bytes > bytes_max {
            return Err(StoreError::Unavailable(format!(
                "memory store is full ({bytes_max} bytes)"
            )));
        }
        self.bytes = bytes;
        self.entries += 1;
        log.appended = self.entries;
        let tail = log.messages.last().map_or(Place::default(), Message::place);
        let place = tail.next(&draft.entry);
        let message = draft.placed(room, place);
        log.places.insert(key, log.messages.len());
        if matches!(message.entry, Entry::Message { .. }) {
            self.said.push((room.clone(), log.messages.len()));
        }
        log.messages.push(message.clone());
        log.fold(&message);
        Ok(Appended {
            message,
            duplicate: false,
        })
    }
}

impl Logs {
    fn search(&self, search: &Search) -> Found {
        let before = search.before.map_or(u128::MAX, |SearchMark(mark)| mark);
        let before = usize::try_from(before).unwrap_or(usize::MAX);
        let wanted = usize::try_from(search.limit.max(1)).unwrap_or(usize::MAX);
        let mut found = Found {
            messages: Vec::new(),
            next: None,
        };
        let behind = self.said.iter().enumerate().take(before).rev();
        for (number, (room, place)) in behind {
            let message = self
                .rooms
                .get(room)
                .and_then(|log| log.messages.get(*place));
            let is_of_room = search.room.as_ref().is_none_or(|wanted| wanted == room);
            let hit = message.filter(|message| is_of_room && search.finds(message));
            found.messages.extend(hit.cloned());
            if found.messages.len() >= wanted {
                found.next = u128::try_from(number).ok().map(SearchMark);
                break;
            }
        }
        found
    }
}

impl Log {
    fn fold(&mut self, change: &Message) {
        let Some(ref_seq) = change.entry.ref_seq() else {
            return;
        };
        // Seqs are places from 1.
        let place = usize::try_from(ref_seq.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(target) = self.messages.get_mut(place) else {
            return;
        };
        fold::apply(target, change);
        if target.marks.deleted_at_ms.is_none() {
            return;
        }
        for message in &mut self.messages {
            let is_about = message.entry.ref_seq() == Some(ref_seq);
            if let (true, Entry::Edit { content, .. }) = (is_about, &mut message.entry) {
                content.clear();
            }
        }
    }
}

fn cost_bytes(draft: &Draft) -> usize {
    let Draft {
        sender,
        client_msg_id,
        entry,
        ..
    } = draft;
    // Sender and client id are kept twice: in the message and in the key.
    let texts = 2 * (sender.id.len() + client_msg_id.len()) + sender.name.len();
    MESSAGE_OVERHEAD_BYTES + texts + entry.bytes()
}

/// The part of a log of `len` messages (seq 1 to `len`) that a page shows, and whether more lies behind it.
fn cut(len: usize, page: Page) -> (Range<usize>, bool) {
    let place = |seq: u64| usize::try_from(seq).unwrap_or(usize::MAX).min(len);
    let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX).max(1);
    match page {
        Page::Latest { limit } => {
            let start = len.saturating_sub(count(limit));
            (start..len, start > 0)
        }
        Page::Before { before, limit } => {
            let end = place(before.saturating_sub(1));
            let start = end.saturating_sub(count(limit));
            (start..end, start > 0)
        }
        Page::After { after, limit } => {
            let start = place(after);
            let end = start.saturating_add(count(limit)).min(len);
            (start..end, end < len)
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, room: &RoomId, drafts: Vec<Draft>) -> Vec<Result<Appended, StoreError>> {
        let mut logs = self.logs();
        drafts
            .into_iter()
            .map(|draft| logs.append(room, draft, self.bytes_max))
            .collect()
    }

    async fn page(&self, room: &RoomId, page: Page) -> Result<History, StoreError> {
        let logs = self.logs();
        let messages = logs.rooms.get(room).map_or(&[][..], |log| &log.messages);
        let (range, has_more) = cut(messages.len(), page);
        Ok(History {
            messages: messages.get(range).unwrap_or_default().to_vec(),
            first_seq: messages.first().map_or(0, |message| message.seq),
            last_seq: messages.last().map_or(0, |message| message.seq),
            last_n: messages.last().map_or(0, |message| message.n),
            has_more,
            epoch: self.epoch.clone(),
        })
    }

    async fn tails(&self, rooms: &[RoomId]) -> Result<Tails, StoreError> {
        let logs = self.logs();
        let tail = |room: &RoomId| logs.rooms.get(room)?.messages.last().map(|last| last.seq);
        Ok(Tails {
            seqs: rooms.iter().map(|room| tail(room).unwrap_or(0)).collect(),
            epoch: self.epoch.clone(),
        })
    }

    async fn ends(&self, after: Option<&RoomId>, limit: u32) -> Result<Ends, StoreError> {
        let logs = self.logs();
        let behind = logs.rooms.iter().filter(|(room, _)| Some(*room) > after);
        let mut rooms: Vec<_> = behind
            .filter_map(|(room, log)| Some((room.clone(), log.messages.last()?.seq)))
            .collect();
        rooms.sort_unstable();
        rooms.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Ends {
            rooms,
            epoch: self.epoch.clone(),
        })
    }

    async fn grown(&self, since: Option<Mark>) -> Result<Grown, StoreError> {
        let logs = self.logs();
        let Mark(since) = since.unwrap_or(Mark(logs.entries));
        let rooms = logs.rooms.iter().filter(|(_, log)| log.appended > since);
        Ok(Grown {
            rooms: rooms
                .filter_map(|(room, log)| Some((room.clone(), log.messages.last()?.seq)))
                .collect(),
            mark: Mark(logs.entries),
        })
    }

    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        Ok(self.logs().search(&search))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

#[cfg(test)]
mod tests;
