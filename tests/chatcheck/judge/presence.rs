//! Whether clients see who is there, nobody else, and nobody flicker: I7.
//!
//! Who is there is read from everybody's own lines: a person is in a room while one of their clients is. That is certain only with some
//! time around it, because news travel: what is judged is who has been there, or away, for longer than news may take. While a fault
//! lasts only flicker is judged, in news that are not called approximate; after the last one everything must have come right in the same time.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::{Breaches, Law};
use crate::record::{ClientId, Did, Line, Person, RoomId};

/// Whoever has been there this long is seen: servers look at a room once a second.
const SEEN_MICROS: u64 = 6_000_000;
/// After the last fault it takes up to this: servers that were away renew their leases.
const CALM_MICROS: u64 = 10_000_000;
/// Whoever has been away this long is not: a dead server's lease (10 s), the grace for those who come back (8 s), and the pause between
/// two looks of a server at one room.
const GONE_MICROS: u64 = 20_000_000;
/// Of a client that polled, only a missed heartbeat tells: 25 s and 60 s.
const HEARTBEAT_MICROS: u64 = 85_000_000;
/// In rooms of more than a thousand servers look every five seconds.
const LARGE_PEOPLE: usize = 1_000;
const LARGE_MICROS: u64 = 5_000_000;
/// Who has shown signs of life all through this time, with no longer break than that, cannot have been away for a whole grace.
const STEADY_MICROS: u64 = 16_000_000;
const BREAK_MICROS: u64 = 4_000_000;
/// Of a large room it is counted so often who is there.
const BOUNDS_MICROS: u64 = 1_000_000;
/// Signs of life that are closer together count once.
const SIGN_MICROS: u64 = 250_000;

/// Sums over all clients.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    /// Lists and numbers that were held against who was there.
    pub(crate) views: u64,
    /// Of these, wrong ones.
    pub(crate) wrong: u64,
    /// People who were told to be away while they were there.
    pub(crate) flaps: u64,
    /// From a departure to each client's being told, in microseconds.
    pub(crate) gone_micros: Vec<u64>,
}

/// One person in one room.
#[derive(Debug, Default)]
struct Guest {
    /// Clients that may be in: from their question on.
    maybe_in: BTreeSet<ClientId>,
    /// Clients that are in for certain.
    surely_in: BTreeSet<ClientId>,
    came: u64,
    went: u64,
    /// Was last seen polling.
    polled: bool,
    signs: VecDeque<u64>,
}

/// What one client was told about one room.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    people: BTreeSet<Person>,
    /// Everybody's name is known.
    is_whole: bool,
    is_approximate: bool,
}

#[derive(Debug, Default)]
struct Seat {
    maybe_in: bool,
    surely_in: bool,
    came: u64,
    /// What was told since a question that is not answered yet: it may be newer than the answer.
    news: Option<Vec<(Vec<Person>, Vec<Person>)>>,
    seen: Option<Seen>,
}

#[derive(Debug, Default)]
struct Client {
    person: Person,
    polls: bool,
    seats: BTreeMap<RoomId, Seat>,
}

/// How many are in a large room at least and at most, until somebody comes or goes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    at: u64,
    least: u64,
    most: u64,
}

struct Watch<'a> {
    breaches: &'a mut Breaches,
    attendance: Attendance,
    clients: HashMap<ClientId, Client>,
    rooms: HashMap<RoomId, HashMap<Person, Guest>>,
    bounds: HashMap<RoomId, Bounds>,
    calm: Calm,
    /// When everybody fell silent: until then a storm of clients may keep servers from asking each other.
    silence: u64,
}

/// When the last fault was over, if there was one.
#[derive(Clone, Copy, Debug)]
struct Calm(Option<u64>);

