//! A judge that cannot say no is worthless: every promise is broken on purpose in histories that are otherwise fine.
#![allow(
    clippy::ptr_arg,
    reason = "the plants share one shape, and some remove lines"
)]

use proptest::prelude::*;

use super::*;
use crate::record::{ClientId, Did, Kind, Mark, RoomId, Source, Way};

const GOOD: ClientId = 3;
const CLIENTS: ClientId = 4;
const ROOMS: RoomId = 2;

/// A system without faults, and the history that its clients write.
#[derive(Default)]
struct World {
    history: Vec<Line>,
    logs: [Vec<Mark>; ROOMS as usize],
    said: [u32; CLIENTS as usize],
    /// Of each client: connected, and its cursor in each room.
    up: [bool; CLIENTS as usize],
    cursors: [[u64; ROOMS as usize]; CLIENTS as usize],
}

impl World {
    /// Clients connect, then do these steps, then those who are owed everything come back.
    fn after(steps: &[(u8, u8, u8)]) -> Vec<Line> {
        let mut world = Self::default();
        for client in 0..CLIENTS {
            world.connect(client, true);
        }
        for (what, who, room) in steps {
            let client = u32::from(*who) % CLIENTS;
            let room = u32::from(*room) % ROOMS;
            match what % 4 {
                0 => world.disconnect(client),
                1 => world.connect(client, false),
                _ => world.say(client, room),
            }
        }
        for client in 0..CLIENTS {
            world.connect(client, false);
        }
        // Everybody hears something live in every room, so that every plant finds ground.
        for room in 0..ROOMS {
            for client in 0..CLIENTS {
                world.say(client, room);
                world.say(client, room);
            }
        }
        world.end();
        world.history
    }

    fn write(&mut self, client: Option<ClientId>, did: Did) {
        let micros = self.history.len() as u64 * 1000;
        self.history.push(Line {
            micros,
            client,
            did,
        });
    }

    fn connect(&mut self, client: ClientId, is_first: bool) {
        let at = client as usize;
        if self.up[at] {
            return;
        }
        self.up[at] = true;
        let kind = kind(client);
        let instance = "one".into();
        let person = u64::from(client);
        self.write(
            Some(client),
            Did::Up {
                kind,
                instance,
                person,
                polls: false,
            },
        );
        for room in 0..ROOMS {
            let after =
                (!is_first && kind == Kind::Good).then_some(self.cursors[at][room as usize]);
            self.write(Some(client), Did::Join { room, after });
            if kind == Kind::Good {
                self.catch_up(client, room);
            }
        }
        if kind == Kind::Good {
            self.write(Some(client), Did::CaughtUp);
        }
    }

    fn catch_up(&mut self, client: ClientId, room: RoomId) {
        let from = self.cursors[client as usize][room as usize];
        let log = self.logs[room as usize].clone();
        let (last, epoch) = (log.len() as u64, "e".into());
        self.write(
            Some(client),
            Did::Joined {
                room,
                from,
                last,
                epoch,
            },
        );
        for seq in from + 1..=last {
            let mark = log[usize::try_from(seq).unwrap() - 1];
            let way = Way::Page;
            self.write(
                Some(client),
                Did::Recv {
                    room,
                    seq,
                    mark,
                    way,
                },
            );
        }
        self.cursors[client as usize][room as usize] = last;
    }

    fn disconnect(&mut self, client: ClientId) {
        if std::mem::take(&mut self.up[client as usize]) {
            let why = "cut".into();
            self.write(Some(client), Did::Down { why, chosen: true });
            self.write(Some(client), Did::Back);
        }
    }

    fn say(&mut self, client: ClientId, room: RoomId) {
        if !self.up[client as usize] {
            return;
        }
        self.said[client as usize] += 1;
        let number = self.said[client as usize];
        let mark = Mark { client, number };
        self.write(
            Some(client),
            Did::Send {
                room,
                mark,
                attempt: 1,
            },
        );
        self.logs[room as usize].push(mark);
        let seq = self.logs[room as usize].len() as u64;
        for listener in 0..CLIENTS {
            if self.up[listener as usize] {
                let way = Way::Live;
                self.write(
                    Some(listener),
                    Did::Recv {
                        room,
                        seq,
                        mark,
                        way,
                    },
                );
                self.cursors[listener as usize][room as usize] = seq;
            }
        }
        if kind(client) == Kind::Good {
            let duplicate = false;
            self.write(
                Some(client),
                Did::Ack {
                    room,
                    mark,
                    seq,
                    duplicate,
                },
            );
        }
    }

