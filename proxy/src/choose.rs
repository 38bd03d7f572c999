//! Decides which server gets a request: its own one if it has one, else whom the balance picks.
//!
//! Owns the order (affinity, balance, backups) and what a request remembers between tries. Does not dial, and does
//! not know whether the try went well: see `outcome`. Invariant: **no request is given to the same server twice**,
//! unless that try is forgiven because nothing can be held against the server.

use crate::affinity::{Marks, Method};
use crate::balance::{
    hash, hash_consistent, ip_hash, is_good_enough, least_conn, random_two, round_robin,
};
use crate::client::HashBytes;
use crate::handshakes::{Nanos, Wait};
use crate::health::{self, Badness};
use crate::pool::{Group, Pool, Seconds, Server, Tried};
use crate::settings::Balance;

/// What an upstream decides by.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub balance: Balance,
    /// Tries of one request, the first included; 0 is no limit.
    pub tries_max: u32,
    /// When nobody may serve, the least bad server is asked all the same.
    pub fail_open: bool,
}

/// What a request brings to the decision.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    pub address: HashBytes,
    /// The marks that the request carries, in the order of the upstream's sticky methods.
    pub marks: Marks<'a>,
    /// What the `hash` methods hash.
    pub key: &'a [u8],
    /// Any random number; only `random_two` looks at it.
    pub dice: u64,
    /// When an Engine.IO session shall begin with this request, so that it costs its server a token.
    pub handshake: Option<Nanos>,
}

/// What a request remembers between its tries.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    tried: Tried,
    tries: u32,
    ip_hash: ip_hash::Chain,
    hash: hash::Chain,
    walk: hash_consistent::Walk,
    draws: random_two::Draws,
    on_backups: bool,
    has_failed_open: bool,
    /// A server was passed over because it had no token; the shortest wait for one.
    limited: Option<Wait>,
}

impl Attempt {
    /// Nobody could serve, and the last choice is the least bad server.
    #[must_use]
    pub fn has_failed_open(&self) -> bool {
        self.has_failed_open
    }

    /// Whether the balance's last pick follows from the address or the key alone: a repeated request gets it again.
    #[must_use]
    pub fn is_computed(&self, balance: Balance, key: &[u8]) -> bool {
        let has_missed = match balance {
            Balance::IpHash => self.ip_hash.has_given_up(),
            Balance::Hash => key.is_empty() || self.hash.has_given_up(),
            Balance::HashConsistent => key.is_empty() || self.walk.has_given_up(),
            Balance::RoundRobin | Balance::LeastConn | Balance::RandomTwo => true,
        };
        !has_missed && !self.on_backups
    }

    /// Starts the choice over, content with a server this bad.
    fn settle_for(&mut self, worst: Badness) {
        self.tried.takes = Some(worst);
        self.ip_hash = ip_hash::Chain::default();
        self.hash = hash::Chain::default();
        self.walk = hash_consistent::Walk::default();
        self.draws = random_two::Draws::default();
        self.on_backups = false;
    }

    /// Servers tried so far.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// The try does not count: the server may be picked again.
    pub fn forgive(&mut self, server: usize) {
        self.tried.remove(server);
        self.tries = self.tries.saturating_sub(1);
    }
}

/// A decision. The server's connection count already includes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub server: usize,
    pub affinity: Affinity,
    /// Whose mark `affinity` is about; `None` if there was no mark.
    pub method: Option<Method>,
}

/// How the choice relates to the mark that the request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// No mark.
    New,
    /// The marked server.
    Hit,
    /// The marked server cannot serve; another one took over.
    Rebound,
    /// The mark is nobody's.
    Invalid,
}

impl Affinity {
    /// The metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Hit => "hit",
            Self::Rebound => "rebound",
            Self::Invalid => "invalid",
        }
    }
}

