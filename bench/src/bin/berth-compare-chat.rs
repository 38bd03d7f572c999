//! The program `berth-compare-chat`: arguments in, the measurement, table, JSON and chart out. `bench/chat.sh` builds and calls it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use berth_bench::compare::{self, Call, ChatWish, beside};
use clap::Parser;

/// Measures berth-backend beside a Node server that does the same, and prints one table.
#[derive(Parser)]
#[command(version, after_help = format!("ROW is one of {}", compare::chat_names()))]
struct Cli {
    #[command(flatten)]
    call: Call,
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
    let call = cli.call;
    let wish = ChatWish {
        is_quick: call.quick,
        rounds: call.rounds(),
        only: call.only.clone(),
        backend: cli.backend.map_or_else(|| beside("berth-backend"), Ok)?,
        floor: beside("berth-bench-floor")?,
        node: cli.node,
        services: cli.services.canonicalize().context("--services")?,
        mongo_uri: cli.mongo_uri,
        command: compare::command("bench/chat.sh"),
    };
    call.answer(|| compare::chat(&wish), || compare::profile_chat(&wish))
}
