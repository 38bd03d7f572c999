//! What a client decides: a core without clock and sockets. Facts in (connected, heard, the time), acts out.
//!
//! A good client does what `berth-chat.js` does: it joins with its cursor, asks for what is missing, drops what it has, and sends
//! again with the same id what nobody acked.

mod answers;
mod presence;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::company::{Company, Digest};
use super::outbox::{Due, Outbox};
use super::packet::{Packet, emit};
use super::timeline::Timeline;
use super::vanilla::Vanilla;
use crate::record::{ClientId, Did, Kind, Mark, Person, RoomId};
use crate::rooms::Rooms;
use answers::code;

/// An answer that has not come by then will not come.
pub(super) const ANSWER_PATIENCE_MICROS: u64 = 10_000_000;
/// Between two attempts to get in, when the server names no time.
const JOIN_PAUSE_MICROS: u64 = 1_000_000;
/// After that many another connection may lead to a backend that is better off.
const JOIN_TRIES_MAX: u32 = 4;
const PAGE_LIMIT: u64 = 200;

/// What to do, in this order.
#[derive(Debug, PartialEq)]
pub(super) enum Act {
    Write(Did),
    Send(String),
    /// Drop the connection and connect again.
    Renew(&'static str),
}

/// Who a client is.
#[derive(Clone, Debug)]
pub(crate) struct Character {
    pub(crate) id: ClientId,
    pub(crate) kind: Kind,
    pub(crate) rooms: Vec<RoomId>,
    /// Comes back into all its rooms by one `sync`, where others join them one by one.
    pub(crate) syncs: bool,
    /// How many messages it sends without waiting for the answer.
    pub(crate) window: usize,
    pub(crate) content_bytes: usize,
    /// Follows who is in its rooms.
    pub(crate) watches: bool,
    pub(crate) polls: bool,
}

/// Where a client stands, for whoever waits for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) is_up: bool,
    /// In all its rooms, and not known to miss anything.
    pub(crate) is_level: bool,
    pub(crate) unacked: usize,
    /// How far it has heard each of its rooms; nothing when it cannot tell.
    pub(crate) cursors: Vec<(RoomId, Option<u64>)>,
    pub(crate) person: Person,
    /// Whom it sees in its rooms, when it watches.
    pub(crate) company: Vec<(RoomId, Option<Digest>)>,
    /// Has looked once more since it was told to.
    pub(crate) has_looked: bool,
}

enum Ask {
    Join {
        room: RoomId,
        after: Option<u64>,
    },
    /// Several rooms at once, each with its cursor.
    Sync {
        rooms: Vec<(RoomId, u64)>,
    },
    Page {
        room: RoomId,
    },
    Leave {
        room: RoomId,
    },
    Send {
        room: RoomId,
        mark: Mark,
    },
    Look {
        room: RoomId,
    },
}

#[derive(Default)]
struct Seat {
    timeline: Timeline,
    is_in: bool,
    is_asked: bool,
    is_paging: bool,
    tries: u32,
    /// Not in, and not to ask before this.
    join_at: Option<u64>,
    epoch: Option<String>,
    company: Company,
    /// Is to look at who is there once more, whatever it knows.
    must_look: bool,
}

pub(super) struct Mind {
    character: Character,
    names: Rooms,
    seats: BTreeMap<RoomId, Seat>,
    outbox: Outbox,
    vanilla: Vanilla,
    asks: HashMap<u64, (Ask, u64)>,
    next_ask: u64,
    next_message: u32,
    person: Person,
    has_looked: bool,
    is_up: bool,
    is_catching_up: bool,
}

impl Mind {
    pub(super) fn new(character: Character, names: Rooms) -> Self {
        let seats = character.rooms.iter().map(|room| (*room, Seat::default()));
        Self {
            seats: seats.collect(),
            outbox: Outbox::new(character.window),
            vanilla: Vanilla::default(),
            asks: HashMap::new(),
            next_ask: 0,
            next_message: 0,
            person: 0,
            has_looked: false,
            is_up: false,
            is_catching_up: false,
            character,
            names,
        }
    }

    fn is_vanilla(&self) -> bool {
        self.character.kind == Kind::Vanilla
    }

    pub(super) fn connected(&mut self, instance: &str, person: Person, now: u64) -> Vec<Act> {
        (self.is_up, self.person) = (true, person);
        self.is_catching_up = true;
        let kind = self.character.kind;
        let mut acts = vec![Act::Write(Did::Up {
            kind,
            instance: instance.into(),
            person,
            polls: self.character.polls,
        })];
        if self.is_vanilla() {
            for room in self.character.rooms.clone() {
                acts.push(Act::Write(Did::Join { room, after: None }));
                acts.push(Act::Send(emit(
                    None,
                    "joinRoom",
                    &json!(self.names.name(room)),
                )));
            }
        }
        acts.append(&mut self.tick(now));
        acts
    }

