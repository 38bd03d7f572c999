//! How many new Engine.IO sessions may begin: token buckets, one for an upstream and one for each of its servers.
//!
//! A fleet that lost a server is not killed by the loss but by everybody coming back at once. Owns the buckets, when a
//! storm begins and is over, and when a refused client should come back. Does not know which requests begin a session
//! (`affinity::sid`) nor who is limited (`choose`). Invariant: **in any time `t` a bucket admits at most
//! `burst + rate × t`**. No lock and no allocation: a bucket is one number, the moment until which its tokens are spent.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::settings;

/// On a clock that only goes forward.
pub type Nanos = u64;

const MILLISECOND: Nanos = 1_000_000;
const SECOND: Nanos = 1_000_000_000;
const MINUTE: Nanos = 60 * SECOND;

/// Refused clients that obey come back spread over so many seconds: as many as Socket.IO's own clients take, whose
/// longest pause (`reconnectionDelayMax`) is 5 s.
const SPREAD_SECONDS: u64 = 5;

/// No two threads differ this much about what time it is; so who finds more than this spent has a new rate.
const SKEW: Nanos = SECOND;

/// A storm is over when nobody was refused for this long: those who were have all been back by then.
const CALM: Nanos = 5 * SECOND;

/// How fast a bucket fills and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// From one token to the next. Rounded up, so that the rate is never exceeded.
    interval: Nanos,
    /// What fills it from empty.
    room: Nanos,
}

impl Rate {
    #[must_use]
    pub fn new(rate: settings::Rate) -> Self {
        let interval = MINUTE.div_ceil(rate.per_minute.max(1));
        Self {
            interval,
            room: interval.saturating_mul(u64::from(rate.burst.max(1))),
        }
    }
}

/// How long until there is a token, in milliseconds, rounded up. Small, because every open WebSocket keeps one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait(NonZeroU32);

impl Wait {
    fn of(nanos: Nanos) -> Self {
        let millis = u32::try_from(nanos.div_ceil(MILLISECOND)).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(millis).unwrap_or(NonZeroU32::MIN))
    }

    /// Seconds after which a refused client should come back: when there is a token, and not all at once.
    #[must_use]
    pub fn retry_after_seconds(self, dice: u64) -> u64 {
        u64::from(self.0.get().div_ceil(1000)) + dice % SPREAD_SECONDS
    }
}

/// Tokens. The rate is an argument, so that a reload can change it without emptying or filling the bucket.
#[derive(Debug, Default)]
pub struct Bucket {
    /// Tokens are spent up to this moment. In the past: the bucket is full.
    spent_until: AtomicU64,
    /// How often there was none.
    refused: AtomicU64,
}

impl Bucket {
    /// Takes a token.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&self, rate: Rate, now: Nanos) -> Result<(), Wait> {
        let full = now.saturating_add(rate.room);
        let seen = self.spent_until.load(Relaxed);
        if seen > full.saturating_add(SKEW) {
            // A slower rate emptied it: by this one it is empty, not worse. If somebody was quicker, they did this.
            let _set = self
                .spent_until
                .compare_exchange(seen, full, Relaxed, Relaxed);
        }
        let after = |spent_until: Nanos| spent_until.max(now).saturating_add(rate.interval);
        let taken = self
            .spent_until
            .fetch_update(Relaxed, Relaxed, |spent_until| {
                Some(after(spent_until)).filter(|after| *after <= full)
            });
        taken.map(drop).map_err(|spent_until| {
            self.refused.fetch_add(1, Relaxed);
            Wait::of(after(spent_until).saturating_sub(full))
        })
    }

    /// Puts a token back that nothing came of.
    pub fn give_back(&self, rate: Rate) {
        // The closure always answers, so the update cannot be refused.
        let _previous = self
            .spent_until
            .fetch_update(Relaxed, Relaxed, |spent_until| {
                Some(spent_until.saturating_sub(rate.interval))
            });
    }

    /// How often there was no token.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// What an upstream knows of its handshakes. Shared by every snapshot that has the upstream.
#[derive(Debug, Default)]
pub struct Gate {
    pub bucket: Bucket,
    refused: AtomicU64,
    last_refused: AtomicU64,
    is_limiting: AtomicBool,
}

impl Gate {
    /// Takes note that a handshake was refused, for whichever bucket; tells whether a storm begins with it.
    pub fn refuse(&self, now: Nanos) -> bool {
        self.refused.fetch_add(1, Relaxed);
        self.last_refused.fetch_max(now, Relaxed);
        !self.is_limiting.swap(true, Relaxed)
    }

    /// How long until the storm may be over; `None`: it is now.
    #[must_use]
    pub fn calms_in(&self, now: Nanos) -> Option<Nanos> {
        let calm = self.last_refused.load(Relaxed).saturating_add(CALM);
        if now < calm {
            return Some(calm - now);
        }
        self.is_limiting.store(false, Relaxed);
        None
    }

    #[must_use]
    pub fn is_limiting(&self) -> bool {
        self.is_limiting.load(Relaxed)
    }

    /// Handshakes refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

#[cfg(test)]
mod tests;
