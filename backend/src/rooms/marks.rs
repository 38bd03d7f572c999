//! Read marks on their way to the directory.
//!
//! Everybody who reads marks every message. So marks gather, the newest of each reader, and are kept together about once a second; a
//! crash in between costs a badge that comes back, never a message.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::chat::message::Place;
use crate::chat::room::RoomId;
use crate::directory::ReadMark;

/// Marks that may wait. Beyond, while the directory is away, new readers' marks are dropped: they will mark again.
const MARKS_MAX: usize = 50_000;

#[derive(Debug, Default)]
pub struct Marks(Mutex<HashMap<(RoomId, String), Place>>);

impl Marks {
    /// Moves a mark forward.
    pub fn put(&self, room: &RoomId, user_id: &str, read: Place) {
        let mut marks = self.marks();
        let key = (room.clone(), user_id.to_owned());
        if marks.len() >= MARKS_MAX && !marks.contains_key(&key) {
            return;
        }
        let mark = marks.entry(key).or_default();
        if mark.seq < read.seq {
            *mark = read;
        }
    }

    /// What waits for the directory.
    #[must_use]
    pub fn of(&self, room: &RoomId, user_id: &str) -> Option<Place> {
        let key = (room.clone(), user_id.to_owned());
        self.marks().get(&key).copied()
    }

    pub(super) fn take(&self) -> Vec<ReadMark> {
        let marks = std::mem::take(&mut *self.marks());
        marks
            .into_iter()
            .map(|((room, user_id), read)| ReadMark {
                room,
                user_id,
                read,
            })
            .collect()
    }

    pub(super) fn put_back(&self, marks: Vec<ReadMark>) {
        for mark in marks {
            self.put(&mark.room, &mark.user_id, mark.read);
        }
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<(RoomId, String), Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_mark_of_each_reader_waits_once() {
        let marks = Marks::default();
        let here = RoomId::parse("r").unwrap();
        let at = |seq| Place { seq, n: seq };
        for (user, seq) in [("ann", 3), ("ann", 7), ("ann", 5), ("bob", 1)] {
            marks.put(&here, user, at(seq));
        }
        assert_eq!(marks.of(&here, "ann"), Some(at(7)));
        let mut taken = marks.take();
        taken.sort_by_key(|mark| mark.read.seq);
        let taken_seqs: Vec<u64> = taken.iter().map(|mark| mark.read.seq).collect();
        assert_eq!((taken_seqs, marks.of(&here, "ann")), (vec![1, 7], None));
        marks.put(&here, "ann", at(9));
        marks.put_back(taken);
        assert_eq!(marks.of(&here, "ann"), Some(at(9)));
    }
}
