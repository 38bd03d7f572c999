//! `[rooms]`: how rooms come into being, and what is told in them.

use std::fmt;

use serde::Deserialize;

use super::file::Key;
use super::judge::Judge;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rooms {
    /// Whether joining a room that is not there makes it, public and nobody's.
    pub made_by_joining: bool,
    /// Members on record up to which a room is told who comes and goes.
    pub announced_members_max: u32,
    /// Members on record up to which a room is told who has read what.
    pub receipts_members_max: u32,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            made_by_joining: true,
            announced_members_max: 50,
            receipts_members_max: 50,
        }
    }
}

/// The section as the file has it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    made_by_joining: Key<bool>,
    announced_members_max: Key<u32>,
    receipts_members_max: Key<u32>,
}

impl Judge<'_> {
    pub(super) fn rooms(&mut self, file: File) -> Rooms {
        let default = Rooms::default();
        Rooms {
            made_by_joining: self
                .file("rooms.made_by_joining", file.made_by_joining, Ok)
                .unwrap_or(default.made_by_joining),
            announced_members_max: self
                .file(
                    "rooms.announced_members_max",
                    file.announced_members_max,
                    Ok,
                )
                .unwrap_or(default.announced_members_max),
            receipts_members_max: self
                .file("rooms.receipts_members_max", file.receipts_members_max, Ok)
                .unwrap_or(default.receipts_members_max),
        }
    }
}

impl Rooms {
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[rooms]")?;
        writeln!(f, "made_by_joining = {}", self.made_by_joining)?;
        writeln!(f, "announced_members_max = {}", self.announced_members_max)?;
        writeln!(f, "receipts_members_max = {}", self.receipts_members_max)
    }
}
