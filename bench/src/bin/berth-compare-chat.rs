//! The program `berth-compare-chat`: arguments in, the measurement, table, JSON and chart out. `bench/chat.sh` builds and calls it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use berth_bench::compare::{self, ChatWish};
use clap::Parser;

/// Measures berth-backend beside a Node server that does the same, and prints one table.
#[derive(Parser)]
#[command(version, after_help = format!("ROW is one of {}", compare::chat_names()))]
struct Cli {
    /// Short runs and fewer of them.
    #[arg(long)]
    quick: bool,
    /// Instead of the table: where the CPU of a delivery goes, by system calls and by functions. Needs perf.
    #[arg(long, conflicts_with_all = ["quick", "rounds", "svg"])]
    profile: bool,
    /// Only this row or group of rows; may be repeated.
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// Default: 5, with --quick 2.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Default: the berth-backend built beside this program.
    #[arg(long, value_name = "PROGRAM")]
    backend: Option<PathBuf>,
    /// The folder of the Node server.
    #[arg(long, value_name = "FOLDER", default_value = "bench/node")]
    node: PathBuf,
    /// The script that starts Redis and MongoDB.
    #[arg(long, value_name = "SCRIPT", default_value = "tests/services.sh")]
    services: PathBuf,
    /// A MongoDB to use instead of starting one. The messages stay there.
    #[arg(long, env = "MONGO_URI", value_name = "URI", hide_env_values = true)]
    mongo_uri: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let here = std::env::current_exe()?;
    let beside = |name: &str| here.parent().map(|folder| folder.join(name));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("bench/chat.sh {}", arguments.join(" "));
    let wish = ChatWish {
        is_quick: cli.quick,
        rounds: cli.rounds.map(usize::from),
        only: cli.only,
        backend: cli
            .backend
            .or_else(|| beside("berth-backend"))
            .context("no folder to look in")?,
        floor: beside("berth-bench-floor").context("no folder to look in")?,
        node: cli.node,
        services: cli.services.canonicalize().context("--services")?,
        mongo_uri: cli.mongo_uri,
        command: command.trim().to_owned(),
    };
    if cli.profile {
        let profiles = compare::profile_chat(&wish)?;
        if let Some(file) = &cli.json {
            compare::write(file, &profiles.to_json())?;
        }
        writeln!(std::io::stdout(), "{}", profiles.text())?;
        return Ok(ExitCode::SUCCESS);
    }
    let results = compare::chat(&wish)?;
    if let Some(file) = &cli.json {
        compare::write(file, &results.to_json())?;
    }
    if let Some(file) = &cli.svg {
        compare::write(file, &compare::chart(&results))?;
    }
    writeln!(std::io::stdout(), "{}", compare::table(&results))?;
    Ok(ExitCode::SUCCESS)
}
