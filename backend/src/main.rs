//! The binary: settings → logging → stores → cluster → listen → serve.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use berth_backend::cli::{Cli, Health, Run, Verb};
use berth_backend::server::{Parts, serve};
use berth_backend::settings::{self, Settings};
use berth_backend::{lifecycle, logging, probe, stores};
use clap::Parser as _;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wrong usage or settings: nothing was started, and starting again will not help.
const BAD_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().verb() {
        Verb::Run(run) => run_verb(run),
        Verb::Check(run) => check_verb(run),
        Verb::Health(health) => health_verb(&health),
    }
}

fn run_verb(run: Run) -> ExitCode {
    let print_config = run.print_config;
    let config = run.config.clone();
    let settings = match settings::load(config.as_deref(), &run.overrides()) {
        Ok(settings) => settings,
        Err(problems) => return complain(&problems, BAD_SETTINGS),
    };
    if print_config {
        return say(&settings);
    }
    match run_until_stopped(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format_args!("{error:#}"), 1),
    }
}

fn check_verb(run: Run) -> ExitCode {
    let config = run.config.clone();
    let name = config
        .as_ref()
        .map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
    match settings::load(config.as_deref(), &run.overrides()) {
        Ok(_) => say(&format_args!("configuration {name} test is successful\n")),
        Err(problems) => complain(&problems, BAD_SETTINGS),
    }
}

fn health_verb(health: &Health) -> ExitCode {
    match probe::ask(&health.target()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format_args!("{error:#}"), 1),
    }
}

fn run_until_stopped(mut settings: Settings) -> anyhow::Result<()> {
    logging::start(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = lifecycle::stop_on_signals()?;
        stores::ensure_secret(&mut settings)?;
        let store = stores::open_store(&settings).await?;
        let directory = stores::open_directory(&settings)?;
        let sessions = stores::open_sessions(&settings)?;
        let users = stores::open_users(&settings)?;
        let presence = stores::open_presence(&settings)?;
        let webhooks = stores::open_webhooks(&settings)?;
        let address = SocketAddr::new(settings.server.host, settings.server.port);
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let port = listener.local_addr()?.port();
        let cluster = stores::join_cluster(&settings)?;
        let instance = settings
            .server
            .instance
            .clone()
            .unwrap_or_else(|| lifecycle::instance_name(port));
        serve(
            listener,
            Parts {
                settings,
                instance,
                store,
                directory,
                sessions,
                users,
                presence,
                webhooks,
                cluster,
                trial: None,
            },
            stop,
        )
        .await
    })
}

fn say(text: &impl std::fmt::Display) -> ExitCode {
    match write!(std::io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(problem: &impl std::fmt::Display, code: u8) -> ExitCode {
    // Nobody reads: the exit code says it all the same.
    match writeln!(std::io::stderr().lock(), "berth-backend: {problem}") {
        Ok(()) | Err(_) => ExitCode::from(code),
    }
}
