//! What the connections of one user on this server share: the bucket that their messages are taken from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::chat::limits::{Rate, TokenBucket};

/// The users that are connected. An entry goes with the last connection, so there are never more than connections.
#[derive(Clone, Default)]
pub(super) struct Shares(Arc<Mutex<HashMap<Arc<str>, Weak<Share>>>>);

/// One user's part.
pub(super) struct Share {
    user_id: Arc<str>,
    bucket: Mutex<TokenBucket>,
    shares: Shares,
}

impl Shares {
    /// The user's share, made when this is the first connection.
    pub(super) fn of(&self, user_id: &str, rate: Rate, now: Instant) -> Arc<Share> {
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
    pub(super) fn bucket(&self) -> MutexGuard<'_, TokenBucket> {
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
