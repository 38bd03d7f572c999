//! One call of `append` on its way: which drafts are settled, and what the others wait for.
//!
//! Core: it is told what MongoDB answered and keeps the account. It never talks to MongoDB.

use std::collections::VecDeque;

use super::row::{self, Row};
use crate::chat::message::{Draft, Message, Place};
use crate::chat::room::RoomId;
use crate::store::{Appended, StoreError};

/// The drafts of one room, in their order. Outcomes are settled from the front, duplicates also from the middle.
#[derive(Debug)]
pub(super) struct Batch {
    room: RoomId,
    /// Not settled yet: a draft and its place in `outcomes`.
    pending: VecDeque<(usize, Draft)>,
    outcomes: Vec<Option<Result<Appended, StoreError>>>,
    /// An insert of ours may have been carried out without our hearing of it: a stored message with a pending draft's id is our own.
    uncertain: bool,
}

impl Batch {
    pub(super) fn new(room: RoomId, drafts: Vec<Draft>) -> Self {
        let outcomes = vec![None; drafts.len()];
        let pending = drafts.into_iter().enumerate().collect();
        Self {
            room,
            pending,
            outcomes,
            uncertain: false,
        }
    }

    pub(super) fn room(&self) -> &RoomId {
        &self.room
    }

    pub(super) fn is_done(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = &Draft> {
        self.pending.iter().map(|(_, draft)| draft)
    }

    /// The documents to insert behind `tail`.
    pub(super) fn rows(&self, mut tail: Place) -> Result<Vec<Row>, StoreError> {
        self.pending()
            .map(|draft| {
                tail = tail.next(&draft.entry);
                Row::new(&draft.clone().placed(&self.room, tail))
            })
            .collect()
    }

    /// The first `count` pending drafts were stored behind `tail`. Answers the new tail.
    pub(super) fn stored(&mut self, count: usize, mut tail: Place) -> Place {
        for (place, draft) in self.pending.drain(..count.min(self.pending.len())) {
            tail = tail.next(&draft.entry);
            let message = draft.placed(&self.room, tail);
            settle(
                &mut self.outcomes,
                place,
                Ok(Appended {
                    message,
                    duplicate: false,
                }),
            );
        }
        tail
    }

    /// These messages exist. Every pending draft that is one of them is settled; answers whether the first one was.
    pub(super) fn found(&mut self, messages: &[Message]) -> bool {
        let front = self.pending.front().map(|(place, _)| *place);
        let Self {
            pending,
            outcomes,
            uncertain,
            ..
        } = self;
        pending.retain(|(place, draft)| {
            let same = |m: &&Message| {
                m.sender.id == draft.sender.id && m.client_msg_id == draft.client_msg_id
            };
            let Some(message) = messages.iter().find(same) else {
                return true;
            };
            let ours = *uncertain && message.id == draft.id;
            let appended = Appended {
                message: message.clone(),
                duplicate: !ours,
            };
            settle(outcomes, *place, Ok(appended));
            false
        });
        front != self.pending.front().map(|(place, _)| *place)
    }

    /// The first pending draft is one that MongoDB does not take.
    pub(super) fn refuse_first(&mut self, why: StoreError) {
        if let Some((place, _)) = self.pending.pop_front() {
            settle(&mut self.outcomes, place, Err(why));
        }
    }

    pub(super) fn set_uncertain(&mut self) {
        self.uncertain = true;
    }

    /// The messages that the settled drafts are about.
    pub(super) fn targets(&self) -> Vec<i64> {
        self.outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref()?.as_ref().ok())
            .filter_map(|appended| appended.message.entry.ref_seq())
            .map(row::cursor)
            .collect()
    }

    /// What is still pending ends with `why`.
    pub(super) fn into_outcomes(
        self,
        why: Option<StoreError>,
    ) -> Vec<Result<Appended, StoreError>> {
        let unsettled = || {
            Err(why
                .clone()
                .unwrap_or_else(|| StoreError::Broken("no outcome was found".to_owned())))
        };
        self.outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(unsettled))
            .collect()
    }
}

