//! How many files and sockets this process may have open. Does not close or count any.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// To the client and to the server.
const PER_CONNECTION: u64 = 2;

/// Listeners, the pid file, the runtime's own and what is open for a moment, such as a name being looked up.
const RESERVED: u64 = 64;

/// Raises the limit as far as an unprivileged process may, and tells it. Many systems start a process with 1024, for
/// the sake of programs that use `select`; a proxy would be full at about 480 clients.
///
/// # Errors
/// When the system refuses; then the limit is what it was.
pub fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// How many client connections fit under a limit.
#[must_use]
pub fn connections(limit: u64) -> u64 {
    limit.saturating_sub(RESERVED) / PER_CONNECTION
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::{Resource, getrlimit};

    use super::{connections, raise};

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        let limit = raise().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!((soft, hard), (limit, limit));
    }

    #[test]
    fn a_connection_has_two_ends() {
        assert_eq!(connections(1024), 480);
        assert_eq!(connections(10), 0);
    }
}
