//! How a server is, in one word for operators: the label of a metric, a column of `status`.
//!
//! Sums up what `may_serve` reads; decides nothing.

use std::sync::atomic::Ordering::Relaxed;

use super::check::Verdict;
use super::{is_out, verdict};
use crate::pool::{Seconds, Server};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It may serve.
    Up,
    /// It was out, and the next request finds out whether it is back.
    Probe,
    /// `max_fails` was reached less than `fail_timeout` ago.
    Out,
    /// It fails its checks.
    Unwell,
    /// Its first check has not ended.
    Checking,
    /// The settings say so.
    Down,
}

impl Condition {
    pub const ALL: [Self; 6] = [
        Self::Up,
        Self::Probe,
        Self::Out,
        Self::Unwell,
        Self::Checking,
        Self::Down,
    ];

    #[must_use]
    pub fn of(server: &Server, now: Seconds) -> Self {
        let fails = server.state.fails.load(Relaxed);
        match verdict(server) {
            _ if server.down => Self::Down,
            Verdict::Unwell => Self::Unwell,
            _ if is_out(server, now) => Self::Out,
            Verdict::Pending => Self::Checking,
            Verdict::Well if server.max_fails > 0 && fails >= server.max_fails => Self::Probe,
            Verdict::Well => Self::Up,
        }
    }

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Probe => "probe",
            Self::Out => "out",
            Self::Unwell => "unwell",
            Self::Checking => "checking",
            Self::Down => "down",
        }
    }
}

/// Seconds until an `Out` server is probed.
#[must_use]
pub fn out_for(server: &Server, now: Seconds) -> Option<Seconds> {
    let age = now.saturating_sub(server.state.checked.load(Relaxed));
    is_out(server, now).then(|| server.fail_timeout.saturating_sub(age) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{failed, may_serve};
    use crate::pool::Pool;
    use crate::pool::tests::{pool, servers};

    const NOW: Seconds = 1000;

    #[test]
    fn failures_take_it_out_until_it_is_probed() {
        let pool = pool("a b");
        let server = &pool.servers()[0];
        assert_eq!(Condition::of(server, NOW), Condition::Up);
        failed(&pool, server, NOW);
        for (later, condition, left) in [
            (0, Condition::Out, Some(11)),
            (10, Condition::Out, Some(1)),
            (11, Condition::Probe, None),
        ] {
            assert_eq!(Condition::of(server, NOW + later), condition);
            assert_eq!(out_for(server, NOW + later), left);
        }
    }

    #[test]
    fn checks_and_settings_have_their_words() {
        let checked = Pool::new(servers("a b!").map(|mut server| {
            server.has_check = true;
            server
        }));
        let (server, down) = (&checked.servers()[0], &checked.servers()[1]);
        for (verdict, condition) in [
            (Verdict::Pending, Condition::Checking),
            (Verdict::Unwell, Condition::Unwell),
            (Verdict::Well, Condition::Up),
        ] {
            server.state.standing.set(verdict);
            assert_eq!(Condition::of(server, NOW), condition);
            let serves = matches!(condition, Condition::Up | Condition::Probe);
            assert_eq!(may_serve(server, NOW), serves);
        }
        assert_eq!(Condition::of(down, NOW), Condition::Down);
    }
}