    fn end(&mut self) {
        for client in 0..CLIENTS {
            let is_up = self.up[client as usize];
            self.write(Some(client), Did::End { is_up });
        }
        for source in [Source::Rest, Source::Database] {
            for room in 0..ROOMS {
                for (mark, seq) in self.logs[room as usize].clone().into_iter().zip(1..) {
                    self.write(
                        None,
                        Did::Stored {
                            source,
                            room,
                            seq,
                            mark,
                        },
                    );
                }
            }
        }
    }
}

fn kind(client: ClientId) -> Kind {
    if client < GOOD {
        Kind::Good
    } else {
        Kind::Vanilla
    }
}

/// A way to spoil a history; `pick` says which of the possible places. All have this one shape.
type Plant = fn(&mut Vec<Line>, usize);

/// Finds the line to spoil.
fn choose(history: &[Line], pick: usize, fits: impl Fn(&Line) -> bool) -> usize {
    let places: Vec<usize> = (0..history.len())
        .filter(|at| fits(&history[*at]))
        .collect();
    assert!(!places.is_empty(), "nothing to spoil");
    places[pick % places.len()]
}

fn is_live_to(line: &Line, is_wanted: impl Fn(ClientId) -> bool) -> bool {
    let is_live = matches!(line.did, Did::Recv { way: Way::Live, .. });
    is_live && line.client.is_some_and(is_wanted)
}

fn heard(line: &Line) -> (RoomId, u64, Mark) {
    match line.did {
        Did::Recv {
            room, seq, mark, ..
        } => (room, seq, mark),
        ref other => panic!("nothing heard: {other:?}"),
    }
}

/// The next live arrival at the same client in the same room, on the same connection.
fn next_live(history: &[Line], at: usize) -> Option<usize> {
    let (room, ..) = heard(&history[at]);
    let mut rest =
        (at + 1..history.len()).filter(|next| history[*next].client == history[at].client);
    let next = rest.find(|next| match &history[*next].did {
        Did::Recv {
            room: there,
            way: Way::Live,
            ..
        } => *there == room,
        Did::Up { .. } | Did::Down { .. } => true,
        _ => false,
    })?;
    matches!(history[next].did, Did::Recv { .. }).then_some(next)
}

fn lose_one_of_a_good_client(history: &mut Vec<Line>, pick: usize) {
    let at = choose(history, pick, |line| {
        is_live_to(line, |client| client < GOOD)
    });
    let (client, (room, seq, _)) = (history[at].client, heard(&history[at]));
    history.retain(|line| {
        let is_it = matches!(line.did, Did::Recv { room: there, seq: it, .. } if there == room && it == seq);
        !(is_it && line.client == client)
    });
}

fn skip_one_of_a_vanilla_client(history: &mut Vec<Line>, pick: usize) {
    let whole = history.clone();
    let has_neighbours = |at: usize| {
        is_live_to(&whole[at], |client| client >= GOOD)
            && next_live(&whole, at)
                .and_then(|next| next_live(&whole, next))
                .is_some()
    };
    let places: Vec<usize> = (0..whole.len()).filter(|at| has_neighbours(*at)).collect();
    let at = places[pick % places.len()];
    history.remove(next_live(&whole, at).unwrap());
}

fn forget_the_newest_of_a_vanilla_client(history: &mut Vec<Line>, _pick: usize) {
    let last = history
        .iter()
        .rposition(|line| is_live_to(line, |client| client >= GOOD));
    history.remove(last.unwrap());
}

fn say_one_twice(history: &mut Vec<Line>, pick: usize) {
    let at = choose(history, pick, |line| is_live_to(line, |_| true));
    history.insert(at + 1, history[at].clone());
}

