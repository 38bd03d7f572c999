//! How a client follows who is in its rooms: the answer to a join, the news since, and a look of its own where that does not fit.

use serde_json::{Value, json};

use super::super::company::Digest;
use super::answers::code;
use super::{Act, Ask, Mind};
use crate::record::{Did, RoomId};

impl Mind {
    /// Has it look once more who is there, in all its rooms.
    pub(in crate::client) fn look_around(&mut self, now: u64) -> Vec<Act> {
        let watches = self.character.watches;
        for seat in self.seats.values_mut() {
            seat.must_look = watches;
        }
        self.has_looked = !watches;
        self.tick(now)
    }

    /// Asks who is there, where it does not know.
    pub(super) fn look(&mut self, room: RoomId, now: u64) -> Vec<Act> {
        let watches = self.character.watches;
        let Some(seat) = self.seats.get_mut(&room) else {
            return Vec::new();
        };
        let is_due = seat.must_look || seat.company.look_at().is_some_and(|at| at <= now);
        if !watches || !seat.is_in || !is_due || seat.company.is_asking() {
            return Vec::new();
        }
        seat.company.ask(now);
        vec![
            Act::Write(Did::Looks { room }),
            self.ask_who(room, None, now),
        ]
    }

    fn ask_who(&mut self, room: RoomId, cursor: Option<&str>, now: u64) -> Act {
        let mut body = json!({ "roomId": self.names.name(room) });
        if let Some(cursor) = cursor {
            body["cursor"] = json!(cursor);
        }
        self.ask("getPresence", &body, Ask::Look { room }, now)
    }

    /// An answer to a join says who is there; one to a sync does not, and is followed by a look.
    pub(super) fn told_who(&mut self, room: RoomId, body: &Value) -> Option<Act> {
        let seat = self.seats.get_mut(&room)?;
        if !self.character.watches || !body.is_object() {
            seat.company.unanswered();
            return None;
        }
        let present = seat.company.answered(room, body, false).ok()?;
        Some(Act::Write(present))
    }

    pub(super) fn looked(&mut self, room: RoomId, body: &Value, now: u64) -> Vec<Act> {
        let Some(seat) = self.seats.get_mut(&room) else {
            return Vec::new();
        };
        if body["ok"] != true {
            seat.company.unanswered();
            return vec![Act::Write(Did::Refused { code: code(body) })];
        }
        match seat.company.answered(room, body, seat.must_look) {
            Err(cursor) => vec![self.ask_who(room, Some(&cursor), now)],
            Ok(present) => {
                if std::mem::take(&mut seat.must_look) {
                    self.has_looked = self.seats.values().all(|seat| !seat.must_look);
                }
                vec![Act::Write(present)]
            }
        }
    }

    /// Somebody came or went.
    pub(super) fn presence(&mut self, body: &Value) -> Vec<Act> {
        let name = body["roomId"].as_str().unwrap_or_default();
        let room = self.names.number(name);
        let seat = room.and_then(|room| Some((room, self.seats.get_mut(&room)?)));
        match seat {
            Some((room, seat)) if self.character.watches => {
                vec![Act::Write(seat.company.heard(room, body))]
            }
            _ => Vec::new(),
        }
    }

    /// Whom it sees in its rooms.
    pub(super) fn company(&self) -> Vec<(RoomId, Option<Digest>)> {
        if !self.character.watches {
            return Vec::new();
        }
        let seats = self.seats.iter();
        seats
            .map(|(room, seat)| (*room, seat.company.digest()))
            .collect()
    }
}
