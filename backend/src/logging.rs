//! Where log lines go: stdout, for people or as JSON.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::settings::{Format, Level, Log};

/// Starts logging for the process.
///
/// # Errors
/// When logging was started before.
pub fn start(log: &Log) -> anyhow::Result<()> {
    // Libraries speak one level quieter: their debug lines would bury ours.
    let libraries = match log.level {
        Level::Debug => "info",
        Level::Info | Level::Warn => "warn",
        Level::Error => "error",
    };
    let own = log.level.as_str();
    let filter = EnvFilter::try_new(format!(
        "{libraries},berth_backend={own},berth_adapter={own}"
    ))?;
    let is_terminal = std::io::stdout().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal);
    let started = match log.format {
        Format::Text => subscriber.with_target(false).try_init(),
        Format::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging not started: {error}"))
}
