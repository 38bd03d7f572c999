//! How the programs that compare are called and what they answer with, as far as that is the same for all of them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::profile::Profiles;
use super::results::Results;
use super::{chart, table, write};

/// What is asked for, and where it goes.
#[derive(clap::Args)]
pub struct Call {
    /// Short runs and fewer of them.
    #[arg(long)]
    pub quick: bool,
    /// Instead of the table: where the CPU goes, by system calls and by functions. Needs perf.
    #[arg(long, conflicts_with_all = ["quick", "rounds", "svg"])]
    profile: bool,
    /// Only this row or group of rows; may be repeated.
    #[arg(long, value_name = "ROW")]
    pub only: Vec<String>,
    /// Default: 5, with --quick fewer.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Call {
    #[must_use]
    pub fn rounds(&self) -> Option<usize> {
        self.rounds.map(usize::from)
    }

    /// Measures or profiles, and prints and writes what came of it.
    ///
    /// # Errors
    /// When that fails, or a file cannot be written.
    pub fn answer(
        &self,
        measure: impl FnOnce() -> anyhow::Result<Results>,
        profile: impl FnOnce() -> anyhow::Result<Profiles>,
    ) -> anyhow::Result<ExitCode> {
        let (json, text) = if self.profile {
            let profiles = profile()?;
            (profiles.to_json(), profiles.text())
        } else {
            let results = measure()?;
            if let Some(file) = &self.svg {
                write(file, &chart::chart(&results))?;
            }
            (results.to_json(), table::table(&results))
        };
        if let Some(file) = &self.json {
            write(file, &json)?;
        }
        writeln!(std::io::stdout(), "{text}")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The command by which this was called, for whoever wants to do it again; `script` builds and calls the program.
#[must_use]
pub fn command(script: &str) -> String {
    let arguments = std::env::args().skip(1);
    let words: Vec<String> = std::iter::once(script.to_owned())
        .chain(arguments)
        .collect();
    words.join(" ")
}

/// A program that was built beside this one.
///
/// # Errors
/// When nobody knows where this one is.
pub fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.parent().context("no folder to look in")?;
    Ok(folder.join(name))
}
