//! The newest messages of a room in memory, so that a storm of joins is answered without the store.
//!
//! Pure. It knows how far it reaches; whether that is far enough now, its owner decides. Bounded in messages and in bytes.

use std::collections::VecDeque;

use crate::chat::message::Message;
use crate::store::{History, Page};

/// Messages kept of one room: more than two pages of a join.
pub(super) const MESSAGES_MAX: u32 = 128;

/// Bytes kept of one room. Rooms of long messages keep fewer.
const BYTES_MAX: usize = 256 * 1024;

/// What a message weighs beside its texts.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// The end of one room's log.
#[derive(Debug)]
pub(super) struct Recent {
    /// Without a gap; ends at `last_seq`.
    messages: VecDeque<Message>,
    first_seq: u64,
    last_seq: u64,
    last_n: u64,
    epoch: String,
    bytes: usize,
}

impl Recent {
    /// From a page that reaches the end of the log.
    pub(super) fn new(latest: &History) -> Self {
        let mut recent = Self {
            messages: VecDeque::new(),
            first_seq: latest.first_seq,
            last_seq: latest.last_seq,
            last_n: latest.last_n,
            epoch: latest.epoch.clone(),
            bytes: 0,
        };
        for message in &latest.messages {
            recent.keep(message.clone());
        }
        recent
    }

    /// The newest seq that it knows of.
    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next entry. One that does not follow the last is not taken. One that changes another makes what is kept outdated: the
    /// store has folded it in already, and is asked again.
    pub(super) fn push(&mut self, message: &Message) {
        if message.seq != self.last_seq + 1 {
            return;
        }
        self.last_seq = message.seq;
        self.last_n = message.n;
        self.first_seq = self.first_seq.max(1);
        if message.entry.ref_seq().is_some() {
            self.messages.clear();
            self.bytes = 0;
        } else {
            self.keep(message.clone());
        }
    }

    fn keep(&mut self, message: Message) {
        self.bytes += weight(&message);
        self.messages.push_back(message);
        let most = MESSAGES_MAX as usize;
        while self.messages.len() > most || self.bytes > BYTES_MAX {
            let Some(oldest) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= weight(&oldest);
        }
    }

    /// The page, when all of it is here.
    pub(super) fn page(&self, page: Page) -> Option<History> {
        let kept_from = self
            .messages
            .front()
            .map_or(self.last_seq + 1, |oldest| oldest.seq);
        let is_whole_log = kept_from <= self.first_seq.max(1);
        let count = |limit: u32| u64::from(limit.max(1));
        // Seqs from..to, and whether the log goes on in the page's direction.
        let (from, to, has_more) = match page {
            Page::After { after, .. } if after > self.last_seq => return None,
            Page::After { after, limit } => {
                let from = (after + 1).max(self.first_seq);
                let to = from.saturating_add(count(limit)).min(self.last_seq + 1);
                if from < kept_from && !is_whole_log {
                    return None;
                }
                (from, to, to <= self.last_seq)
            }
            Page::Latest { limit } => self.back_from(self.last_seq + 1, count(limit)),
            Page::Before { before, limit } => {
                self.back_from(before.clamp(1, self.last_seq + 1), count(limit))
            }
        };
        if !matches!(page, Page::After { .. }) && from < kept_from && !is_whole_log {
            return None;
        }
        let within = |message: &&Message| (from..to).contains(&message.seq);
        Some(History {
            messages: self.messages.iter().filter(within).cloned().collect(),
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            last_n: self.last_n,
            has_more,
            epoch: self.epoch.clone(),
        })
    }

    fn back_from(&self, to: u64, count: u64) -> (u64, u64, bool) {
        let first = self.first_seq.max(1);
        let from = to.saturating_sub(count).max(first).min(to);
        (from, to, from > first)
    }
}