    pub(super) fn lost(&mut self) {
        self.is_up = false;
        self.asks.clear();
        self.outbox.lost();
        self.vanilla.lost();
        for seat in self.seats.values_mut() {
            (seat.is_in, seat.is_asked, seat.is_paging) = (false, false, false);
            (seat.tries, seat.join_at) = (0, None);
            seat.company.lost();
        }
    }

    /// Says something of its own; answers which message it is, when it can be said.
    pub(super) fn say(&mut self, room: RoomId, now: u64) -> (Option<Mark>, Vec<Act>) {
        if self.is_vanilla() && !self.is_up {
            return (None, Vec::new());
        }
        self.next_message += 1;
        let mark = Mark {
            client: self.character.id,
            number: self.next_message,
        };
        if self.is_vanilla() {
            let content = mark.content(self.character.content_bytes);
            let draft =
                json!({ "roomId": self.names.name(room), "content": content, "type": "text" });
            let attempt = 1;
            let sent = Act::Write(Did::Send {
                room,
                mark,
                attempt,
            });
            return (
                Some(mark),
                vec![sent, Act::Send(emit(None, "sendMessage", &draft))],
            );
        }
        (Some(mark), self.repeat(room, mark, now))
    }

    /// Says what another client of the same person says.
    pub(super) fn repeat(&mut self, room: RoomId, mark: Mark, now: u64) -> Vec<Act> {
        self.outbox.add(room, mark);
        self.tick(now)
    }

    /// Leaves a room for a while.
    pub(super) fn leave(&mut self, room: RoomId, back_at: u64, now: u64) -> Vec<Act> {
        let Some(seat) = self.seats.get_mut(&room).filter(|seat| seat.is_in) else {
            return Vec::new();
        };
        seat.is_in = false;
        seat.is_asked = true;
        seat.join_at = Some(back_at);
        let body = json!({ "roomId": self.names.name(room) });
        vec![self.ask("leaveRoom", &body, Ask::Leave { room }, now)]
    }

    pub(super) fn heard(&mut self, packet: Packet<'_>, now: u64) -> Vec<Act> {
        let mut acts = match packet {
            Packet::Message(message) => self.message(&message, now),
            Packet::Ack { id, body } => match self.asks.remove(&id) {
                Some((ask, _)) => self.answered(ask, &body, now),
                None => Vec::new(),
            },
            Packet::Event { name, body } if name == "presence" => self.presence(&body),
            Packet::Event { name, body } if name == "error" => {
                let code = code(&body);
                vec![Act::Write(Did::Refused { code })]
            }
            _ => Vec::new(),
        };
        acts.append(&mut self.tick(now));
        acts
    }

    /// What is due by now. To be called after everything else, and when `wake_at` has come.
    pub(super) fn tick(&mut self, now: u64) -> Vec<Act> {
        if !self.is_up || self.is_vanilla() {
            return Vec::new();
        }
        let mut acts = self.expired(now);
        acts.append(&mut self.sync(now));
        for room in self.character.rooms.clone() {
            acts.extend(self.tend(room, now));
            acts.extend(self.look(room, now));
        }
        let seats = &self.seats;
        let is_in = |room: RoomId| seats.get(&room).is_some_and(|seat| seat.is_in);
        for due in self.outbox.due(now, is_in) {
            acts.append(&mut self.send(due, now));
        }
        if self.is_catching_up && self.is_level() {
            self.is_catching_up = false;
            acts.push(Act::Write(Did::CaughtUp));
        }
        acts
    }

    /// Right after a reconnect: into all rooms at once.
    fn sync(&mut self, now: u64) -> Vec<Act> {
        let is_untouched = |seat: &Seat| !seat.is_in && !seat.is_asked && seat.join_at.is_none();
        let may_sync = self.character.syncs && self.seats.len() > 1;
        if !may_sync || !self.seats.values().all(is_untouched) {
            return Vec::new();
        }
        let cursors = self
            .seats
            .iter()
            .map(|(room, seat)| Some((*room, seat.timeline.cursor()?)));
        let Some(rooms) = cursors.collect::<Option<Vec<(RoomId, u64)>>>() else {
            return Vec::new();
        };
        let mut acts = Vec::new();
        let mut question = Vec::new();
        for (room, seat) in &mut self.seats {
            seat.is_asked = true;
            let after = seat.timeline.cursor();
            acts.push(Act::Write(Did::Join { room: *room, after }));
            let name = self.names.name(*room);
            question.push(json!({ "roomId": name, "lastSeq": after, "epoch": seat.epoch }));
        }
        acts.push(self.ask(
            "sync",
            &json!({ "rooms": question }),
            Ask::Sync { rooms },
            now,
        ));
        acts
    }

