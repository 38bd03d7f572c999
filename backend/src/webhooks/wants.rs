//! What a webhook wants to be told of: which kinds of entries, in which rooms. Pure.

use crate::chat::message::Entry;
use crate::chat::room::RoomId;

/// The kinds of entries, by their words on the wire.
pub const KINDS: [&str; 5] = ["message", "edit", "delete", "reaction", "system"];

/// Patterns that one webhook may have.
const ROOMS_MAX: usize = 1_000;

/// Empty lists mean everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    kinds: Vec<&'static str>,
    rooms: Vec<RoomPattern>,
}

/// A room, or all whose ids begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RoomPattern {
    One(RoomId),
    Beginning(String),
}

impl Wants {
    /// Kinds by their words; rooms by their ids, or by how these begin, with a `*` behind.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(kinds: &[impl AsRef<str>], rooms: &[impl AsRef<str>]) -> Result<Self, String> {
        if rooms.len() > ROOMS_MAX {
            return Err(format!(
                "names more than {ROOMS_MAX} rooms; use \"begins-so*\""
            ));
        }
        Ok(Self {
            kinds: kinds
                .iter()
                .map(|kind| parse_kind(kind.as_ref()))
                .collect::<Result<_, _>>()?,
            rooms: rooms
                .iter()
                .map(|room| parse_room(room.as_ref()))
                .collect::<Result<_, _>>()?,
        })
    }

    #[must_use]
    pub fn room(&self, room: &RoomId) -> bool {
        let is_it = |pattern: &RoomPattern| match pattern {
            RoomPattern::One(one) => one == room,
            RoomPattern::Beginning(start) => room.as_str().starts_with(start),
        };
        self.rooms.is_empty() || self.rooms.iter().any(is_it)
    }

    #[must_use]
    pub fn entry(&self, entry: &Entry) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&entry.kind())
    }

    /// As they were written.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        self.kinds.iter().map(|&kind| kind.to_owned()).collect()
    }

    /// As they were written.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        let written = |pattern: &RoomPattern| match pattern {
            RoomPattern::One(room) => room.as_str().to_owned(),
            RoomPattern::Beginning(start) => format!("{start}*"),
        };
        self.rooms.iter().map(written).collect()
    }
}

fn parse_kind(text: &str) -> Result<&'static str, String> {
    let known = KINDS.into_iter().find(|kind| *kind == text);
    known.ok_or_else(|| {
        format!("\"{text}\" is no kind of entry; use \"message\", \"edit\", \"delete\", \"reaction\" and \"system\"")
    })
}

fn parse_room(text: &str) -> Result<RoomPattern, String> {
    if let Some(start) = text.strip_suffix('*') {
        return Ok(RoomPattern::Beginning(start.to_owned()));
    }
    match RoomId::parse(text) {
        Ok(room) => Ok(RoomPattern::One(room)),
        Err(why) => Err(format!("\"{text}\" is no room: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(kinds: &[&str], rooms: &[&str]) -> Wants {
        Wants::parse(kinds, rooms).unwrap()
    }

    fn room(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    #[test]
    fn nothing_named_means_everything() {
        let all = wants(&[], &[]);
        assert!(all.room(&room("lobby")) && all.entry(&Entry::Delete { ref_seq: 1 }));
    }

    #[test]
    fn rooms_are_named_whole_or_by_their_beginning() {
        let some = wants(&[], &["lobby", "dm:*"]);
        for (name, is_wanted) in [
            ("lobby", true),
            ("lobby2", false),
            ("dm:1", true),
            ("adm:1", false),
        ] {
            assert_eq!(some.room(&room(name)), is_wanted, "{name}");
        }
        assert_eq!(some.rooms(), ["lobby", "dm:*"]);
        assert!(wants(&[], &["*"]).room(&room("any")));
    }

    #[test]
    fn kinds_are_those_of_the_log() {
        let some = wants(&["message", "delete"], &[]);
        assert!(some.entry(&Entry::Delete { ref_seq: 1 }));
        let edit = Entry::Edit {
            ref_seq: 1,
            content: String::new(),
        };
        assert!(!some.entry(&edit));
        assert_eq!(edit.kind(), KINDS[1]);
        assert!(Wants::parse(&["whisper"], &[] as &[&str]).is_err());
        assert!(Wants::parse(&[] as &[&str], &["user:7"]).is_err());
    }
}
