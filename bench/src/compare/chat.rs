//! berth-backend beside a Node server that does the same: the same clients, the same events, in interleaved rounds.

mod cases;
mod measure;
mod peers;
mod rows;

use std::path::PathBuf;

use super::judge::{BERTH, Field, Row};
use super::profile::Profiles;
use super::results::Results;
use super::table::FLOOR;
use super::{Samples, machine};
use cases::Scenario;
use measure::Bench;
use peers::Peer;
use rows::ROWS;

/// What is measured, and with which programs.
pub struct ChatWish {
    /// Short runs and fewer of them: it shows that everything works and roughly where things are.
    pub is_quick: bool,
    pub rounds: Option<usize>,
    /// Names of rows or of groups of rows; empty: all.
    pub only: Vec<String>,
    /// The program berth-backend.
    pub backend: PathBuf,
    /// The program berth-bench-floor.
    pub floor: PathBuf,
    /// The folder of the Node server, with what it needs installed.
    pub node: PathBuf,
    /// The script that starts Redis and MongoDB.
    pub services: PathBuf,
    /// A MongoDB to use instead. What is measured stays in it.
    pub mongo_uri: Option<String>,
    /// How this was called, for whoever wants to do it again.
    pub command: String,
}

/// Measures everything that is wished for, and says on stderr what it is at.
///
/// # Errors
/// When berth-backend cannot be run.
pub fn chat(wish: &ChatWish) -> anyhow::Result<Results> {
    let rows = wanted(&wish.only)?;
    let mut bench = Bench::start(wish)?;
    let versions = bench.peers.iter();
    let machine = machine::facts(versions.map(|peer| (peer.name(), peer.version(wish))))?;
    if let Some(note) = machine.is_busy() {
        bench.note(note);
    }
    let mut samples = Samples::new();
    for scenario in Scenario::ALL {
        if !rows.iter().any(|row| row.group == scenario.name()) {
            continue;
        }
        if let Err(reason) = bench.run(scenario, &mut samples) {
            bench.note(format!("{}: skipped: {reason:#}", scenario.name()));
        }
    }
    let columns: Vec<&str> = bench.peers.iter().map(|peer| peer.name()).collect();
    let others = [Peer::Node.name()];
    let field = Field {
        columns: &columns,
        others: &others,
    };
    let rows = rows.into_iter().map(|row| row.judge(&field, &samples));
    Ok(Results {
        rows: rows.collect(),
        others: others.into(),
        columns,
        machine,
        command: wish.command.clone(),
        is_quick: wish.is_quick,
        notes: bench.notes,
    })
}

/// Looks where the CPU of a delivery goes, in the scenarios that are named, or on one server without a store.
///
/// # Errors
/// When berth-backend cannot be run, or perf is not there.
pub fn profile_chat(wish: &ChatWish) -> anyhow::Result<Profiles> {
    let rows = wanted(&wish.only)?;
    let mut bench = Bench::start(wish)?;
    let mut seen = Vec::new();
    for scenario in Scenario::ALL {
        let is_wanted = if wish.only.is_empty() {
            scenario == Scenario::One
        } else {
            rows.iter().any(|row| row.group == scenario.name())
        };
        if is_wanted {
            seen.extend(bench.profile(scenario)?);
        }
    }
    Ok(Profiles {
        command: wish.command.clone(),
        notes: bench.notes,
        seen,
    })
}

/// The names that `only` takes.
#[must_use]
pub fn chat_names() -> String {
    super::names_of(&Scenario::ALL.map(Scenario::name), &ROWS)
}

fn wanted(only: &[String]) -> anyhow::Result<Vec<&'static Row>> {
    super::wanted(only, &ROWS, &chat_names())
}

impl Peer {
    const ALL: [Self; 3] = [Self::Berth, Self::Node, Self::Floor];

    fn name(self) -> &'static str {
        match self {
            Self::Berth => BERTH,
            Self::Node => "node",
            Self::Floor => FLOOR,
        }
    }
}