pub(crate) fn check(history: &[Line], breaches: &mut Breaches) -> Attendance {
    let is_fault = |line: &&Line| matches!(line.did, Did::Fault { .. });
    let last_fault = history.iter().rfind(is_fault);
    let calm = Calm(last_fault.map(|line| line.micros));
    let silent = history.iter().find(|line| line.did == Did::Silence);
    let mut watch = Watch {
        silence: silent.map_or(0, |line| line.micros),
        breaches,
        attendance: Attendance::default(),
        clients: HashMap::new(),
        rooms: HashMap::new(),
        bounds: HashMap::new(),
        calm,
    };
    for (at, line) in history.iter().enumerate() {
        if let Some(client) = line.client {
            watch.takes(at, line, client);
        }
    }
    watch.attendance
}

impl Watch<'_> {
    fn takes(&mut self, at: usize, line: &Line, client: ClientId) {
        let micros = line.micros;
        match &line.did {
            Did::Up { person, polls, .. } => {
                let client = self.clients.entry(client).or_default();
                (client.person, client.polls) = (*person, *polls);
            }
            Did::Down { .. } => {
                for room in self.rooms_of(client) {
                    self.leaves(client, room, micros);
                }
            }
            Did::Join { room, .. } => self.asks(client, *room),
            Did::Looks { room } => self.seat(client, *room).news = Some(Vec::new()),
            Did::Joined { room, .. } | Did::Recv { room, .. } => {
                self.is_in(client, *room, micros);
            }
            Did::Left { room } => self.leaves(client, *room, micros),
            Did::Present {
                room,
                count,
                people,
                approximate,
            } => {
                // What was followed until now must be right before it is replaced.
                self.judge(at, client, *room, (micros, Told::ByNews));
                let seen = Seen {
                    count: *count,
                    people: people.iter().flatten().copied().collect(),
                    is_whole: people.is_some(),
                    is_approximate: *approximate,
                };
                self.seat(client, *room).seen = Some(seen);
                self.judge(at, client, *room, (micros, Told::Whole));
                let seat = self.seat(client, *room);
                for (joined, left) in seat.news.take().unwrap_or_default() {
                    seat.hears(&joined, &left);
                }
            }
            Did::Presence { room, .. } => self.hears(at, line, client, *room),
            Did::End { .. } => {
                for room in self.rooms_of(client) {
                    self.judge(at, client, room, (micros, Told::ByNews));
                }
            }
            _ => {}
        }
        if is_heard(&line.did) {
            self.lives(client, micros);
        }
    }

    fn rooms_of(&self, client: ClientId) -> Vec<RoomId> {
        let client = self.clients.get(&client);
        client.map_or_else(Vec::new, |client| client.seats.keys().copied().collect())
    }

    fn seat(&mut self, client: ClientId, room: RoomId) -> &mut Seat {
        let client = self.clients.entry(client).or_default();
        client.seats.entry(room).or_default()
    }

    fn guest(&mut self, client: ClientId, room: RoomId) -> &mut Guest {
        let person = self.clients.entry(client).or_default().person;
        let room = self.rooms.entry(room).or_default();
        room.entry(person).or_default()
    }

    fn asks(&mut self, client: ClientId, room: RoomId) {
        let seat = self.seat(client, room);
        seat.maybe_in = true;
        seat.news = Some(Vec::new());
        self.guest(client, room).maybe_in.insert(client);
        self.bounds.remove(&room);
    }

    fn is_in(&mut self, client: ClientId, room: RoomId, micros: u64) {
        let seat = self.seat(client, room);
        if seat.surely_in || !seat.maybe_in {
            return;
        }
        (seat.surely_in, seat.came) = (true, micros);
        let guest = self.guest(client, room);
        if guest.surely_in.is_empty() {
            guest.came = micros;
        }
        guest.surely_in.insert(client);
        self.bounds.remove(&room);
    }

    fn leaves(&mut self, client: ClientId, room: RoomId, micros: u64) {
        let seat = self.seat(client, room);
        let was_in = seat.maybe_in;
        *seat = Seat::default();
        if was_in {
            let polls = self.clients.get(&client).is_some_and(|client| client.polls);
            let guest = self.guest(client, room);
            guest.surely_in.remove(&client);
            guest.maybe_in.remove(&client);
            (guest.went, guest.polled) = (micros, polls);
            self.bounds.remove(&room);
        }
    }

    /// Whatever a client hears shows that it is there, in all its rooms. What it says may reach nobody.
    fn lives(&mut self, client: ClientId, micros: u64) {
        let Some(Client { person, seats, .. }) = self.clients.get(&client) else {
            return;
        };
        for (room, _) in seats.iter().filter(|(_, seat)| seat.surely_in) {
            let room = self.rooms.entry(*room).or_default();
            room.entry(*person).or_default().lives(micros);
        }
    }

    fn hears(&mut self, at: usize, line: &Line, client: ClientId, room: RoomId) {
        let Did::Presence {
            count,
            joined,
            left,
            approximate,
            ..
        } = &line.did
        else {
            return;
        };
        let guests = self.rooms.entry(room).or_default();
        for person in left {
            let Some(guest) = guests.get(person) else {
                continue;
            };
            if guest.is_steady(line.micros) && !approximate {
                self.attendance.flaps += 1;
                let what = format!(
                    "client {client} was told that {person:x} left room {room}, who was there all the time"
                );
                self.breaches.add(Law::I7, what, [at]);
            } else if guest.maybe_in.is_empty() && !guest.polled {
                let from = guest.went.max(self.calm.0.unwrap_or(0));
                let delay = line.micros.saturating_sub(from);
                self.attendance.gone_micros.push(delay);
            }
        }
        let seat = self.seat(client, room);
        if let Some(later) = &mut seat.news {
            later.push((joined.clone(), left.clone()));
        }
        seat.hears(joined, left);
        if let Some(seen) = &mut seat.seen {
            (seen.count, seen.is_approximate) = (*count, *approximate);
            seen.is_whole &= seen.people.len() as u64 == *count;
        }
    }

    /// Holds what a client sees against who is there.
    fn judge(&mut self, at: usize, client: ClientId, room: RoomId, (now, told): (u64, Told)) {
        let seats = self.clients.get(&client).map(|client| &client.seats);
        let Some(seat) = seats.and_then(|seats| seats.get(&room)) else {
            return;
        };
        // A list that is just given is right about whoever has been there for long, whenever the client itself came.
        let since = match told {
            Told::Whole => 0,
            Told::ByNews if seat.surely_in => seat.came,
            Told::ByNews => return,
        };
        let moment = Moment {
            calm: self.calm,
            since,
            now,
        };
        let Some(seen) = &seat.seen else { return };
        let may_be_approximate = told == Told::ByNews || self.silence + CALM_MICROS > now;
        if !moment.is_calm() || (seen.is_approximate && may_be_approximate) {
            return;
        }
        let fault = if seen.is_approximate {
            Some("a list that is still called approximate".to_owned())
        } else if seen.is_whole {
            let guests = self.rooms.get(&room);
            guests.and_then(|guests| difference(&seen.people, guests, moment))
        } else {
            let bounds = bounds(&mut self.bounds, &self.rooms, room, moment);
            let is_right = (bounds.least..=bounds.most).contains(&seen.count);
            let what = || {
                let Bounds { least, most, .. } = bounds;
                format!("{} people, where {least} to {most} are", seen.count)
            };
            (!is_right).then(what)
        };
        self.attendance.views += 1;
        if let Some(fault) = fault {
            self.attendance.wrong += 1;
            let what = format!("client {client} sees in room {room} {fault}");
            self.breaches.add(Law::I7, what, [at]);
        }
    }
}

