//! `[presence]`: who is shown to be there, and to type.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::Settings;
use super::file::Key;
use super::judge::Judge;
use super::units::show_duration;

/// `[presence]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// How long a server that says nothing counts as alive.
    pub lease: Duration,
    /// How long somebody who is gone is shown.
    pub grace: Duration,
    /// Names of people in one answer.
    pub names_max: usize,
    /// In larger rooms nobody is shown to type.
    pub typing_members_max: usize,
}

impl Default for Presence {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(9),
            grace: Duration::from_secs(8),
            names_max: 200,
            typing_members_max: 100,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PresenceFile {
    lease: Key<String>,
    grace: Key<String>,
    names_max: Key<u32>,
    typing_members_max: Key<u32>,
}

impl Judge<'_> {
    pub(super) fn presence(&mut self, file: PresenceFile) -> Presence {
        let default = Presence::default();
        Presence {
            lease: self.time("presence.lease", file.lease, default.lease),
            grace: self.time("presence.grace", file.grace, default.grace),
            names_max: self.count("presence.names_max", file.names_max, default.names_max),
            typing_members_max: self.count(
                "presence.typing_members_max",
                file.typing_members_max,
                default.typing_members_max,
            ),
        }
    }
}

impl Settings {
    pub(super) fn print_presence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let presence = &self.presence;
        writeln!(f, "\n[presence]")?;
        writeln!(f, "lease = \"{}\"", show_duration(presence.lease))?;
        writeln!(f, "grace = \"{}\"", show_duration(presence.grace))?;
        writeln!(f, "names_max = {}", presence.names_max)?;
        writeln!(f, "typing_members_max = {}", presence.typing_members_max)
    }
}