fn swap_two_neighbours(history: &mut Vec<Line>, pick: usize) {
    let whole = history.clone();
    let at = choose(history, pick, |line| is_live_to(line, |_| true));
    // The last one of a connection has no neighbour behind it; the first of its kind in the final round has.
    let is_pair =
        |at: &usize| is_live_to(&whole[*at], |_| true) && next_live(&whole, *at).is_some();
    let at = (at..whole.len()).chain(0..at).find(is_pair).unwrap();
    let next = next_live(&whole, at).unwrap();
    let (one, other) = (whole[at].did.clone(), whole[next].did.clone());
    history[at].did = other;
    history[next].did = one;
}

fn leak_into_a_foreign_room(history: &mut Vec<Line>, pick: usize) {
    let at = choose(history, pick, |line| is_live_to(line, |_| true));
    let (room, ..) = heard(&history[at]);
    let client = history[at].client;
    let micros = history[at].micros;
    history.insert(
        at,
        Line {
            micros,
            client,
            did: Did::Left { room },
        },
    );
}

fn say_what_nobody_said(history: &mut Vec<Line>, pick: usize) {
    let at = choose(history, pick, |line| is_live_to(line, |_| true));
    history[at].did = Did::Stray {
        what: "a message of another room".into(),
    };
}

fn places_of(history: &[Line], room: RoomId) -> u64 {
    let is_it = |line: &&Line| matches!(line.did, Did::Stored { room: there, source: Source::Rest, .. } if there == room);
    history.iter().filter(is_it).count() as u64
}

fn dig_a_hole_in_the_log(history: &mut Vec<Line>, pick: usize) {
    let wanted = 1 + pick as u64 % (places_of(history, 0) - 1);
    history.retain(|line| !matches!(line.did, Did::Stored { room: 0, seq, .. } if seq == wanted));
}

fn lose_the_newest_acked_from_the_store(history: &mut Vec<Line>, _pick: usize) {
    let is_acked = |line: &&Line| matches!(line.did, Did::Ack { room: 0, .. });
    let Did::Ack { mark: lost, .. } = history.iter().rfind(is_acked).unwrap().did else {
        panic!("an ack")
    };
    // What stands behind it goes as well, so that there is no hole.
    let is_it = |line: &Line| matches!(line.did, Did::Stored { room: 0, mark, .. } if mark == lost);
    let Did::Stored { seq: from, .. } = history.iter().find(|line| is_it(line)).unwrap().did else {
        panic!("a place")
    };
    history.retain(|line| match line.did {
        Did::Stored { room: 0, seq, .. } | Did::Recv { room: 0, seq, .. } => seq < from,
        _ => true,
    });
}

fn store_one_twice(history: &mut Vec<Line>, pick: usize) {
    let is_it =
        |line: &Line| matches!(line.did, Did::Stored { room: 1, mark, .. } if mark.client < GOOD);
    let at = choose(history, pick, is_it);
    let Did::Stored { mark, .. } = history[at].did else {
        panic!("a place")
    };
    let seq = places_of(history, 1) + 1;
    for source in [Source::Rest, Source::Database] {
        let did = Did::Stored {
            source,
            room: 1,
            seq,
            mark,
        };
        history.push(Line {
            micros: 0,
            client: None,
            did,
        });
    }
}

fn store_what_was_not_sent(history: &mut Vec<Line>, pick: usize) {
    let at = choose(history, pick, |line| matches!(line.did, Did::Send { .. }));
    let Did::Send {
        mark: unsaid,
        room: its,
        ..
    } = history[at].did
    else {
        panic!("a send")
    };
    history.retain(
        |line| !matches!(line.did, Did::Send { mark, room, .. } if mark == unsaid && room == its),
    );
}

fn ack_with_two_seqs(history: &mut Vec<Line>, pick: usize) {
    let at = choose(history, pick, |line| matches!(line.did, Did::Ack { .. }));
    let mut again = history[at].clone();
    if let Did::Ack { seq, .. } = &mut again.did {
        *seq += 1;
    }
    history.insert(at + 1, again);
}