    /// Gets into a room, and gets what is missing there.
    fn tend(&mut self, room: RoomId, now: u64) -> Vec<Act> {
        let name = self.names.name(room);
        let Some(seat) = self.seats.get_mut(&room) else {
            return Vec::new();
        };
        if !seat.is_in {
            if seat.is_asked || seat.join_at.is_some_and(|at| at > now) {
                return Vec::new();
            }
            (seat.is_asked, seat.join_at) = (true, None);
            let after = seat.timeline.cursor();
            seat.company.ask(now);
            let body = match after {
                Some(after) => {
                    json!({ "roomId": name, "lastSeq": after, "epoch": seat.epoch, "limit": PAGE_LIMIT })
                }
                None => json!({ "roomId": name, "limit": 1 }),
            };
            let join = Act::Write(Did::Join { room, after });
            return vec![
                join,
                self.ask("joinRoom", &body, Ask::Join { room, after }, now),
            ];
        }
        let is_due = seat.timeline.ask_at().is_some_and(|at| at <= now);
        let (true, false, Some(after)) = (is_due, seat.is_paging, seat.timeline.cursor()) else {
            return Vec::new();
        };
        seat.is_paging = true;
        let body = json!({ "roomId": name, "after": after, "limit": PAGE_LIMIT });
        let sync = Act::Write(Did::Sync { room, after });
        vec![sync, self.ask("getHistory", &body, Ask::Page { room }, now)]
    }

    fn send(&mut self, due: Due, now: u64) -> Vec<Act> {
        let Due {
            room,
            mark,
            attempt,
        } = due;
        let body = json!({
            "roomId": self.names.name(room),
            "content": mark.content(self.character.content_bytes),
            "type": "text",
            "clientMsgId": format!("m-{}-{}", mark.client, mark.number),
        });
        let sent = Act::Write(Did::Send {
            room,
            mark,
            attempt,
        });
        vec![
            sent,
            self.ask("sendMessage", &body, Ask::Send { room, mark }, now),
        ]
    }

    fn ask(&mut self, event: &str, body: &Value, ask: Ask, now: u64) -> Act {
        let id = self.next_ask;
        self.next_ask += 1;
        self.asks.insert(id, (ask, now + ANSWER_PATIENCE_MICROS));
        Act::Send(emit(Some(id), event, body))
    }

    /// Gives up on answers that are overdue.
    fn expired(&mut self, now: u64) -> Vec<Act> {
        let overdue: Vec<u64> = self
            .asks
            .iter()
            .filter(|(_, (_, deadline))| *deadline <= now)
            .map(|(id, _)| *id)
            .collect();
        let mut acts = Vec::new();
        for id in overdue {
            match self.asks.remove(&id) {
                Some((ask @ Ask::Send { mark, .. }, _)) => {
                    self.outbox.unanswered(mark);
                    // A late answer still counts.
                    self.asks.insert(id, (ask, u64::MAX));
                }
                Some((Ask::Page { room }, _)) => {
                    if let Some(seat) = self.seats.get_mut(&room) {
                        seat.is_paging = false;
                    }
                }
                Some((Ask::Look { room }, _)) => {
                    if let Some(seat) = self.seats.get_mut(&room) {
                        seat.company.unanswered();
                    }
                }
                Some((Ask::Join { .. } | Ask::Sync { .. } | Ask::Leave { .. }, _)) => {
                    acts.push(Act::Renew("no answer"));
                }
                None => {}
            }
        }
        acts
    }

    fn is_level(&self) -> bool {
        let is_level = |seat: &Seat| seat.is_in && !seat.timeline.is_behind();
        self.is_up && self.seats.values().all(is_level)
    }

    /// When `tick` has something to do next.
    pub(super) fn wake_at(&self) -> Option<u64> {
        if !self.is_up || self.is_vanilla() {
            return None;
        }
        let answers = self.asks.values().map(|(_, deadline)| *deadline);
        let outside = self
            .seats
            .values()
            .filter(|seat| !seat.is_in && !seat.is_asked);
        let joins = outside.filter_map(|seat| seat.join_at);
        let gaps = self
            .seats
            .values()
            .filter(|seat| seat.is_in && !seat.is_paging);
        let gaps = gaps.filter_map(|seat| seat.timeline.ask_at());
        let inside = self.seats.values().filter(|seat| seat.is_in);
        let looks = inside.filter_map(|seat| seat.company.look_at());
        let looks = looks.filter(|_| self.character.watches);
        answers
            .chain(joins)
            .chain(gaps)
            .chain(looks)
            .chain(self.outbox.wake_at())
            .min()
    }

    pub(super) fn standing(&self) -> Standing {
        let cursor = |room: RoomId| match self.character.kind {
            Kind::Good => self.cursor(room),
            Kind::Vanilla => self.vanilla.last(room),
        };
        Standing {
            is_up: self.is_up,
            is_level: self.is_vanilla() || self.is_level(),
            unacked: self.outbox.len(),
            cursors: self
                .character
                .rooms
                .iter()
                .map(|room| (*room, cursor(*room)))
                .collect(),
            person: self.person,
            company: self.company(),
            has_looked: self.has_looked,
        }
    }
}

#[cfg(test)]
mod tests;
