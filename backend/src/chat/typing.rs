//! Who is typing in which room, as far as this instance has heard. Nothing is stored; what is not renewed ends by itself.
//!
//! Decides from facts; the time is one of them. What is said to clients and to other instances is the caller's business.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::message::Sender;
use super::room::RoomId;

/// Somebody types until this long after they last said so. Clients say it every three seconds.
const LASTS: Duration = Duration::from_secs(6);

/// A room is told at most this often.
const PAUSE: Duration = Duration::from_secs(1);

/// Rooms and people per room remembered at once: more are not worth remembering for six seconds.
const ROOMS_MAX: usize = 10_000;
const TYPERS_MAX: usize = 100;

/// Who is typing where.
#[derive(Debug, Default)]
pub struct Typing(HashMap<RoomId, Room>);

#[derive(Debug, Default)]
struct Room {
    typers: BTreeMap<String, (String, Instant)>,
    /// The members have not heard of the last change.
    is_changed: bool,
    told_at: Option<Instant>,
}

impl Typing {
    /// Somebody begins, goes on, or stops.
    pub fn note(&mut self, room: &RoomId, sender: &Sender, is_typing: bool, now: Instant) {
        if !is_typing {
            if let Some(room) = self.0.get_mut(room) {
                room.is_changed |= room.typers.remove(&sender.id).is_some();
            }
            return;
        }
        if self.0.len() >= ROOMS_MAX && !self.0.contains_key(room) {
            return;
        }
        let room = self.0.entry(room.clone()).or_default();
        if room.typers.len() >= TYPERS_MAX && !room.typers.contains_key(&sender.id) {
            return;
        }
        let until = (sender.name.clone(), now + LASTS);
        room.is_changed |= room.typers.insert(sender.id.clone(), until).is_none();
    }

    /// The rooms whose members are to be told now, each with everybody who types; nobody means that they have stopped.
    pub fn due(&mut self, now: Instant) -> Vec<(RoomId, Vec<Sender>)> {
        let mut due = Vec::new();
        self.0.retain(|name, room| {
            let before = room.typers.len();
            room.typers.retain(|_, (_, until)| *until > now);
            room.is_changed |= room.typers.len() != before;
            let is_early = room
                .told_at
                .is_some_and(|told_at| now.saturating_duration_since(told_at) < PAUSE);
            if room.is_changed && !is_early {
                (room.is_changed, room.told_at) = (false, Some(now));
                let typers = room.typers.iter().map(|(id, (name, _))| Sender {
                    id: id.clone(),
                    name: name.clone(),
                });
                due.push((name.clone(), typers.collect()));
            }
            room.is_changed || !room.typers.is_empty()
        });
        due
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn ann() -> Sender {
        Sender {
            id: "ann".to_owned(),
            name: "Ann".to_owned(),
        }
    }

    fn room() -> RoomId {
        RoomId::parse("r").unwrap()
    }

    fn due(typing: &mut Typing, now: Instant) -> Vec<usize> {
        let due = typing.due(now);
        due.iter().map(|(_, typers)| typers.len()).collect()
    }

    #[test]
    fn it_ends_when_it_is_not_renewed_and_is_told_once() {
        let (mut typing, start) = (Typing::default(), clock::monotonic());
        let at = |ms| start + Duration::from_millis(ms);
        typing.note(&room(), &ann(), true, at(0));
        assert_eq!(due(&mut typing, at(0)), [1]);
        typing.note(&room(), &ann(), true, at(3_000));
        assert_eq!(due(&mut typing, at(3_000)), [0; 0], "nothing new");
        assert_eq!(due(&mut typing, at(8_999)), [0; 0]);
        assert_eq!(due(&mut typing, at(9_000)), [0], "six seconds later");
        assert!(typing.is_empty());
    }

    #[test]
    fn a_room_is_told_at_most_once_a_second() {
        let (mut typing, start) = (Typing::default(), clock::monotonic());
        let at = |ms| start + Duration::from_millis(ms);
        let mut told = 0;
        for step in 0..40 {
            typing.note(&room(), &ann(), step % 2 == 0, at(step * 50));
            told += due(&mut typing, at(step * 50)).len();
        }
        assert_eq!(told, 2, "two seconds");
        assert_eq!(due(&mut typing, at(3_000)), [0]);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut typing, now) = (Typing::default(), clock::monotonic());
        for number in 0..2 * TYPERS_MAX {
            let sender = Sender {
                id: number.to_string(),
                ..ann()
            };
            typing.note(&room(), &sender, true, now);
        }
        assert_eq!(due(&mut typing, now), [TYPERS_MAX]);
        for number in 0..2 * ROOMS_MAX {
            let room = RoomId::parse(&number.to_string()).unwrap();
            typing.note(&room, &ann(), true, now);
        }
        assert_eq!(typing.0.len(), ROOMS_MAX);
    }
}