fn settle(
    outcomes: &mut [Option<Result<Appended, StoreError>>],
    place: usize,
    outcome: Result<Appended, StoreError>,
) {
    if let Some(slot) = outcomes.get_mut(place) {
        debug_assert!(slot.is_none(), "a draft is settled once");
        *slot = Some(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::{Appended, Batch, StoreError};
    use crate::chat::message::Message;
    use crate::store::contract::{at, draft, drafts, room};

    /// `seq` or `seq d` for a duplicate, `-` for an error, in the order of the drafts.
    fn places(batch: Batch) -> String {
        let why = StoreError::Unavailable("gone".to_owned());
        let place = |outcome: Result<Appended, StoreError>| match outcome {
            Ok(Appended {
                message,
                duplicate: false,
            }) => message.seq.to_string(),
            Ok(Appended {
                message,
                duplicate: true,
            }) => format!("{}d", message.seq),
            Err(_) => "-".to_owned(),
        };
        let places: Vec<String> = batch
            .into_outcomes(Some(why))
            .into_iter()
            .map(place)
            .collect();
        places.join(" ")
    }

    fn seqs(batch: &Batch, tail: u64) -> Vec<i64> {
        batch
            .rows(at(tail))
            .unwrap()
            .iter()
            .map(|row| row.seq)
            .collect()
    }

    fn stored(sender: &str, client_msg_id: &str, seq: u64) -> Message {
        draft(sender, client_msg_id, "before").placed(&room("lobby"), at(seq))
    }

    #[test]
    fn a_batch_is_stored_behind_the_tail() {
        let mut batch = Batch::new(room("lobby"), drafts("ann", 3));
        assert_eq!(seqs(&batch, 7), [8, 9, 10]);
        assert_eq!(batch.stored(usize::MAX, at(7)), at(10));
        assert!(batch.is_done());
        assert_eq!(places(batch), "8 9 10");
    }

    #[test]
    fn what_a_rival_pushed_back_is_stored_further_on() {
        let mut batch = Batch::new(room("lobby"), drafts("ann", 3));
        assert_eq!(batch.stored(1, at(7)), at(8));
        assert_eq!(seqs(&batch, 20), [21, 22]);
        batch.stored(usize::MAX, at(20));
        assert_eq!(places(batch), "8 21 22");
    }

    #[test]
    fn duplicates_are_settled_wherever_they_are() {
        let mut batch = Batch::new(room("lobby"), drafts("ann", 4));
        assert!(
            !batch.found(&[stored("ann", "ann-2", 3)]),
            "the first one is still open"
        );
        assert!(batch.found(&[stored("ann", "ann-0", 1), stored("bob", "ann-1", 2)]));
        assert_eq!(seqs(&batch, 7), [8, 9]);
        batch.stored(usize::MAX, at(7));
        assert_eq!(places(batch), "1d 8 3d 9");
    }

    #[test]
    fn the_same_thing_twice_in_a_batch_is_a_duplicate_of_itself() {
        let again = draft("ann", "ann-0", "again");
        let first = drafts("ann", 1);
        let mut batch = Batch::new(room("lobby"), [first.clone(), vec![again]].concat());
        batch.stored(1, at(7));
        assert!(batch.found(&[first[0].clone().placed(&room("lobby"), at(8))]));
        assert_eq!(places(batch), "8 8d");
    }

    #[test]
    fn after_an_unknown_outcome_our_own_message_is_no_duplicate() {
        let sent = drafts("ann", 2);
        let kept = sent[0].clone().placed(&room("lobby"), at(8));
        let mut batch = Batch::new(room("lobby"), sent);
        batch.set_uncertain();
        assert!(batch.found(&[kept, stored("ann", "ann-1", 3)]));
        assert_eq!(places(batch), "8 3d");
    }

    #[test]
    fn an_end_before_time_is_an_error_for_the_open_ones_alone() {
        let mut batch = Batch::new(room("lobby"), drafts("ann", 4));
        batch.stored(1, at(0));
        batch.refuse_first(StoreError::Broken("no".to_owned()));
        batch.stored(1, at(1));
        assert_eq!(places(batch), "1 - 2 -");
    }
}
