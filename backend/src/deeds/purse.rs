//! What somebody may spend: the bucket of their connection, and the one that all connections of a user on this server share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::chat::limits::{Buckets, Limits, Rate, TokenBucket};

/// Callers over HTTP remembered at once. Beyond, those are forgotten who have spent nothing lately.
const CALLERS_MAX: usize = 10_000;

/// What messages and deeds are paid from.
pub(crate) struct Purse {
    connection: Mutex<TokenBucket>,
    share: Arc<Share>,
}

impl Purse {
    /// That of a new connection of this user.
    pub(crate) fn new(shares: &Shares, user_id: &str, limits: &Limits, now: Instant) -> Self {
        Self {
            connection: Mutex::new(TokenBucket::full(limits.connection_rate(), now)),
            share: shares.of(user_id, limits.user_rate(), now),
        }
    }

    pub(crate) fn with_buckets<T>(&self, decide: impl FnOnce(Buckets<'_>) -> T) -> T {
        let mut connection = self.connection();
        let mut user = self.share.bucket();
        decide(Buckets {
            connection: &mut connection,
            user: &mut user,
        })
    }

    fn is_full(&self, limits: &Limits, now: Instant) -> bool {
        self.connection().is_full(limits.connection_rate(), now)
            && self.share.bucket().is_full(limits.user_rate(), now)
    }

    fn connection(&self) -> MutexGuard<'_, TokenBucket> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The purses of those who call over HTTP: all requests of one user are as one connection.
#[derive(Default)]
pub(crate) struct Purses(Mutex<HashMap<Arc<str>, Arc<Purse>>>);

impl Purses {
    pub(crate) fn of(
        &self,
        shares: &Shares,
        user_id: &str,
        limits: &Limits,
        now: Instant,
    ) -> Arc<Purse> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(purse) = all.get(user_id) {
            return Arc::clone(purse);
        }
        if all.len() >= CALLERS_MAX {
            all.retain(|_, purse| !purse.is_full(limits, now));
        }
        if all.len() >= CALLERS_MAX {
            // All of them have spent something: that many callers at once are a flood, which the other limits are for.
            all.clear();
        }
        let purse = Arc::new(Purse::new(shares, user_id, limits, now));
        all.insert(user_id.into(), Arc::clone(&purse));
        purse
    }
}

/// The users that are connected. An entry goes with the last connection, so there are never more than connections.
#[derive(Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<HashMap<Arc<str>, Weak<Share>>>>);

/// One user's part.
struct Share {
    user_id: Arc<str>,
    bucket: Mutex<TokenBucket>,
    shares: Shares,
}

impl Shares {
    /// The user's share, made when this is the first connection.
    fn of(&self, user_id: &str, rate: Rate, now: Instant) -> Arc<Share> {
        let mut all = self.all();
        if let Some(share) = all.get(user_id).and_then(Weak::upgrade) {
            return share;
        }
        let user_id: Arc<str> = user_id.into();
        let share = Arc::new(Share {
            user_id: Arc::clone(&user_id),
            bucket: Mutex::new(TokenBucket::full(rate, now)),
            shares: self.clone(),
        });
        all.insert(user_id, Arc::downgrade(&share));
        share
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<Share>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    fn bucket(&self) -> MutexGuard<'_, TokenBucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.all();
        // A new connection may have made another one since the count came down to nothing.
        if all
            .get(&self.user_id)
            .is_some_and(|share| share.strong_count() == 0)
        {
            all.remove(&self.user_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn connections_share_while_there_are_any() {
        let (shares, now) = (Shares::default(), clock::monotonic());
        let rate = Rate {
            per_second: 1.0,
            burst: 2,
        };
        let (first, second) = (shares.of("ann", rate, now), shares.of("ann", rate, now));
        let other = shares.of("ben", rate, now);
        assert!(first.bucket().take(rate, now).is_ok());
        assert!(second.bucket().take(rate, now).is_ok());
        assert!(first.bucket().take(rate, now).is_err());
        assert!(other.bucket().take(rate, now).is_ok());
        drop(first);
        let third = shares.of("ann", rate, now);
        assert!(third.bucket().take(rate, now).is_err());
        drop((second, third, other));
        assert!(shares.all().is_empty());
    }
}
