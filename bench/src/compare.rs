//! Berth beside nginx, HAProxy and Envoy: the same backend, the same clients, equal settings, in interleaved rounds.

mod chart;
mod machine;
mod measure;
mod median;
mod program;
mod proxies;
mod results;
mod rows;
mod table;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use measure::Bench;
use proxies::Contender;
use results::Results;
use rows::{ROWS, Row, Scenario};

pub struct Wish {
    /// Short runs and fewer of them: it shows that everything works and roughly where things are.
    pub is_quick: bool,
    pub rounds: Option<usize>,
    /// Names of rows or of groups of rows; empty: all.
    pub only: Vec<String>,
    pub berth: PathBuf,
    pub backend: PathBuf,
    /// How this was called, for whoever wants to do it again.
    pub command: String,
}

/// Runnable tasks before the start above which somebody else was at work.
const LOAD_MAX: f64 = 0.7;

/// What every contender gave in every round, by metric.
type Samples = BTreeMap<(Contender, &'static str), Vec<f64>>;

/// Measures everything that is wished for, and says on stderr what it is at.
///
/// # Errors
/// When the backend or a proxy cannot be run.
pub fn compare(wish: &Wish) -> anyhow::Result<Results> {
    let rows = wanted(&wish.only)?;
    let mut bench = Bench::start(wish)?;
    let machine = machine::facts(&bench.contenders, wish)?;
    if machine.load_before > LOAD_MAX {
        bench.note("the machine was busy: these numbers are not to be quoted".to_owned());
    }
    let mut samples = Samples::new();
    for scenario in Scenario::ALL {
        if !rows.iter().any(|row| row.scenario == scenario) {
            continue;
        }
        if let Err(reason) = bench.run(scenario, &mut samples) {
            bench.note(format!("{}: skipped: {reason:#}", scenario.name()));
        }
    }
    let rows = rows
        .into_iter()
        .map(|row| row.judge(&bench.contenders, &samples))
        .collect();
    Ok(Results {
        machine,
        command: wish.command.clone(),
        is_quick: wish.is_quick,
        notes: bench.notes,
        rows,
    })
}

/// The table, for people.
#[must_use]
pub fn table(results: &Results) -> String {
    table::table(results)
}

/// The chart, for the README.
#[must_use]
pub fn chart(results: &Results) -> String {
    chart::chart(results)
}

/// The names that `only` takes.
#[must_use]
pub fn names() -> String {
    let scenarios = Scenario::ALL.map(Scenario::name);
    format!(
        "{}; rows: {}",
        scenarios.join(", "),
        ROWS.map(|row| row.id).join(", ")
    )
}

fn wanted(only: &[String]) -> anyhow::Result<Vec<&'static Row>> {
    for name in only {
        let is_known = ROWS.iter().any(|row| row.answers_to(name));
        anyhow::ensure!(is_known, "nothing is called {name}; there are {}", names());
    }
    let is_wanted = |row: &&Row| only.is_empty() || only.iter().any(|name| row.answers_to(name));
    Ok(ROWS.iter().filter(is_wanted).collect())
}

/// Progress of the whole. A terminal that is gone needs none.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap_or_default();
}

/// # Errors
/// When the file cannot be written.
pub fn write(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
