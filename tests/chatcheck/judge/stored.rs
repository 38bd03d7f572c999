//! What the store has, beside what was sent and acked: I1, I2 and I6.

use std::collections::{BTreeMap, HashMap};

use super::{Breaches, Law};
use crate::record::{Did, Line, Mark, RoomId, SERVER, Source};

/// A message's place in a log, and the line that shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) line: usize,
}

/// What one source has at each place, and the lines that show it.
type Places = BTreeMap<(RoomId, u64), (Mark, usize)>;

/// The life of one message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) sends: Vec<usize>,
    pub(crate) acks: Vec<Place>,
    pub(crate) nacks: Vec<usize>,
    /// By the source that rules, see [`Stored::ruling`].
    pub(crate) places: Vec<Place>,
}

impl Message {
    fn lines(&self) -> impl Iterator<Item = usize> + '_ {
        let acks = self.acks.iter().map(|ack| ack.line);
        let nacks = self.nacks.iter().copied();
        self.sends.iter().copied().chain(acks).chain(nacks)
    }
}

/// Everything that was said, and where it is.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) messages: HashMap<(RoomId, Mark), Message>,
    /// What stands at each place of each room.
    pub(crate) logs: BTreeMap<RoomId, BTreeMap<u64, (Mark, usize)>>,
}

impl Stored {
    pub(crate) fn tail(&self, room: RoomId) -> u64 {
        let log = self.logs.get(&room);
        log.and_then(|log| log.keys().next_back())
            .map_or(0, |seq| *seq)
    }

    pub(crate) fn at(&self, room: RoomId, seq: u64) -> Option<(Mark, usize)> {
        self.logs.get(&room)?.get(&seq).copied()
    }

    /// Where the message is, when it is in exactly one place.
    pub(crate) fn place(&self, room: RoomId, mark: Mark) -> Option<u64> {
        let places = &self.messages.get(&(room, mark))?.places;
        match places.as_slice() {
            [one] => Some(one.seq),
            _ => None,
        }
    }
}

/// Reads what was sent and what is stored, and checks one against the other.
pub(crate) fn check(history: &[Line], breaches: &mut Breaches) -> Stored {
    let mut stored = Stored::default();
    let mut epochs: HashMap<&str, usize> = HashMap::new();
    for (line, entry) in history.iter().enumerate() {
        match &entry.did {
            Did::Send { room, mark, .. } => {
                stored
                    .messages
                    .entry((*room, *mark))
                    .or_default()
                    .sends
                    .push(line);
            }
            Did::Ack {
                room, mark, seq, ..
            } => {
                let message = stored.messages.entry((*room, *mark)).or_default();
                message.acks.push(Place { seq: *seq, line });
            }
            Did::Nack { room, mark, .. } => {
                stored
                    .messages
                    .entry((*room, *mark))
                    .or_default()
                    .nacks
                    .push(line);
            }
            Did::Stray { what } if entry.client.is_none() => {
                breaches.add(Law::I6, what.to_string(), [line]);
            }
            Did::Joined { epoch, .. } => {
                epochs.entry(epoch).or_insert(line);
            }
            _ => {}
        }
    }
    if epochs.len() > 1 {
        let what = format!(
            "{} epochs in one row: the log was not the same",
            epochs.len()
        );
        breaches.add(Law::I2, what, epochs.into_values());
    }
    read_places(history, &mut stored, breaches);
    for ((room, mark), message) in &stored.messages {
        check_message(*room, *mark, message, breaches);
    }
    stored
}

/// Fills in where everything is, from each source; the last one read rules, and all must say the same.
fn read_places(history: &[Line], stored: &mut Stored, breaches: &mut Breaches) {
    let mut sources: BTreeMap<Source, Places> = BTreeMap::new();
    for (line, entry) in history.iter().enumerate() {
        let Did::Stored {
            source,
            room,
            seq,
            mark,
        } = &entry.did
        else {
            continue;
        };
        let log = sources.entry(*source).or_default();
        if let Some((_, earlier)) = log.insert((*room, *seq), (*mark, line)) {
            let what = format!("room {room} has seq {seq} twice ({source:?})");
            breaches.add(Law::I2, what, [earlier, line]);
        }
    }
    check_sources_agree(&sources, breaches);
    let Some(ruling) = sources.into_values().next_back() else {
        return;
    };
    for ((room, seq), (mark, line)) in ruling {
        stored
            .logs
            .entry(room)
            .or_default()
            .insert(seq, (mark, line));
        let message = stored.messages.entry((room, mark)).or_default();
        message.places.push(Place { seq, line });
    }
    for (room, log) in &stored.logs {
        let mut wanted = 1;
        for (seq, (_, line)) in log {
            if *seq != wanted {
                let what = format!(
                    "room {room} has a hole: seq {wanted} to {} are missing",
                    seq - 1
                );
                let before = wanted.checked_sub(1).and_then(|seq| log.get(&seq));
                breaches.add(
                    Law::I2,
                    what,
                    before.map(|(_, line)| *line).into_iter().chain([*line]),
                );
            }
            wanted = seq + 1;
        }
    }
}

fn check_sources_agree(sources: &BTreeMap<Source, Places>, breaches: &mut Breaches) {
    let mut all = sources.values();
    let (Some(one), Some(other)) = (all.next(), all.next()) else {
        return;
    };
    for (these, those) in [(one, other), (other, one)] {
        for (place @ (room, seq), (mark, line)) in these {
            let there = those.get(place);
            if there.is_none_or(|(other, _)| other != mark) {
                let what = format!("REST and database differ at room {room} seq {seq}");
                let lines = there.map(|(_, line)| *line).into_iter().chain([*line]);
                breaches.add(Law::I1, what, lines);
            }
        }
    }
}

fn check_message(room: RoomId, mark: Mark, message: &Message, breaches: &mut Breaches) {
    let places = || message.places.iter().map(|place| place.line);
    let name = format!("message {}.{} of room {room}", mark.client, mark.number);
    if message.places.len() > 1 {
        let law = if message.acks.is_empty() {
            Law::I6
        } else {
            Law::I1
        };
        let what = format!("{name} is stored {} times", message.places.len());
        breaches.add(law, what, message.lines().chain(places()));
    }
    if message.sends.is_empty() && mark.client != SERVER {
        breaches.add(
            Law::I6,
            format!("{name} was never sent"),
            message.lines().chain(places()),
        );
    }
    let Some(first) = message.acks.first() else {
        return;
    };
    if let Some(other) = message.acks.iter().find(|ack| ack.seq != first.seq) {
        let what = format!("{name} was acked as seq {} and as {}", first.seq, other.seq);
        breaches.add(Law::I1, what, message.lines());
    }
    match message.places.as_slice() {
        [] => breaches.add(
            Law::I1,
            format!(
                "{name} was acked as seq {} and is not in the store",
                first.seq
            ),
            message.lines(),
        ),
        [place] if place.seq != first.seq => breaches.add(
            Law::I1,
            format!(
                "{name} was acked as seq {} and is stored as {}",
                first.seq, place.seq
            ),
            message.lines().chain(places()),
        ),
        _ => {}
    }
}
