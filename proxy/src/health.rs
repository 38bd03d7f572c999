//! Whether a server may serve: what requests found (passive health, exactly as nginx's `max_fails` and `fail_timeout`)
//! and what its checks say (`check`), read together in `may_serve`.
//!
//! Owns the rules on a server's failure counters. Does not own what counts as a failure (`outcome`) nor the clock:
//! `now` is whole seconds, as in nginx, and the comparison is `<=`, so `10s` keeps a server out for 10 to 11 seconds.
//! After that one request probes it: its success clears the failures, its failure closes the window again.

use std::sync::atomic::Ordering::Relaxed;

use crate::pool::{Pool, Seconds, Server, Tried};

pub mod check;
pub mod condition;
pub mod slow_start;
pub mod window;

use check::Verdict;

/// What changed for a server; worth a log line exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    None,
    /// `max_fails` was reached: no requests for `fail_timeout`.
    Out,
    /// A probe succeeded.
    Back,
}

/// Whether failures leave the server in the balance. `down` is another question.
#[must_use]
pub fn is_out(server: &Server, now: Seconds) -> bool {
    server.max_fails > 0
        && server.state.fails.load(Relaxed) >= server.max_fails
        && now.saturating_sub(server.state.checked.load(Relaxed)) <= server.fail_timeout
}

#[must_use]
pub fn may_serve(server: &Server, now: Seconds) -> bool {
    !server.down && !is_out(server, now) && verdict(server) == Verdict::Well
}

/// What the checks say; a server that is not checked is taken for well.
fn verdict(server: &Server) -> Verdict {
    if server.has_check {
        server.state.standing.get()
    } else {
        Verdict::Well
    }
}

/// How much speaks against a server: the less, the sooner it is asked when nobody may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Badness {
    /// Of requests and checks, how many say that it is out.
    against: u8,
    /// Until its failures are forgotten.
    wait: Seconds,
    fails: u32,
}

impl Badness {
    /// Nothing is known against the server: its first check has not ended.
    pub const UNKNOWN: Self = Self {
        against: 0,
        wait: 0,
        fails: 0,
    };
}

/// `None`: not even as a last resort.
#[must_use]
pub fn badness(server: &Server, now: Seconds) -> Option<Badness> {
    let (is_out, verdict) = (is_out(server, now), verdict(server));
    if server.down {
        return None;
    }
    if !is_out && verdict != Verdict::Unwell {
        return Some(Badness::UNKNOWN);
    }
    let age = now.saturating_sub(server.state.checked.load(Relaxed));
    let wait = server.fail_timeout.saturating_sub(age) + 1;
    let fails = server.state.fails.load(Relaxed);
    Some(Badness {
        against: u8::from(is_out) + u8::from(verdict == Verdict::Unwell),
        wait: if is_out { wait } else { 0 },
        fails: if is_out { fails } else { 0 },
    })
}

/// The least bad of those that were not tried.
#[must_use]
pub fn least_bad(pool: &Pool, tried: &Tried, now: Seconds) -> Option<Badness> {
    let servers = pool.servers().iter().enumerate();
    servers
        .filter(|(index, _)| !tried.contains(*index))
        .filter_map(|(_, server)| badness(server, now))
        .min()
}

/// Takes note that a server is asked although it is out: its success ends that as a probe's would.
pub fn probe_early(server: &Server) {
    let checked = server.state.checked.load(Relaxed);
    server
        .state
        .accessed
        .store(checked.saturating_sub(1), Relaxed);
}

/// Takes note that a request is about to be given to the server, and tells whether it may: a server that is being
/// probed takes one request only, even when several ask at the same instant.
#[must_use]
pub fn pick(server: &Server, now: Seconds) -> bool {
    let checked = &server.state.checked;
    let seen = checked.load(Relaxed);
    if now.saturating_sub(seen) <= server.fail_timeout {
        return true;
    }
    let is_first = checked
        .compare_exchange(seen, now, Relaxed, Relaxed)
        .is_ok();
    let is_probe = server.max_fails > 0 && server.state.fails.load(Relaxed) >= server.max_fails;
    is_first || !is_probe
}

/// Takes note of a failure that counts.
pub fn failed(pool: &Pool, server: &Server, now: Seconds) -> Transition {
    if pool.is_single() {
        return Transition::None;
    }
    let state = &server.state;
    let fails_before = state.fails.load(Relaxed);
    let fails = match server.failure_window {
        None => state.fails.fetch_add(1, Relaxed).saturating_add(1),
        Some(length) => {
            let lately = state.window.add(now, length, server.max_fails);
            // Who is out comes back by a success, not because failures grow old.
            let is_out = fails_before >= server.max_fails;
            let fails = if is_out { fails_before } else { lately };
            state.fails.store(fails, Relaxed);
            fails
        }
    };
    state.accessed.store(now, Relaxed);
    state.checked.store(now, Relaxed);
    if server.max_fails == 0 {
        return Transition::None;
    }
    let share = i64::from(server.weight / server.max_fails);
    // The closure always answers, so the update cannot be refused.
    let _previous = state
        .effective_weight
        .fetch_update(Relaxed, Relaxed, |weight| Some((weight - share).max(0)));
    if fails == server.max_fails && fails_before < fails {
        Transition::Out
    } else {
        Transition::None
    }
}

/// Takes note of a success; it clears the failures only if the request was picked after the last of them. Failures in
/// a window it clears only when they have the server out: otherwise they grow old by themselves.
pub fn succeeded(pool: &Pool, server: &Server, now: Seconds) -> Transition {
    let state = &server.state;
    if pool.is_single() || state.accessed.load(Relaxed) >= state.checked.load(Relaxed) {
        return Transition::None;
    }
    if server.failure_window.is_some() {
        if state.fails.load(Relaxed) < server.max_fails {
            return Transition::None;
        }
        state.window.clear();
    }
    let fails = state.fails.swap(0, Relaxed);
    if server.max_fails > 0 && fails >= server.max_fails {
        slow_start::begin(server, now);
        Transition::Back
    } else {
        Transition::None
    }
}

#[cfg(test)]
mod tests;
