//! The program `berth-bench-floor`: what forwarding costs when it does nothing else. See `berth_bench::floor`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;

use anyhow::Context as _;
use berth_bench::{backend, descriptors, floor};
use clap::Parser;

/// Forwards requests and WebSockets without looking at them, or delivers messages to rooms. It explains what the kernel costs a proxy or a
/// chat server, and is none.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// May be repeated; they are taken in turn.
    #[arg(
        long = "server",
        required_unless_present = "rooms",
        value_name = "IP:PORT"
    )]
    servers: Vec<SocketAddr>,
    /// Be a chat server, on one thread.
    #[arg(long, conflicts_with_all = ["servers", "threads"])]
    rooms: bool,
    /// Each with its own listener and connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
}

fn main() -> anyhow::Result<ExitCode> {
    descriptors::raise()?;
    let cli = Cli::parse();
    let listen = || {
        let listener = backend::listen(cli.listen);
        listener.with_context(|| format!("cannot listen on {}", cli.listen))
    };
    if cli.rooms {
        floor::rooms::serve(listen()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut running = Vec::new();
    for _ in 0..cli.threads {
        let listener = listen()?;
        let servers = cli.servers.clone();
        running.push(thread::spawn(move || floor::serve(listener, servers)));
    }
    for thread in running {
        let ended = thread.join();
        ended.map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    Ok(ExitCode::SUCCESS)
}
