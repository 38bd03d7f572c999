//! What a running proxy says about itself: the JSON of `GET /status` on its admin listener, and the table of `status`.
//!
//! The JSON is a promise to scripts: fields are added, never renamed, taken away or given another meaning. Times are
//! whole seconds. Does not find anything out (`admin`) and asks nobody (`probe`).

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// One proxy at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    /// `running`, `draining` or `closing`.
    pub phase: String,
    pub config: Config,
    /// Open client connections, WebSockets included.
    pub connections: u64,
    pub upstreams: Vec<Upstream>,
}

/// The settings that it runs by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// When they were read, as Unix time.
    pub loaded_at: u64,
    /// `false`: a newer file was refused.
    pub last_reload_successful: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    pub name: String,
    pub balance: String,
    /// `sid`, `cookie`.
    pub sticky: Vec<String>,
    /// Open ones.
    pub websockets: u64,
    /// The last request found no server that may serve, and the least bad one was asked all the same.
    pub failing_open: bool,
    /// `None`: handshakes are not limited.
    pub handshakes: Option<Handshakes>,
    pub servers: Vec<Server>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handshakes {
    /// Some were refused within the last seconds.
    pub limiting: bool,
    /// Since the start of the proxy.
    pub limited_total: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    pub name: String,
    /// `up`, `probe`, `out`, `unwell`, `checking` or `down`.
    pub state: String,
    /// Until an `out` server is tried again.
    pub out_for: Option<u64>,
    pub backup: bool,
    pub weight: u32,
    /// Percent of its weight that `slow_start` gives it by now; `None`: all of it.
    pub slow_start: Option<u32>,
    /// Requests and WebSockets that it has now.
    pub connections: u32,
    /// 0: any number.
    pub max_conns: u32,
    /// Failures that count.
    pub fails: u32,
    /// 0: any number.
    pub max_fails: u32,
    /// How often it had no token for a handshake, since the start of the proxy.
    pub handshakes_limited_total: u64,
    /// `None`: it is not checked, or was not yet.
    pub check: Option<Check>,
}

/// The last active check of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// `passed`, `failed` or `local` (this machine could not ask).
    pub result: String,
    /// Why it did not pass.
    pub why: Option<String>,
    /// How long ago it ended.
    pub seconds_ago: u64,
}

const COLUMNS: usize = 7;
const HEADINGS: [&str; COLUMNS] = [
    "SERVER",
    "STATE",
    "WEIGHT",
    "CONNECTIONS",
    "FAILS",
    "LIMITED",
    "LAST CHECK",
];

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loaded = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.config.loaded_at));
        let loaded = loaded.map(httpdate::fmt_http_date).unwrap_or_default();
        writeln!(
            out,
            "berth-proxy {} {}, {} connections, configuration read {loaded}",
            self.version, self.phase, self.connections
        )?;
        if !self.config.last_reload_successful {
            writeln!(out, "The last reload was refused: see the log.")?;
        }
        for upstream in &self.upstreams {
            write!(out, "\n{upstream}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.name, self.balance)?;
        if !self.sticky.is_empty() {
            write!(out, ", sticky by {}", self.sticky.join(" and "))?;
        }
        write!(out, ", {} WebSockets", self.websockets)?;
        if let Some(handshakes) = &self.handshakes {
            let now = if handshakes.limiting { " (now)" } else { "" };
            write!(
                out,
                ", {} handshakes limited{now}",
                handshakes.limited_total
            )?;
        }
        writeln!(out)?;
        if self.failing_open {
            writeln!(out, "  No server may serve: the least bad one is asked.")?;
        }
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        rows.extend(self.servers.iter().map(Server::row));
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(&format!("  {cell:width$}"));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl Server {
    fn row(&self) -> [String; COLUMNS] {
        let mut state = self.state.clone();
        if let Some(seconds) = self.out_for {
            state.push_str(&format!(" for {seconds} s"));
        }
        if self.backup {
            state.push_str(", backup");
        }
        let of = |count: u32, most: u32| match most {
            0 => count.to_string(),
            _ => format!("{count}/{most}"),
        };
        let slow_start = self.slow_start.map(|percent| format!(" ({percent} %)"));
        [
            self.name.clone(),
            state,
            format!("{}{}", self.weight, slow_start.unwrap_or_default()),
            of(self.connections, self.max_conns),
            of(self.fails, self.max_fails),
            self.handshakes_limited_total.to_string(),
            self.check.as_ref().map_or("-".to_owned(), Check::to_string),
        ]
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} s ago", self.result, self.seconds_ago)?;
        match &self.why {
            Some(why) => write!(out, ": {why}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
