//! What every client heard, beside what it is owed: I3, I4 and I8.

use std::collections::BTreeMap;

use super::seqs::Seqs;
use super::stored::Stored;
use super::{Breaches, Law};
use crate::record::{ClientId, Did, Kind, Line, Mark, RoomId, Way};

/// Of a client, around a message that it missed.
const MOVES_SHOWN: usize = 8;

/// Sums over all clients.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    /// Messages that clients are owed.
    pub(crate) owed: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) misordered: u64,
    /// The same message to the same client again, in a way that is allowed.
    pub(crate) wire_duplicates: u64,
    /// Times that a recovering client noticed by itself that the live stream skipped something.
    pub(crate) live_gaps: u64,
    /// From the first send to each first live arrival, in microseconds.
    pub(crate) delays: Vec<u64>,
}

/// One client in one room.
#[derive(Default)]
struct Seat {
    /// May hear messages: from its question to be in, to being told that it left.
    is_in: bool,
    /// Owed everything after this.
    from: Option<u64>,
    seen: Seqs,
    live: Live,
}

/// The live stream of one connection.
#[derive(Default)]
struct Live {
    heard: Seqs,
    /// The newest, since it was last asked to be let in.
    last: Option<(u64, usize)>,
    /// What was skipped, with the lines before and behind the gap. It may still come, late.
    skipped: BTreeMap<u64, [usize; 2]>,
}

struct Listener {
    kind: Kind,
    is_up: bool,
    seats: BTreeMap<RoomId, Seat>,
}

/// One thing that arrived.
#[derive(Clone, Copy)]
struct Arrival {
    client: ClientId,
    room: RoomId,
    seq: u64,
    mark: Mark,
    way: Way,
    line: usize,
}

/// Goes through a history once, beside what is stored.
struct Hearing<'a> {
    history: &'a [Line],
    stored: &'a Stored,
    breaches: &'a mut Breaches,
    reception: Reception,
}

pub(crate) fn check(history: &[Line], stored: &Stored, breaches: &mut Breaches) -> Reception {
    let mut hearing = Hearing {
        history,
        stored,
        breaches,
        reception: Reception::default(),
    };
    let mut listeners: BTreeMap<ClientId, Listener> = BTreeMap::new();
    for (line, entry) in history.iter().enumerate() {
        let Some(client) = entry.client else {
            continue;
        };
        let listener = listeners.entry(client).or_insert_with(|| Listener {
            kind: Kind::Good,
            is_up: false,
            seats: BTreeMap::new(),
        });
        hearing.takes(line, &entry.did, client, listener);
    }
    for (client, listener) in &mut listeners {
        match listener.kind {
            Kind::Good => hearing.is_owed_everything(*client, listener),
            Kind::Vanilla => hearing.is_owed_the_rest(*client, listener),
        }
    }
    hearing.reception
}

