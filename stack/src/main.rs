//! `berth`: the whole system in one process, on embedded stores, for trying it out and for small installations.

mod cli;
mod ports;
mod proxy;
mod screen;
mod trial;
mod up;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let up = cli::Cli::parse().into_up();
    // Log lines go to stderr: stdout carries the screen.
    tracing_subscriber::fmt()
        .with_max_level(up.log_level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    match up::run(&up) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
