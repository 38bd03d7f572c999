//! Runs one proxy from settings to a clean end. Owns the runtime and the order of start and stop.
//!
//! Does not decide anything about a request (`edge`), nor when a stop is over (`lifecycle`).
//! No process-global state: several proxies can run in one process.

use std::path::PathBuf;

use crate::settings::Settings;

mod control;

pub use control::{Control, Handle, Listening};

/// Where a reload reads the settings from.
#[derive(Clone, Debug)]
pub enum Source {
    /// This file, again.
    File(PathBuf),
    /// Nowhere: the program that embeds the proxy gave them once.
    Fixed,
}

/// Runs the proxy on its own runtime and returns when it has stopped.
///
/// Must not be called from inside an async runtime; an embedding program gives it a thread.
///
/// # Errors
/// When the runtime cannot start, an address cannot be bound or the pid file cannot be written.
pub fn run(settings: Settings, source: Source, control: Control) -> anyhow::Result<()> {
    drop((settings, source, control));
    anyhow::bail!("the proxy is not assembled yet")
}
