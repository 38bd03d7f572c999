//! `[search]`: how often somebody may look for messages.

use std::fmt;

use serde::Deserialize;

use super::file::Key;
use super::judge::Judge;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Of one user, over all connections to this server.
    pub user_searches_per_minute_max: u32,
    /// From one address.
    pub client_searches_per_minute_max: u32,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            user_searches_per_minute_max: 60,
            client_searches_per_minute_max: 300,
        }
    }
}

/// The section as the file has it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    user_searches_per_minute_max: Key<u32>,
    client_searches_per_minute_max: Key<u32>,
}

impl Judge<'_> {
    pub(super) fn search(&mut self, file: File) -> Search {
        let default = Search::default();
        Search {
            user_searches_per_minute_max: self.count32(
                "search.user_searches_per_minute_max",
                file.user_searches_per_minute_max,
                default.user_searches_per_minute_max,
            ),
            client_searches_per_minute_max: self.count32(
                "search.client_searches_per_minute_max",
                file.client_searches_per_minute_max,
                default.client_searches_per_minute_max,
            ),
        }
    }
}

impl Search {
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, client) = (
            self.user_searches_per_minute_max,
            self.client_searches_per_minute_max,
        );
        writeln!(f, "\n[search]")?;
        writeln!(f, "user_searches_per_minute_max = {user}")?;
        writeln!(f, "client_searches_per_minute_max = {client}")
    }
}
