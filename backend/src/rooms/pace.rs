//! When somebody last said something in a room with slow mode, over all their connections to this instance.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::chat::room::RoomId;

/// Speakers remembered at once; about 150 bytes each. Beyond, those who may speak again are forgotten first.
const SPEAKERS_MAX: usize = 50_000;

#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<(RoomId, String), Spoke>>);

#[derive(Clone, Copy, Debug)]
struct Spoke {
    at_ms: i64,
    until_ms: i64,
}

impl Pace {
    #[must_use]
    pub fn last_ms(&self, room: &RoomId, user_id: &str) -> Option<i64> {
        let key = (room.clone(), user_id.to_owned());
        self.speakers().get(&key).map(|spoke| spoke.at_ms)
    }

    /// Somebody speaks at `at_ms`, in a room where they wait `slow_ms` then.
    pub fn note(&self, room: &RoomId, user_id: &str, at_ms: i64, slow_ms: u32) {
        let mut speakers = self.speakers();
        if speakers.len() >= SPEAKERS_MAX {
            speakers.retain(|_, spoke| spoke.until_ms > at_ms);
            if speakers.len() >= SPEAKERS_MAX {
                return;
            }
        }
        let until_ms = at_ms.saturating_add(i64::from(slow_ms));
        let key = (room.clone(), user_id.to_owned());
        speakers.insert(key, Spoke { at_ms, until_ms });
    }

    fn speakers(&self) -> MutexGuard<'_, HashMap<(RoomId, String), Spoke>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_speaker_has_a_pace_in_each_room() {
        let pace = Pace::default();
        let [here, there] = ["r", "s"].map(|name| RoomId::parse(name).unwrap());
        pace.note(&here, "ann", 1_000, 500);
        pace.note(&here, "ann", 2_000, 500);
        assert_eq!(pace.last_ms(&here, "ann"), Some(2_000));
        assert_eq!(pace.last_ms(&here, "bob"), None);
        assert_eq!(pace.last_ms(&there, "ann"), None);
    }
}
