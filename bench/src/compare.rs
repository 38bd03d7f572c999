//! Berth beside nginx, HAProxy and Envoy: the same backend, the same clients, equal settings, in interleaved rounds. `chat` does the same for chat servers.

mod call;
mod chart;
mod chat;
mod judge;
mod machine;
mod measure;
mod median;
mod profile;
mod program;
mod proxies;
mod results;
mod rows;
mod table;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub use call::{Call, beside, command};
pub use chat::{ChatWish, chat, chat_names, profile_chat};
use judge::{Field, Row};
use measure::Bench;
use profile::Profiles;
use proxies::Contender;
use results::Results;
use rows::{ROWS, Scenario};

pub struct Wish {
    /// Short runs and fewer of them: it shows that everything works and roughly where things are.
    pub is_quick: bool,
    pub rounds: Option<usize>,
    /// Names of rows or of groups of rows; empty: all.
    pub only: Vec<String>,
    pub berth: PathBuf,
    pub backend: PathBuf,
    pub floor: PathBuf,
    /// Where Envoy is, if it is not on the `PATH`.
    pub envoy: Option<PathBuf>,
    /// How this was called, for whoever wants to do it again.
    pub command: String,
}

/// What each of those who are compared gave in every round, by row.
type Samples = BTreeMap<(&'static str, &'static str), Vec<f64>>;

/// Measures everything that is wished for, and says on stderr what it is at.
///
/// # Errors
/// When the backend or a proxy cannot be run.
pub fn compare(wish: &Wish) -> anyhow::Result<Results> {
    let rows = wanted(&wish.only, &ROWS, &names())?;
    let mut bench = Bench::start(wish)?;
    let versions = bench.contenders.iter();
    let machine = machine::facts(versions.map(|one| (one.name(), one.asked_for_version(wish))))?;
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
    let columns: Vec<&str> = bench.contenders.iter().map(|one| one.name()).collect();
    let others = [Contender::Nginx, Contender::Haproxy].map(Contender::name);
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

/// Looks where the CPU of an exchange goes, for each proxy and for the floor.
///
/// # Errors
/// When the backend or a proxy cannot be run.
pub fn profile(wish: &Wish) -> anyhow::Result<Profiles> {
    let rows = wanted(&wish.only, &ROWS, &names())?;
    let mut bench = Bench::start(wish)?;
    let mut seen = Vec::new();
    for scenario in Scenario::ALL {
        let is_wanted = if wish.only.is_empty() {
            profile::UNASKED.contains(&scenario)
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
pub fn names() -> String {
    names_of(&Scenario::ALL.map(Scenario::name), &ROWS)
}

fn names_of(groups: &[&str], rows: &[Row]) -> String {
    let rows: Vec<&str> = rows.iter().map(|row| row.id).collect();
    format!("{}; rows: {}", groups.join(", "), rows.join(", "))
}

fn wanted(only: &[String], rows: &'static [Row], names: &str) -> anyhow::Result<Vec<&'static Row>> {
    for name in only {
        let is_known = rows.iter().any(|row| row.answers_to(name));
        anyhow::ensure!(is_known, "nothing is called {name}; there are {names}");
    }
    let is_wanted = |row: &&Row| only.is_empty() || only.iter().any(|name| row.answers_to(name));
    Ok(rows.iter().filter(is_wanted).collect())
}

/// Progress of the whole. A terminal that is gone needs none.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap_or_default();
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
