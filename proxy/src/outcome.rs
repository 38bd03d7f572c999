//! How one try at a server ended, classified once; health, retries, metrics and the answer all follow from it.
//!
//! Invariant: **what went wrong on this machine (no files, no ports) is never held against a server**.

use std::io;

use crate::refusal::Refusal;

/// The end of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server sent a response head, whatever it says.
    Answered,
    ConnectRefused,
    ConnectTimeout,
    /// Any other failure to connect that the server or the way to it caused.
    ConnectFailed,
    /// Connected, but it did not take the request or not answer in time.
    Timeout,
    /// Connected, but it closed or reset before it answered.
    Broken,
    /// It answered, but no HTTP.
    InvalidAnswer,
    /// It answered a WebSocket handshake with 5xx, and the settings hold that against it.
    UpgradeFailed,
    /// It dropped a WebSocket soon after the 101, and the settings hold that against it.
    EarlyClose,
    /// A kept connection was dead before the server can have seen the request.
    StaleConnection,
    /// This machine could not open a connection.
    Local,
    /// The client left or misbehaved; the server did nothing wrong.
    ClientGone,
}

impl Outcome {
    /// Classifies an error of `connect`.
    #[must_use]
    pub fn of_connect(error: &io::Error) -> Self {
        if is_local(error) {
            return Self::Local;
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Self::ConnectRefused,
            io::ErrorKind::TimedOut => Self::ConnectTimeout,
            _ => Self::ConnectFailed,
        }
    }

    /// The metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectFailed => "connect_failed",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::InvalidAnswer => "invalid_answer",
            Self::UpgradeFailed => "upgrade_failed",
            Self::EarlyClose => "early_close",
            Self::StaleConnection => "stale_connection",
            Self::Local => "local",
            Self::ClientGone => "client_gone",
        }
    }

    /// Whether `health` counts it as a failure of the server.
    #[must_use]
    pub fn is_servers_fault(self) -> bool {
        match self {
            Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectFailed
            | Self::Timeout
            | Self::Broken
            | Self::InvalidAnswer
            | Self::UpgradeFailed
            | Self::EarlyClose => true,
            Self::Answered | Self::StaleConnection | Self::Local | Self::ClientGone => false,
        }
    }

    /// Whether the request may go to the next server, as nginx's `proxy_next_upstream error timeout`.
    ///
    /// Until the connection stands nothing was sent, so any method may. Afterwards only what is safe to repeat.
    #[must_use]
    pub fn may_try_next(self, is_repeatable: bool) -> bool {
        match self {
            Self::ConnectRefused | Self::ConnectTimeout | Self::ConnectFailed => true,
            Self::Timeout | Self::Broken | Self::StaleConnection => is_repeatable,
            Self::Answered
            | Self::InvalidAnswer
            | Self::UpgradeFailed
            | Self::EarlyClose
            | Self::Local
            | Self::ClientGone => false,
        }
    }

    /// What the client is told when this was the last try.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::ConnectTimeout | Self::Timeout => Refusal::GatewayTimeout,
            Self::Local => Refusal::Internal,
            Self::Answered
            | Self::ConnectRefused
            | Self::ConnectFailed
            | Self::Broken
            | Self::InvalidAnswer
            | Self::UpgradeFailed
            | Self::EarlyClose
            | Self::StaleConnection
            | Self::ClientGone => Refusal::BadGateway,
        }
    }
}

/// nginx repeats everything but these, which only `non_idempotent` would.
#[must_use]
pub fn is_idempotent(method: &str) -> bool {
    !matches!(method, "POST" | "LOCK" | "PATCH")
}

/// Out of files (per process, per system), of ports, of buffers, of memory, or not allowed to.
fn is_local(error: &io::Error) -> bool {
    const EACCES: i32 = 13;
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EADDRNOTAVAIL: i32 = 99;
    const ENOBUFS: i32 = 105;
    matches!(
        error.raw_os_error(),
        Some(EACCES | ENOMEM | ENFILE | EMFILE | EADDRNOTAVAIL | ENOBUFS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_trouble_is_nobodys_fault() {
        for code in [12, 13, 23, 24, 99, 105] {
            let outcome = Outcome::of_connect(&io::Error::from_raw_os_error(code));
            assert_eq!(outcome, Outcome::Local);
            assert!(!outcome.is_servers_fault());
            assert!(!outcome.may_try_next(true));
        }
    }

    /// What `connect` says when every local port is in use, and `socket` when every descriptor is.
    #[test]
    fn a_machine_without_free_ports_or_descriptors_takes_no_server_out() {
        use crate::health::{Transition, failed, may_serve};
        use crate::pool::tests::pool;

        const EADDRNOTAVAIL: i32 = 99;
        const EMFILE: i32 = 24;
        let pool = pool("a b");
        let server = &pool.servers()[0];
        let meet = |error: io::Error| {
            let is_fault = Outcome::of_connect(&error).is_servers_fault();
            let transition = is_fault.then(|| failed(&pool, server, 100));
            (transition, may_serve(server, 100))
        };
        for code in [EADDRNOTAVAIL, EMFILE] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(meet(error), (None, true));
        }
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(meet(refused), (Some(Transition::Out), false));
    }

    #[test]
    fn a_refused_connection_counts_and_goes_on_for_any_method() {
        let outcome = Outcome::of_connect(&io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(outcome, Outcome::ConnectRefused);
        assert!(outcome.is_servers_fault());
        assert!(outcome.may_try_next(false));
    }

    #[test]
    fn what_was_sent_is_repeated_only_if_that_is_safe() {
        assert!(Outcome::Broken.may_try_next(true));
        assert!(!Outcome::Broken.may_try_next(false));
    }
}
