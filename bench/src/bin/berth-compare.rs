//! The program `berth-compare`: arguments in, the measurement, table, JSON and chart out. `bench/run.sh` builds and calls it.

use std::path::PathBuf;
use std::process::ExitCode;

use berth_bench::compare::{self, Call, Wish, beside};
use clap::Parser;

/// Measures berth-proxy beside nginx, HAProxy and Envoy, as far as they are installed, and prints one table.
///
/// That takes about 15 minutes, with --quick under 2.
#[derive(Parser)]
#[command(version, after_help = format!("ROW is one of {}", compare::names()))]
struct Cli {
    #[command(flatten)]
    call: Call,
    /// Default: the one built beside this program.
    #[arg(long, value_name = "PROGRAM")]
    berth: Option<PathBuf>,
    /// Where Envoy is, if it is not on the PATH.
    #[arg(long, env = "ENVOY", value_name = "PROGRAM")]
    envoy: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let Cli { call, berth, envoy } = Cli::parse();
    let wish = Wish {
        is_quick: call.quick,
        rounds: call.rounds(),
        only: call.only.clone(),
        berth: berth.map_or_else(|| beside("berth-proxy"), Ok)?,
        backend: beside("berth-bench-backend")?,
        floor: beside("berth-bench-floor")?,
        envoy,
        command: compare::command("bench/run.sh"),
    };
    call.answer(|| compare::compare(&wish), || compare::profile(&wish))
}