fn weight(message: &Message) -> usize {
    let sender = message.sender.id.len() + message.sender.name.len();
    let reactions = message.marks.reactions.iter();
    let users = reactions.flat_map(|reaction| &reaction.users);
    let users: usize = users.map(|user| size_of::<String>() + user.len()).sum();
    MESSAGE_OVERHEAD_BYTES + sender + message.client_msg_id.len() + message.entry.bytes() + users
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, proptest};
    use proptest::prop_oneof;

    use super::*;
    use crate::chat::message::Entry;
    use crate::chat::room::RoomId;
    use crate::store::contract::{at, draft};

    fn message(seq: u64, bytes: usize) -> Message {
        let room = RoomId::parse("r").unwrap();
        draft("ann", &seq.to_string(), &"x".repeat(bytes)).placed(&room, at(seq))
    }

    fn history(first_seq: u64, last_seq: u64, seqs: std::ops::Range<u64>) -> History {
        History {
            messages: seqs.map(|seq| message(seq, 1)).collect(),
            first_seq,
            last_seq,
            last_n: last_seq,
            has_more: false,
            epoch: "e".to_owned(),
        }
    }

    fn seqs(history: &History) -> Vec<u64> {
        history.messages.iter().map(|message| message.seq).collect()
    }

    #[test]
    fn it_keeps_the_newest_within_both_bounds() {
        let mut recent = Recent::new(&history(1, 0, 1..1));
        for seq in 1..=200 {
            recent.push(&message(seq, 10));
        }
        assert_eq!((recent.messages.len(), recent.last_seq()), (128, 200));
        for seq in 201..=210 {
            recent.push(&message(seq, 100_000));
        }
        assert!(recent.bytes() <= BYTES_MAX && recent.messages.len() == 2);
        let huge = message(211, BYTES_MAX + 1);
        recent.push(&huge);
        assert_eq!((recent.messages.len(), recent.bytes()), (0, 0));
        assert_eq!(recent.page(Page::Latest { limit: 1 }), None);
        assert_eq!(
            recent
                .page(Page::After {
                    after: 211,
                    limit: 1
                })
                .unwrap()
                .last_seq,
            211
        );
    }

    #[test]
    fn a_message_that_does_not_follow_is_not_taken() {
        let mut recent = Recent::new(&history(1, 3, 1..4));
        recent.push(&message(5, 1));
        recent.push(&message(3, 1));
        assert_eq!(recent.last_seq(), 3);
        recent.push(&message(4, 1));
        assert_eq!(recent.last_seq(), 4);
    }

    #[test]
    fn after_a_change_the_store_is_asked_and_news_are_kept_again() {
        let mut recent = Recent::new(&history(1, 3, 1..4));
        let mut change = message(4, 1);
        change.entry = Entry::Delete { ref_seq: 2 };
        change.n = 3;
        recent.push(&change);
        assert_eq!(recent.page(Page::Latest { limit: 4 }), None);
        let nothing_new = recent.page(Page::After { after: 4, limit: 4 }).unwrap();
        assert_eq!((nothing_new.last_seq, nothing_new.last_n), (4, 3));
        recent.push(&message(5, 1));
        let latest = recent.page(Page::Latest { limit: 1 }).unwrap();
        assert_eq!(seqs(&latest), [5]);
    }

    proptest! {
        #[test]
        fn what_it_answers_is_what_the_log_would(
            first in 1..6_u64,
            log in 0..20_u64,
            kept in 0..20_u64,
            page in prop_oneof![
                (0..9_u32).prop_map(|limit| Page::Latest { limit }),
                (0..40_u64, 0..9_u32).prop_map(|(before, limit)| Page::Before { before, limit }),
                (0..40_u64, 0..9_u32).prop_map(|(after, limit)| Page::After { after, limit }),
            ],
        ) {
            let last = if log == 0 { 0 } else { first + log - 1 };
            let first = if log == 0 { 0 } else { first };
            let from = first.max(1).max((last + 1).saturating_sub(kept));
            let recent = Recent::new(&history(first, last, from..last + 1));
            let all: Vec<u64> = (first.max(1)..=last).collect();
            let wanted = |keep: &dyn Fn(u64) -> bool| all.iter().copied().filter(|seq| keep(*seq)).collect::<Vec<_>>();
            let (mut wanted, limit, is_back) = match page {
                Page::Latest { limit } => (wanted(&|_| true), limit, true),
                Page::Before { before, limit } => (wanted(&|seq| seq < before), limit, true),
                Page::After { after, limit } => (wanted(&|seq| seq > after), limit, false),
            };
            let limit = limit.max(1) as usize;
            let has_more = wanted.len() > limit;
            if is_back {
                wanted = wanted.split_off(wanted.len().saturating_sub(limit));
            } else {
                wanted.truncate(limit);
            }
            match recent.page(page) {
                Some(answer) => {
                    assert_eq!((seqs(&answer), answer.has_more), (wanted, has_more));
                    assert_eq!((answer.first_seq, answer.last_seq), (first, last));
                }
                None => {
                    let is_beyond = matches!(page, Page::After { after, .. } if after > last);
                    let is_here = wanted.first().is_some_and(|seq| *seq >= from) || from <= first.max(1);
                    assert!(is_beyond || !is_here, "{wanted:?} is here, from {from}");
                }
            }
        }
    }
}
