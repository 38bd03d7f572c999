//! Whether each sender's messages keep the order in which it sent them: I5.

use std::collections::{HashMap, HashSet};

use super::stored::Stored;
use super::{Breaches, Law};
use crate::record::{ClientId, Did, Line, Mark, RoomId};

/// The newest message of a sender in a room for which the order is fixed.
#[derive(Clone, Copy)]
struct Newest {
    seq: u64,
    line: usize,
}

/// Two rules. A message that nobody had sent when another was acked comes behind it. And of two that were sent behind each other on
/// one connection the later comes behind the earlier, if both were sent only once: copies may take another way and overtake.
///
/// Answers how many messages are out of order.
pub(crate) fn check(history: &[Line], stored: &Stored, breaches: &mut Breaches) -> u64 {
    let mut count = 0;
    let mut acked: HashMap<(ClientId, RoomId), Newest> = HashMap::new();
    let mut piped: HashMap<(ClientId, RoomId), Newest> = HashMap::new();
    let mut rooms_of: HashMap<ClientId, HashSet<RoomId>> = HashMap::new();
    for (line, entry) in history.iter().enumerate() {
        match (&entry.did, entry.client) {
            (Did::Up { .. }, Some(client)) => {
                for room in rooms_of.remove(&client).unwrap_or_default() {
                    piped.remove(&(client, room));
                }
            }
            (Did::Ack { room, mark, .. }, _) => {
                let place = stored.place(*room, *mark);
                advance(&mut acked, (mark.client, *room), place, line);
            }
            (
                Did::Send {
                    room,
                    mark,
                    attempt: 1,
                },
                Some(client),
            ) => {
                // From here on it is said, whichever connection of its sender says it first.
                if !is_first_send(*room, *mark, line, stored) {
                    continue;
                }
                let Some(seq) = stored.place(*room, *mark) else {
                    continue;
                };
                let key = (mark.client, *room);
                let is_single = client == mark.client && is_sent_once(*room, *mark, stored);
                let piped_before = piped.get(&key).filter(|_| is_single);
                let earlier = [acked.get(&key), piped_before];
                let newest = earlier
                    .into_iter()
                    .flatten()
                    .max_by_key(|newest| newest.seq);
                if let Some(newest) = newest.filter(|newest| newest.seq > seq) {
                    count += 1;
                    let what = format!(
                        "client {client} sent {}.{} later, and it came to stand before, at seq {seq} instead of after {} in room {room}",
                        mark.client, mark.number, newest.seq
                    );
                    let place = stored.at(*room, seq).map(|(_, line)| line);
                    breaches.add(Law::I5, what, [newest.line, line].into_iter().chain(place));
                }
                if is_single {
                    advance(&mut piped, key, Some(seq), line);
                    rooms_of.entry(client).or_default().insert(*room);
                }
            }
            _ => {}
        }
    }
    count
}

fn is_first_send(room: RoomId, mark: Mark, line: usize, stored: &Stored) -> bool {
    let message = stored.messages.get(&(room, mark));
    message.is_some_and(|message| message.sends.first() == Some(&line))
}

fn is_sent_once(room: RoomId, mark: Mark, stored: &Stored) -> bool {
    let message = stored.messages.get(&(room, mark));
    message.is_some_and(|message| message.sends.len() == 1)
}

fn advance(
    newest: &mut HashMap<(ClientId, RoomId), Newest>,
    key: (ClientId, RoomId),
    seq: Option<u64>,
    line: usize,
) {
    let Some(seq) = seq else {
        return;
    };
    let entry = newest.entry(key).or_insert(Newest { seq, line });
    if seq > entry.seq {
        *entry = Newest { seq, line };
    }
}