fn tell_one_client_another_log(history: &mut Vec<Line>, pick: usize) {
    let at = choose(history, pick, |line| is_live_to(line, |_| true));
    if let Did::Recv { mark, .. } = &mut history[at].did {
        mark.number += 1000;
    }
}

/// Two messages of one sender change places, for everybody and in the store.
fn turn_a_senders_order_round(history: &mut Vec<Line>, pick: usize) {
    let of = |line: &Line| match line.did {
        Did::Send { room, mark, .. } => Some((room, mark)),
        _ => None,
    };
    let places: Vec<(RoomId, Mark)> = history.iter().filter_map(of).collect();
    let (room, earlier) = places[pick % places.len()];
    let later = places
        .iter()
        .rfind(|(there, mark)| *there == room && mark.client == earlier.client);
    let (_, later) = *later.unwrap();
    // The last of a sender has none behind it: take the pair that the last round made sure of.
    let earlier = if earlier == later {
        Mark {
            number: later.number - 1,
            ..later
        }
    } else {
        earlier
    };
    for line in history {
        let (Did::Recv {
            room: there, mark, ..
        }
        | Did::Stored {
            room: there, mark, ..
        }) = &mut line.did
        else {
            continue;
        };
        if *there == room && *mark == earlier {
            *mark = later;
        } else if *there == room && *mark == later {
            *mark = earlier;
        }
    }
}

fn never_come_back(history: &mut Vec<Line>, _pick: usize) {
    let end = history
        .iter()
        .position(|line| matches!(line.did, Did::End { .. }))
        .unwrap();
    let did = Did::Down {
        why: "gone".into(),
        chosen: false,
    };
    history.insert(
        end,
        Line {
            micros: 0,
            client: Some(0),
            did,
        },
    );
}

fn change_the_log(history: &mut Vec<Line>, pick: usize) {
    let at = choose(history, pick, |line| matches!(line.did, Did::Joined { .. }));
    if let Did::Joined { epoch, .. } = &mut history[at].did {
        *epoch = "f".into();
    }
}

fn let_the_database_differ(history: &mut Vec<Line>, pick: usize) {
    let is_it = |line: &Line| {
        matches!(
            line.did,
            Did::Stored {
                source: Source::Rest,
                ..
            }
        )
    };
    let at = choose(history, pick, is_it);
    history.remove(at);
}

const PLANTS: [(&str, Plant, Law); 16] = [
    ("a loss", lose_one_of_a_good_client, Law::I3),
    (
        "a gap while connected",
        skip_one_of_a_vanilla_client,
        Law::I3,
    ),
    (
        "a lost last message",
        forget_the_newest_of_a_vanilla_client,
        Law::I3,
    ),
    ("a duplicate", say_one_twice, Law::I3),
    ("a misorder", swap_two_neighbours, Law::I4),
    ("a leak", leak_into_a_foreign_room, Law::I8),
    ("a stray", say_what_nobody_said, Law::I8),
    ("a hole", dig_a_hole_in_the_log, Law::I2),
    (
        "acked but missing",
        lose_the_newest_acked_from_the_store,
        Law::I1,
    ),
    ("stored twice", store_one_twice, Law::I1),
    ("never sent", store_what_was_not_sent, Law::I6),
    ("two acks", ack_with_two_seqs, Law::I1),
    ("another log", tell_one_client_another_log, Law::I4),
    ("a sender's order", turn_a_senders_order_round, Law::I5),
    ("a client that stays away", never_come_back, Law::I3),
    ("another epoch", change_the_log, Law::I2),
];

fn breaches_of(history: &[Line]) -> Vec<Law> {
    judge(history).breaches.counts.into_keys().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_history_without_faults_breaks_no_law(steps: Vec<(u8, u8, u8)>) {
        let history = World::after(&steps);
        let verdict = judge(&history);
        prop_assert!(verdict.breaches.is_empty(), "{:#?}", verdict.breaches.kept);
        let figures = verdict.figures;
        prop_assert_eq!((figures.lost, figures.doubled, figures.misordered), (0, 0, 0));
        prop_assert!(figures.owed > 0 && figures.acks > 0 && figures.stored > 0);
    }

    #[test]
    fn every_planted_fault_is_found(steps: Vec<(u8, u8, u8)>, pick: usize) {
        for (name, plant, law) in PLANTS {
            let mut history = World::after(&steps);
            plant(&mut history, pick % 1_000_000);
            let found = breaches_of(&history);
            prop_assert!(found.contains(&law), "{} was not found as {}: {:?}", name, law, found);
        }
    }
}