fn is_heard(did: &Did) -> bool {
    matches!(
        did,
        Did::Up { .. }
            | Did::Joined { .. }
            | Did::CaughtUp
            | Did::Ack { .. }
            | Did::Nack { .. }
            | Did::Recv { .. }
            | Did::Present { .. }
            | Did::Presence { .. }
    )
}

/// How a client came to see what it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Whole,
    ByNews,
}

/// When something is judged.
#[derive(Clone, Copy, Debug)]
struct Moment {
    calm: Calm,
    /// The client hears news since then.
    since: u64,
    now: u64,
}

impl Moment {
    /// Whether faults are over, and news have had time to arrive.
    fn is_calm(self) -> bool {
        let is_over = self
            .calm
            .0
            .is_none_or(|calm| calm + CALM_MICROS <= self.now);
        is_over && self.since + SEEN_MICROS <= self.now
    }

    /// Whether news of what happened at `at` must have arrived.
    fn is_due(self, at: u64, patience: u64) -> bool {
        at + patience <= self.now
    }
}

impl Seat {
    fn hears(&mut self, joined: &[Person], left: &[Person]) {
        if let Some(seen) = &mut self.seen {
            seen.people.extend(joined);
            for person in left {
                seen.people.remove(person);
            }
        }
    }
}

