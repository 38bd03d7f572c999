//! Rooms as they were a moment ago: who joins in a storm does not ask the directory for each of them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::chat::room::RoomId;

/// How old a card may be. Changes are told at once by the bus; this bounds what a lost word costs.
const AGE_MAX: Duration = Duration::from_secs(30);

/// Cards kept at once, about 300 bytes each.
const CARDS_MAX: usize = 10_000;

/// Something of each room.
#[derive(Debug)]
pub(super) struct Cards<T>(Mutex<HashMap<RoomId, (T, Instant)>>);

impl<T: Clone> Cards<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(super) fn get(&self, id: &RoomId, now: Instant) -> Option<T> {
        let cards = self.cards();
        let (card, read_at) = cards.get(id)?;
        (now.saturating_duration_since(*read_at) < AGE_MAX).then(|| card.clone())
    }

    pub(super) fn put(&self, id: &RoomId, card: T, now: Instant) {
        let mut cards = self.cards();
        if cards.len() >= CARDS_MAX && !cards.contains_key(id) {
            cards.retain(|_, (_, read_at)| now.saturating_duration_since(*read_at) < AGE_MAX);
            if cards.len() >= CARDS_MAX {
                // All are fresh: begin again rather than look for the oldest of them.
                cards.clear();
            }
        }
        cards.insert(id.clone(), (card, now));
    }

    pub(super) fn forget(&self, id: &RoomId) {
        self.cards().remove(id);
    }

    fn cards(&self) -> MutexGuard<'_, HashMap<RoomId, (T, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    #[test]
    fn a_card_is_believed_for_a_while() {
        let (cards, now) = (Cards::new(), crate::clock::monotonic());
        let here = id("r");
        assert_eq!(cards.get(&here, now), None);
        cards.put(&here, 7, now);
        assert_eq!(cards.get(&here, now), Some(7));
        assert_eq!(cards.get(&here, now + AGE_MAX), None);
        cards.forget(&here);
        assert_eq!(cards.get(&here, now), None);
    }

    #[test]
    fn there_are_never_more_cards_than_fit() {
        let (cards, now) = (Cards::new(), crate::clock::monotonic());
        for n in 0..CARDS_MAX + 10 {
            cards.put(&id(&n.to_string()), n, now);
        }
        assert!(cards.cards().len() <= CARDS_MAX);
        let last = id(&(CARDS_MAX + 9).to_string());
        assert_eq!(cards.get(&last, now), Some(CARDS_MAX + 9));
    }
}
