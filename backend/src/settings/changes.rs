//! `[changes]`: what may be done to a message after it was sent.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::file::Key;
use super::judge::Judge;
use super::units::show_duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// How long after it was sent a message may be edited.
    pub edit_window: Duration,
    pub reactions_per_message_max: usize,
    pub emojis_per_message_max: usize,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            edit_window: Duration::from_secs(24 * 60 * 60),
            reactions_per_message_max: 1_000,
            emojis_per_message_max: 20,
        }
    }
}

/// The section as the file has it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    edit_window: Key<String>,
    reactions_per_message_max: Key<u32>,
    emojis_per_message_max: Key<u32>,
}

impl Judge<'_> {
    pub(super) fn changes(&mut self, file: File) -> Changes {
        let default = Changes::default();
        Changes {
            edit_window: self.time("changes.edit_window", file.edit_window, default.edit_window),
            reactions_per_message_max: self.count(
                "changes.reactions_per_message_max",
                file.reactions_per_message_max,
                default.reactions_per_message_max,
            ),
            emojis_per_message_max: self.count(
                "changes.emojis_per_message_max",
                file.emojis_per_message_max,
                default.emojis_per_message_max,
            ),
        }
    }
}

impl Changes {
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reactions = self.reactions_per_message_max;
        let emojis = self.emojis_per_message_max;
        writeln!(f, "\n[changes]")?;
        writeln!(f, "edit_window = \"{}\"", show_duration(self.edit_window))?;
        writeln!(f, "reactions_per_message_max = {reactions}")?;
        writeln!(f, "emojis_per_message_max = {emojis}")
    }
}