impl Guest {
    fn lives(&mut self, micros: u64) {
        if self
            .signs
            .back()
            .is_some_and(|last| last + SIGN_MICROS > micros)
        {
            return;
        }
        self.signs.push_back(micros);
        let is_old = |sign: &u64| sign + 2 * STEADY_MICROS < micros;
        while self.signs.front().is_some_and(is_old) {
            self.signs.pop_front();
        }
    }

    /// Whether there is no break in the time up to now in which this person may have been away for a while.
    fn is_steady(&self, now: u64) -> bool {
        let from = now.saturating_sub(STEADY_MICROS);
        let mut last = from;
        for sign in self.signs.iter().copied().filter(|sign| *sign >= from) {
            if sign - last >= BREAK_MICROS {
                return false;
            }
            last = sign;
        }
        !self.surely_in.is_empty() && now.saturating_sub(last) < BREAK_MICROS && from > 0
    }

    fn must_be_seen(&self, moment: Moment, more: u64) -> bool {
        !self.surely_in.is_empty() && moment.is_due(self.came, SEEN_MICROS + more)
    }

    fn must_be_gone(&self, moment: Moment, more: u64) -> bool {
        let went = self.went.max(moment.calm.0.unwrap_or(0));
        let silence = if self.polled { HEARTBEAT_MICROS } else { 0 };
        self.maybe_in.is_empty() && moment.is_due(went, GONE_MICROS + silence + more)
    }
}

fn difference(
    people: &BTreeSet<Person>,
    guests: &HashMap<Person, Guest>,
    moment: Moment,
) -> Option<String> {
    let is_ghost = |person: &&Person| {
        let guest = guests.get(person);
        guest.is_none_or(|guest| guest.must_be_gone(moment, 0))
    };
    if let Some(ghost) = people.iter().find(is_ghost) {
        return Some(format!("{ghost:x}, who is not there"));
    }
    let is_unseen = |(person, guest): &(&Person, &Guest)| {
        guest.must_be_seen(moment, 0) && !people.contains(person)
    };
    let unseen = guests.iter().find(is_unseen);
    unseen.map(|(person, _)| format!("everybody but {person:x}, who is there"))
}

fn bounds(
    known: &mut HashMap<RoomId, Bounds>,
    rooms: &HashMap<RoomId, HashMap<Person, Guest>>,
    room: RoomId,
    moment: Moment,
) -> Bounds {
    if let Some(bounds) = known.get(&room)
        && bounds.at + BOUNDS_MICROS > moment.now
    {
        return *bounds;
    }
    let guests = rooms.get(&room).into_iter().flat_map(HashMap::values);
    let there = || guests.clone();
    let more = if there().count() > LARGE_PEOPLE {
        LARGE_MICROS
    } else {
        0
    };
    let least = there().filter(|guest| guest.must_be_seen(moment, more));
    let most = there().filter(|guest| !guest.must_be_gone(moment, more));
    let bounds = Bounds {
        at: moment.now,
        least: least.count() as u64,
        most: most.count() as u64,
    };
    known.insert(room, bounds);
    bounds
}

#[cfg(test)]
mod tests;
