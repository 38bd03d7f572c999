//! The program `berth-bench-backend`: the same small server for every proxy under test.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;

use anyhow::Context as _;
use berth_bench::backend;
use clap::Parser;

/// Answers HTTP with 100 bytes and WebSockets with their own messages; WebSockets on /greet… get a first frame with the 101.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Where to serve; may be repeated, so that a balancer has several servers.
    #[arg(long, required = true, value_name = "IP:PORT")]
    listen: Vec<SocketAddr>,
    /// Each with its own listeners and connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let mut running = Vec::new();
    for _ in 0..cli.threads {
        let mut listeners = Vec::new();
        for address in &cli.listen {
            let listener = backend::listen(*address);
            listeners.push(listener.with_context(|| format!("cannot listen on {address}"))?);
        }
        running.push(thread::spawn(move || backend::serve(listeners)));
    }
    for thread in running {
        let ended = thread.join();
        ended.map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    Ok(ExitCode::SUCCESS)
}
