//! File descriptors: every connection takes one here, and two in a proxy.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit as far as it goes, for this process and those that it starts, and says how far that is.
///
/// # Errors
/// When the kernel does not let it.
pub fn raise() -> anyhow::Result<u64> {
    let (_soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}