/// Why nobody was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoServer {
    /// Every server is down or out.
    NoneLive,
    /// Every server that may serve was tried.
    AllTried,
    /// The request used up its tries.
    TriesSpent,
    /// The only server that knows the request's session cannot serve.
    SessionGone,
    /// Who may serve has no token for a new session before so long.
    Limited(Wait),
}

/// # Errors
/// When no server may be tried (again).
pub fn choose(
    pool: &Pool,
    policy: Policy,
    asking: Asking<'_>,
    attempt: &mut Attempt,
    now: Seconds,
) -> Result<Choice, NoServer> {
    if policy.tries_max > 0 && attempt.tries >= policy.tries_max {
        return Err(nobody(asking, NoServer::TriesSpent));
    }
    let had_tried = attempt.tries > 0;
    if let Some(choice) = choose_among_good(pool, policy, asking, attempt, now) {
        return Ok(choice);
    }
    if let Some(choice) = choose_least_bad(pool, policy, asking, attempt, now) {
        return Ok(choice);
    }
    let reason = match attempt.limited {
        Some(wait) => NoServer::Limited(wait),
        None if had_tried => NoServer::AllTried,
        None => NoServer::NoneLive,
    };
    Err(nobody(asking, reason))
}

/// What is said when nobody was chosen.
fn nobody(asking: Asking<'_>, reason: NoServer) -> NoServer {
    if asking.marks.iter().flatten().any(|mark| mark.is_only) {
        NoServer::SessionGone
    } else {
        reason
    }
}

/// Nobody (else) may serve: takes servers whose first check is pending, then, at most once, the least bad one.
///
/// Servers that are equally bad are chosen among as ever, so that a trouble that all have parts no client from its own.
fn choose_least_bad(
    pool: &Pool,
    policy: Policy,
    asking: Asking<'_>,
    attempt: &mut Attempt,
    now: Seconds,
) -> Option<Choice> {
    if attempt.has_failed_open || attempt.limited.is_some() {
        return None;
    }
    let worst = health::least_bad(pool, &attempt.tried, now)?;
    if worst > Badness::UNKNOWN {
        let is_open = policy.fail_open
            && !pool
                .servers()
                .iter()
                .any(|server| health::may_serve(server, now));
        if !is_open {
            return None;
        }
        attempt.has_failed_open = true;
    }
    attempt.settle_for(worst);
    let choice = choose_among_good(pool, policy, asking, attempt, now)?;
    if let Some(server) = pool.get(choice.server)
        && health::is_out(server, now)
    {
        health::probe_early(server);
    }
    Some(choice)
}

fn choose_among_good(
    pool: &Pool,
    policy: Policy,
    asking: Asking<'_>,
    attempt: &mut Attempt,
    now: Seconds,
) -> Option<Choice> {
    let (affinity, method) = match marked(pool, asking, attempt, now) {
        Marked::Chosen(choice) => return Some(choice),
        Marked::Gone => return None,
        Marked::Left(affinity, method) => (affinity, method),
    };
    while let Some(index) = balance(pool, policy.balance, asking, attempt, now)
        && let Some(server) = pool.get(index)
    {
        match take(index, server, asking, attempt, now) {
            Took::It => {
                return Some(Choice {
                    server: index,
                    affinity,
                    method,
                });
            }
            // Elsewhere it would be when its own server has a token again: it waits for that.
            Took::NoToken if has_one_home(policy.balance) => return None,
            Took::NoToken | Took::NoPlace => {}
        }
    }
    None
}

/// Whether the balance has one server in mind for each client.
fn has_one_home(balance: Balance) -> bool {
    match balance {
        Balance::IpHash | Balance::Hash | Balance::HashConsistent => true,
        Balance::RoundRobin | Balance::LeastConn | Balance::RandomTwo => false,
    }
}

/// What came of a request's marks.
enum Marked {
    Chosen(Choice),
    /// The only server that could serve the request may not, or not yet.
    Gone,
    /// Left to the balance, and why.
    Left(Affinity, Option<Method>),
}