#[test]
fn a_difference_between_rest_and_database_is_found() {
    let mut history = World::after(&[]);
    let_the_database_differ(&mut history, 3);
    assert!(breaches_of(&history).contains(&Law::I1));
}

#[test]
fn a_loss_is_counted_and_shown_with_the_lines_around_it() {
    let mut history = World::after(&[]);
    lose_one_of_a_good_client(&mut history, 5);
    let verdict = judge(&history);
    assert_eq!(verdict.figures.lost, 1);
    assert!(verdict.figures.delivered_percent() < 100.0);
    let breach = &verdict.breaches.kept[0];
    let shown: Vec<&Did> = breach
        .lines
        .iter()
        .map(|line| &history[*line].did)
        .collect();
    assert!(
        shown.iter().any(|did| matches!(did, Did::Stored { .. })),
        "{shown:?}"
    );
    assert!(
        shown.iter().any(|did| matches!(did, Did::Send { .. })),
        "{shown:?}"
    );
    assert!(breach.lines.len() <= 12);
}

#[test]
fn a_message_that_came_by_page_and_live_is_a_duplicate_on_the_wire_and_no_breach() {
    let mut history = World::after(&[]);
    let at = choose(&history, 2, |line| is_live_to(line, |client| client < GOOD));
    let mut again = history[at].clone();
    if let Did::Recv { way, .. } = &mut again.did {
        *way = Way::Page;
    }
    history.insert(at, again);
    let verdict = judge(&history);
    assert!(verdict.breaches.is_empty(), "{:?}", verdict.breaches.kept);
    assert_eq!(verdict.figures.wire_duplicates, 1);
}

#[test]
fn an_absence_is_measured_from_the_wish_to_be_back() {
    // Client 0 cuts its connection, and comes back in the end.
    let history = World::after(&[(0, 0, 0), (2, 1, 0)]);
    let verdict = judge(&history);
    let back = history
        .iter()
        .find(|line| line.did == Did::Back)
        .unwrap()
        .micros;
    let caught_up = |line: &&Line| line.micros > back && line.did == Did::CaughtUp;
    let caught_up = history.iter().find(caught_up).unwrap().micros;
    assert_eq!(verdict.figures.disconnects, 1);
    assert_eq!(verdict.figures.recovery_micros.max, caught_up - back);
}

#[test]
fn a_copy_on_another_connection_may_overtake_but_not_what_was_acked_before() {
    let line = |client, did| Line {
        micros: 0,
        client,
        did,
    };
    let mark = |number| Mark { client: 0, number };
    let up = || Did::Up {
        kind: Kind::Good,
        instance: "one".into(),
        person: 0,
        polls: false,
    };
    let send = |number| Did::Send {
        room: 0,
        mark: mark(number),
        attempt: 1,
    };
    let stored = |seq, number| Did::Stored {
        source: Source::Rest,
        room: 0,
        seq,
        mark: mark(number),
    };
    let ack = Did::Ack {
        room: 0,
        mark: mark(1),
        seq: 2,
        duplicate: false,
    };
    // Message 1 came to stand behind message 2, of which client 1 sent a copy.
    let history = |between: Option<Did>| {
        let mut lines = vec![line(Some(0), up()), line(Some(0), send(1))];
        lines.extend(between.map(|did| line(Some(0), did)));
        lines.extend([line(Some(0), send(2)), line(Some(1), send(2))]);
        lines.extend([line(None, stored(1, 2)), line(None, stored(2, 1))]);
        lines
    };
    assert!(!breaches_of(&history(None)).contains(&Law::I5));
    assert!(breaches_of(&history(Some(ack.clone()))).contains(&Law::I5));
    // The copy was on its way before the ack.
    let mut early = history(Some(ack));
    early.insert(2, line(Some(1), send(2)));
    assert!(!breaches_of(&early).contains(&Law::I5));
}
