//! The program `berth-compare`: arguments in, the measurement, table, JSON and chart out. `bench/run.sh` builds and calls it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use berth_bench::compare::{self, Wish};
use clap::Parser;

/// Measures berth-proxy beside nginx, HAProxy and Envoy, as far as they are installed, and prints one table.
#[derive(Parser)]
#[command(version, after_help = format!("ROW is one of {}", compare::names()))]
struct Cli {
    /// Short runs: under 2 minutes instead of 15.
    #[arg(long)]
    quick: bool,
    /// Instead of the table: where the CPU of an exchange goes, by system calls and by functions. Needs perf.
    #[arg(long, conflicts_with_all = ["quick", "rounds", "svg"])]
    profile: bool,
    /// Only this row or group of rows; may be repeated.
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// Default: 5, with --quick 3.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Default: the one built beside this program.
    #[arg(long, value_name = "PROGRAM")]
    berth: Option<PathBuf>,
    /// Where Envoy is, if it is not on the PATH.
    #[arg(long, env = "ENVOY", value_name = "PROGRAM")]
    envoy: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let here = std::env::current_exe()?;
    let beside = |name: &str| here.parent().map(|folder| folder.join(name));
    let berth = cli.berth.or_else(|| beside("berth-proxy"));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wish = Wish {
        is_quick: cli.quick,
        rounds: cli.rounds.map(usize::from),
        only: cli.only,
        berth: berth.context("no folder to look in")?,
        backend: beside("berth-bench-backend").context("no folder to look in")?,
        floor: beside("berth-bench-floor").context("no folder to look in")?,
        envoy: cli.envoy,
        command: ["bench/run.sh".to_owned(), arguments.join(" ")]
            .join(" ")
            .trim()
            .to_owned(),
    };
    if cli.profile {
        let profiles = compare::profile(&wish)?;
        if let Some(file) = &cli.json {
            compare::write(file, &profiles.to_json())?;
        }
        writeln!(std::io::stdout(), "{}", profiles.text())?;
        return Ok(ExitCode::SUCCESS);
    }
    let results = compare::compare(&wish)?;
    if let Some(file) = &cli.json {
        compare::write(file, &results.to_json())?;
    }
    if let Some(file) = &cli.svg {
        compare::write(file, &compare::chart(&results))?;
    }
    writeln!(std::io::stdout(), "{}", compare::table(&results))?;
    Ok(ExitCode::SUCCESS)
}