impl Hearing<'_> {
    fn takes(&mut self, line: usize, did: &Did, client: ClientId, listener: &mut Listener) {
        match did {
            Did::Up { kind, .. } => {
                (listener.kind, listener.is_up) = (*kind, true);
            }
            Did::Down { .. } => {
                listener.is_up = false;
                for (room, seat) in &mut listener.seats {
                    self.never_came(client, *room, listener.kind, seat);
                    (seat.is_in, seat.live) = (false, Live::default());
                }
            }
            Did::Join { room, .. } => {
                let seat = listener.seats.entry(*room).or_default();
                seat.is_in = true;
                // After a leave the stream may go on anywhere; what was heard before must still not come again.
                seat.live.last = None;
            }
            Did::Joined { room, from, .. } => {
                let seat = listener.seats.entry(*room).or_default();
                seat.from.get_or_insert(*from);
            }
            Did::Left { room } => listener.seats.entry(*room).or_default().is_in = false,
            Did::Recv {
                room,
                seq,
                mark,
                way,
            } => {
                let (room, seq, mark, way) = (*room, *seq, *mark, *way);
                let arrival = Arrival {
                    client,
                    room,
                    seq,
                    mark,
                    way,
                    line,
                };
                let seat = listener.seats.entry(room).or_default();
                self.is_of_the_log(arrival);
                if way == Way::Live {
                    self.is_next(seat, arrival);
                }
                self.note(seat, arrival);
            }
            Did::Stray { what } => {
                self.breaches
                    .add(Law::I8, format!("client {client} got {what}"), [line]);
            }
            _ => {}
        }
    }

    /// What arrives is what the log has at that place, for everybody.
    fn is_of_the_log(&mut self, arrival: Arrival) {
        let Arrival {
            client,
            room,
            seq,
            mark,
            line,
            ..
        } = arrival;
        let (what, place) = match self.stored.at(room, seq) {
            Some((same, _)) if same == mark => return,
            Some((other, place)) => (format!("{}.{}", other.client, other.number), Some(place)),
            None => ("nothing".to_owned(), None),
        };
        let what = format!(
            "client {client} got {}.{} as seq {seq} of room {room}, where the log has {what}",
            mark.client, mark.number
        );
        self.breaches
            .add(Law::I4, what, place.into_iter().chain([line]));
    }

    /// The live stream of a connection has each message once, and the newest last.
    fn is_next(&mut self, seat: &mut Seat, arrival: Arrival) {
        let Arrival {
            client,
            room,
            seq,
            line,
            ..
        } = arrival;
        if !seat.is_in {
            let what = format!("client {client} is not in room {room} and got seq {seq}");
            self.breaches.add(Law::I8, what, [line]);
        }
        let last = seat.live.last;
        if !seat.live.heard.insert(seq) {
            self.reception.doubled += 1;
            let what =
                format!("client {client} got seq {seq} of room {room} twice on one connection");
            let lines = last.map(|(_, line)| line).into_iter().chain([line]);
            self.breaches.add(Law::I3, what, lines);
            return;
        }
        if let Some((last, last_line)) = last {
            if seq < last {
                seat.live.skipped.remove(&seq);
                self.reception.misordered += 1;
                let what = format!("client {client} got seq {seq} of room {room} after {last}");
                self.breaches.add(Law::I4, what, [last_line, line]);
                return;
            }
            let skipped = last + 1..seq;
            seat.live
                .skipped
                .extend(skipped.map(|seq| (seq, [last_line, line])));
        }
        seat.live.last = Some((seq, line));
    }

    fn note(&mut self, seat: &mut Seat, arrival: Arrival) {
        if !seat.seen.insert(arrival.seq) {
            self.reception.wire_duplicates += 1;
            return;
        }
        let message = self.stored.messages.get(&(arrival.room, arrival.mark));
        let sent = message.and_then(|message| message.sends.first());
        if let (Way::Live, Some(sent)) = (arrival.way, sent) {
            let (sent, heard) = (&self.history[*sent], &self.history[arrival.line]);
            self.reception
                .delays
                .push(heard.micros.saturating_sub(sent.micros));
        }
    }

    /// The end of a connection, or of the row: what was skipped in its live stream has not come late either.
    fn never_came(&mut self, client: ClientId, room: RoomId, kind: Kind, seat: &Seat) {
        let skipped = &seat.live.skipped;
        let count = skipped.len() as u64;
        match (kind, skipped.first_key_value()) {
            (_, None) => {}
            (Kind::Good, Some(_)) => self.reception.live_gaps += count,
            (Kind::Vanilla, Some((first, lines))) => {
                self.reception.owed += count;
                self.reception.lost += count;
                let what = format!(
                    "vanilla client {client} stayed connected and missed {count} messages of room {room}; the first is seq {first}"
                );
                self.breaches.add(Law::I3, what, *lines);
            }
        }
    }

    /// A client that recovers has everything from where it first came in.
    fn is_owed_everything(&mut self, client: ClientId, listener: &Listener) {
        for (room, seat) in &listener.seats {
            self.never_came(client, *room, listener.kind, seat);
            let tail = self.stored.tail(*room);
            let from = seat.from.unwrap_or(0);
            if seat.from.is_none() {
                let what = format!("client {client} never got into room {room}");
                self.breaches.add(Law::I3, what, []);
            }
            self.reception.owed += tail.saturating_sub(from);
            let missing: Vec<u64> = seat.seen.missing(from, tail).collect();
            self.reception.lost += missing.len() as u64;
            if let Some(first) = missing.first() {
                let what = format!(
                    "client {client} never got {} of the messages of room {room}; the first is seq {first}",
                    missing.len()
                );
                let lines = self.around(client, *room, *first);
                self.breaches.add(Law::I3, what, lines);
            }
        }
    }

    /// A vanilla client that is still connected has heard the newest message. What it heard before was checked as it came.
    fn is_owed_the_rest(&mut self, client: ClientId, listener: &Listener) {
        for (room, seat) in &listener.seats {
            self.reception.owed += seat.seen.count();
            self.never_came(client, *room, listener.kind, seat);
            let (true, true, Some((last, line))) = (listener.is_up, seat.is_in, seat.live.last)
            else {
                continue;
            };
            let missing = self.stored.tail(*room).saturating_sub(last);
            if missing > 0 {
                self.reception.owed += missing;
                self.reception.lost += missing;
                let what = format!(
                    "vanilla client {client} is connected and never got the last {missing} messages of room {room}"
                );
                let place = self.stored.at(*room, last + 1).map(|(_, line)| line);
                self.breaches
                    .add(Law::I3, what, place.into_iter().chain([line]));
            }
        }
    }

    /// The story of one missing message: itself, and what the client heard and did around its place.
    fn around(&self, client: ClientId, room: RoomId, seq: u64) -> Vec<usize> {
        let mut lines = Vec::new();
        if let Some((mark, place)) = self.stored.at(room, seq) {
            lines.push(place);
            if let Some(message) = self.stored.messages.get(&(room, mark)) {
                lines.extend(message.sends.first());
                lines.extend(message.acks.first().map(|ack| ack.line));
            }
        }
        let its = || {
            self.history
                .iter()
                .enumerate()
                .filter(|(_, line)| line.client == Some(client))
        };
        let heard = |is_wanted: &dyn Fn(u64) -> bool| {
            let mut its = its();
            let found = its.find(|(_, line)| matches!(line.did, Did::Recv { room: there, seq, .. } if there == room && is_wanted(seq)));
            found.map(|(line, _)| line)
        };
        let before = heard(&|heard| heard + 1 == seq);
        let after = heard(&|heard| heard > seq);
        lines.extend(before.into_iter().chain(after));
        let (start, end) = (before.unwrap_or(0), after.unwrap_or(self.history.len()));
        let moves = its().filter(|(at, line)| {
            let is_move = matches!(
                line.did,
                Did::Up { .. }
                    | Did::Down { .. }
                    | Did::Join { .. }
                    | Did::Joined { .. }
                    | Did::Sync { .. }
            );
            is_move && (start..end).contains(at)
        });
        lines.extend(moves.map(|(line, _)| line).take(MOVES_SHOWN));
        lines
    }
}