/// Asks the marked servers. Several may have one mark: the addresses of one name share a configured one.
fn marked(pool: &Pool, asking: Asking<'_>, attempt: &mut Attempt, now: Seconds) -> Marked {
    let mut left = Marked::Left(Affinity::New, None);
    for mark in asking.marks.iter().flatten() {
        let mut affinity = Affinity::Invalid;
        for (index, server) in pool.servers().iter().enumerate() {
            if !mark.names(server) {
                continue;
            }
            affinity = Affinity::Rebound;
            let is_free = !attempt.tried.contains(index)
                && is_good_enough(server, &attempt.tried, now)
                && server.has_room();
            if !is_free {
                continue;
            }
            match take(index, server, asking, attempt, now) {
                Took::It => {
                    return Marked::Chosen(Choice {
                        server: index,
                        affinity: Affinity::Hit,
                        method: Some(mark.method),
                    });
                }
                Took::NoToken => return Marked::Gone,
                Took::NoPlace => {}
            }
        }
        if mark.is_only {
            return Marked::Gone;
        }
        if matches!(left, Marked::Left(_, None)) {
            left = Marked::Left(affinity, Some(mark.method));
        }
    }
    left
}

/// What came of giving a request to a server.
enum Took {
    It,
    /// It begins no more sessions for now.
    NoToken,
    /// Somebody else just took its only probe or its last place.
    NoPlace,
}

fn take(
    index: usize,
    server: &Server,
    asking: Asking<'_>,
    attempt: &mut Attempt,
    now: Seconds,
) -> Took {
    attempt.tried.insert(index);
    let tokens = &server.state.handshakes;
    let limit = server.handshakes.zip(asking.handshake);
    if let Some((rate, moment)) = limit
        && let Err(wait) = tokens.take(rate, moment)
    {
        let shortest = attempt.limited.map_or(wait, |shortest| shortest.min(wait));
        attempt.limited = Some(shortest);
        return Took::NoToken;
    }
    if server.enter() {
        if health::pick(server, now) {
            attempt.tries += 1;
            return Took::It;
        }
        server.leave();
    }
    if let Some((rate, _)) = limit {
        tokens.give_back(rate);
    }
    Took::NoPlace
}

fn balance(
    pool: &Pool,
    method: Balance,
    asking: Asking<'_>,
    attempt: &mut Attempt,
    now: Seconds,
) -> Option<usize> {
    let Attempt {
        tried,
        ip_hash,
        hash,
        walk,
        draws,
        on_backups,
        limited,
        ..
    } = attempt;
    if !*on_backups {
        let primary = match method {
            Balance::IpHash => ip_hash::pick(pool, asking.address, ip_hash, tried, now),
            Balance::Hash => hash::pick(pool, asking.key, hash, tried, now),
            Balance::HashConsistent => hash_consistent::pick(pool, asking.key, walk, tried, now),
            Balance::RandomTwo => random_two::pick(pool, asking.dice, draws, tried, now),
            Balance::RoundRobin => round_robin::pick(pool.group(Group::Primary), tried, now),
            Balance::LeastConn => least_conn::pick(pool.group(Group::Primary), tried, now),
        };
        if primary.is_some() {
            return primary;
        }
        if limited.is_some() {
            // A primary is well and will have a token: no case for the backups.
            return None;
        }
        // As nginx: once a request is with the backups it stays there.
        *on_backups = pool.group(Group::Backup).next().is_some();
    }
    match method {
        Balance::LeastConn => least_conn::pick(pool.group(Group::Backup), tried, now),
        // The other methods know no backups; the configuration refuses them together.
        Balance::RoundRobin
        | Balance::IpHash
        | Balance::Hash
        | Balance::HashConsistent
        | Balance::RandomTwo => round_robin::pick(pool.group(Group::Backup), tried, now),
    }
}

#[cfg(test)]
mod tests;
