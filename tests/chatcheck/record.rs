//! One line of a history: what one client did or heard, or what the scenario did, and when.

use serde::{Deserialize, Serialize};

/// A client's number in a row.
pub(crate) type ClientId = u32;
/// A room's number in a row.
pub(crate) type RoomId = u32;

/// A user as the backends name them, made short: a hash of the id. Several clients may be one person.
pub(crate) type Person = u64;

/// The person with this user id.
pub(crate) fn person(user_id: &str) -> Person {
    // FNV-1a; what the wire says is the same in every run of the judge.
    user_id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Who says what the backends themselves add to a log.
pub(crate) const SERVER: ClientId = ClientId::MAX;

/// Names a message over all copies of it: who said it, and its how-many-eth.
///
/// It is the beginning of the content, so that a message is recognised wherever it turns up, with and without a `clientMsgId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u32, u32)", into = "(u32, u32)")]
pub(crate) struct Mark {
    pub(crate) client: ClientId,
    pub(crate) number: u32,
}

impl From<(u32, u32)> for Mark {
    fn from((client, number): (u32, u32)) -> Self {
        Self { client, number }
    }
}

impl From<Mark> for (u32, u32) {
    fn from(mark: Mark) -> Self {
        (mark.client, mark.number)
    }
}

impl Mark {
    /// The content of the message with this mark, of at least this length.
    pub(crate) fn content(self, bytes: usize) -> String {
        let mut content = format!("{}.{} ", self.client, self.number);
        while content.len() < bytes {
            content.push('x');
        }
        content
    }

    /// The mark that a content begins with.
    pub(crate) fn of(content: &str) -> Option<Self> {
        let (mark, _padding) = content.split_once(' ')?;
        let (client, number) = mark.split_once('.')?;
        Some(Self {
            client: client.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

/// How a client behaves, and so what it is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// Comes back with its cursor, drops repeats by seq, sends again with the same id: it is owed everything.
    Good,
    /// Only `joinRoom`, `sendMessage` and `message`: it is owed everything while it is connected.
    Vanilla,
}

/// The way a message came to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Way {
    /// A `message` event.
    Live,
    /// A page of history: an answer to `joinRoom`, `sync` or `getHistory`.
    Page,
}

/// Where a stored message was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Source {
    /// The backends' own REST history, as a fresh client sees it.
    Rest,
    /// The database itself.
    Database,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Did {
    /// The scenario did something to the system.
    Fault { what: Box<str> },
    /// Nobody says anything new or leaves by choice from here on.
    Silence,
    /// Connected, by this instance, as this person.
    Up {
        kind: Kind,
        instance: Box<str>,
        #[serde(default)]
        person: Person,
        /// By long polling: that such a client is gone only its silence tells.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        polls: bool,
    },
    /// The connection is gone; `chosen` when the client itself cut it.
    Down { why: Box<str>, chosen: bool },
    /// A client that had cut its connection wants to be back.
    Back,
    /// Asked to be in a room, with its cursor if it has one.
    Join { room: RoomId, after: Option<u64> },
    /// Is in: owed everything after `from`; `last` is the room's newest seq.
    Joined {
        room: RoomId,
        from: u64,
        last: u64,
        epoch: Box<str>,
    },
    /// Was told that it has left a room.
    Left { room: RoomId },
    /// Has caught up in all its rooms after it connected.
    CaughtUp,
    /// Sends; the first try is 1.
    Send {
        room: RoomId,
        mark: Mark,
        attempt: u32,
    },
    /// Was told that a message is stored.
    Ack {
        room: RoomId,
        mark: Mark,
        seq: u64,
        duplicate: bool,
    },
    /// Was told no.
    Nack {
        room: RoomId,
        mark: Mark,
        code: Box<str>,
    },
    /// Was told no without being told about what, as clients without acks are.
    Refused { code: Box<str> },
    /// A message arrived.
    Recv {
        room: RoomId,
        seq: u64,
        mark: Mark,
        way: Way,
    },
    /// Asked for what is missing after this seq.
    Sync { room: RoomId, after: u64 },
    /// Asked who is in a room.
    Looks { room: RoomId },
    /// The answer, also to a join: how many are there, and who, unless it was only some of them.
    Present {
        room: RoomId,
        count: u64,
        people: Option<Vec<Person>>,
        approximate: bool,
    },
    /// Was told who came and who went.
    Presence {
        room: RoomId,
        count: u64,
        joined: Vec<Person>,
        left: Vec<Person>,
        approximate: bool,
    },
    /// Something arrived that nobody in this row can have said.
    Stray { what: Box<str> },
    /// The row is over; whether the client was connected then.
    End { is_up: bool },
    /// After the row: the message at this place of the log.
    Stored {
        source: Source,
        room: RoomId,
        seq: u64,
        mark: Mark,
    },
}

/// A line: microseconds since the row began, who, what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    #[serde(rename = "t")]
    pub(crate) micros: u64,
    /// Nobody for what the scenario itself did.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<ClientId>,
    pub(crate) did: Did,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let line = Line {
            micros: 7,
            client: Some(3),
            did: Did::Recv {
                room: 1,
                seq: 4,
                mark: Mark {
                    client: 3,
                    number: 9,
                },
                way: Way::Live,
            },
        };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(
            text,
            r#"{"t":7,"c":3,"did":{"recv":{"room":1,"seq":4,"mark":[3,9],"way":"live"}}}"#
        );
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }

    #[test]
    fn a_mark_is_found_in_its_content_and_nowhere_else() {
        let mark = Mark {
            client: 12,
            number: 345,
        };
        assert_eq!(Mark::of(&mark.content(100)), Some(mark));
        assert_eq!(mark.content(100).len(), 100);
        assert_eq!(Mark::of("hello there"), None);
        assert_eq!(Mark::of("12.345"), None);
    }
}
