//! The program `berth-proxy`. Owns the allocator and the exit code; what it can do is in `cli`.

mod cli;
mod pid_file;
mod probe;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

/// Long-lived connections of very different sizes fragment the system's allocator; this one gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::Cli::parse().obey() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With stderr closed the exit code still says it.
            writeln!(std::io::stderr(), "{}", failure.message).unwrap_or_default();
            ExitCode::from(failure.code)
        }
    }
}
