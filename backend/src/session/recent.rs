//! Sessions that were read a short while ago, for the minutes in which their keeper is away.
//!
//! A record that the keeper can be asked about is always asked about; what is remembered only counts when it does not answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Session, SessionError, Sessions};
use crate::clock;
use crate::token::SessionDigest;

/// How long after it was read a record counts: long enough for a Redis that restarts, short enough that somebody whose session was
/// ended meanwhile is not let in for long.
const AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// Records remembered at once; those read longest ago give way. A record takes about half a kilobyte.
const RECORDS_MAX: usize = 10_000;

/// A keeper of sessions, and what it said last.
pub struct RecentSessions<K> {
    keeper: K,
    recent: Mutex<Recent>,
}

impl<K: Sessions> RecentSessions<K> {
    #[must_use]
    pub fn new(keeper: K) -> Self {
        Self {
            keeper,
            recent: Mutex::new(Recent::new(RECORDS_MAX)),
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // Every change is complete before anything can panic.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<K: Sessions> Sessions for RecentSessions<K> {
    async fn load(&self, sid: &str) -> Result<Option<Session>, SessionError> {
        let digest = SessionDigest::of(sid);
        match self.keeper.load(sid).await {
            Ok(Some(session)) => {
                self.recent()
                    .remember(digest, session.clone(), clock::monotonic());
                Ok(Some(session))
            }
            Ok(None) => {
                self.recent().forget(digest);
                Ok(None)
            }
            Err(error @ SessionError::Malformed(_)) => Err(error),
            Err(error @ SessionError::Unavailable(_)) => {
                match self.recent().recall(digest, clock::monotonic()) {
                    Some(session) => {
                        tracing::debug!(%error, "a session that was read before is believed");
                        Ok(Some(session))
                    }
                    None => Err(error),
                }
            }
        }
    }

    async fn save(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        self.keeper.save(sid, session).await
    }

    async fn touch(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        self.keeper.touch(sid, session).await
    }

    async fn destroy(&self, sid: &str) -> Result<(), SessionError> {
        // First: whoever asks us to end a session must not be let in by it, even if the keeper hears of it later.
        self.recent().forget(SessionDigest::of(sid));
        self.keeper.destroy(sid).await
    }

    fn forget(&self, session: SessionDigest) {
        self.recent().forget(session);
    }
}

/// Who was read when. Bounded, the oldest first to go.
struct Recent {
    records: HashMap<SessionDigest, (u64, Instant, Session)>,
    /// The order of reading.
    order: BTreeMap<u64, SessionDigest>,
    next: u64,
    records_max: usize,
}

impl Recent {
    fn new(records_max: usize) -> Self {
        Self {
            records: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            records_max,
        }
    }

    fn remember(&mut self, digest: SessionDigest, session: Session, now: Instant) {
        self.forget(digest);
        self.next += 1;
        self.order.insert(self.next, digest);
        self.records.insert(digest, (self.next, now, session));
        while self.records.len() > self.records_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.records.remove(&oldest);
        }
    }

    fn recall(&self, digest: SessionDigest, now: Instant) -> Option<Session> {
        let (_, read_at, session) = self.records.get(&digest)?;
        (now.saturating_duration_since(*read_at) < AGE_MAX).then(|| session.clone())
    }

    fn forget(&mut self, digest: SessionDigest) {
        if let Some((place, _, _)) = self.records.remove(&digest) {
            self.order.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::session::contract::record;
    use crate::session::memory::MemorySessions;

    /// Sessions that can be taken away.
    #[derive(Default)]
    struct Away {
        sessions: MemorySessions,
        is_away: AtomicBool,
    }

    impl Away {
        fn check(&self) -> Result<(), SessionError> {
            if self.is_away.load(Ordering::SeqCst) {
                return Err(SessionError::Unavailable("away".to_owned()));
            }
            Ok(())
        }
    }

    #[async_trait]
    impl Sessions for Away {
        async fn load(&self, sid: &str) -> Result<Option<Session>, SessionError> {
            self.check()?;
            self.sessions.load(sid).await
        }

        async fn save(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
            self.check()?;
            self.sessions.save(sid, session).await
        }

        async fn touch(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
            self.check()?;
            self.sessions.touch(sid, session).await
        }

        async fn destroy(&self, sid: &str) -> Result<(), SessionError> {
            self.check()?;
            self.sessions.destroy(sid).await
        }
    }

    #[tokio::test]
    async fn what_was_read_counts_while_the_keeper_is_away() {
        let sessions = RecentSessions::new(Away::default());
        let kept = record("{}");
        for sid in ["read", "unread", "ended", "revoked"] {
            sessions.save(sid, &kept).await.unwrap();
        }
        for sid in ["read", "ended", "revoked"] {
            assert_eq!(sessions.load(sid).await, Ok(Some(kept.clone())));
        }
        sessions.keeper.is_away.store(true, Ordering::SeqCst);
        assert!(sessions.destroy("ended").await.is_err());
        sessions.forget(SessionDigest::of("revoked"));
        assert_eq!(sessions.load("read").await, Ok(Some(kept.clone())));
        for sid in ["unread", "ended", "revoked", "never"] {
            let refused = sessions.load(sid).await;
            assert!(
                matches!(refused, Err(SessionError::Unavailable(_))),
                "{sid}"
            );
        }
        // The keeper's word counts again, and takes back what was remembered.
        sessions.keeper.is_away.store(false, Ordering::SeqCst);
        sessions.keeper.sessions.destroy("read").await.unwrap();
        assert_eq!(sessions.load("read").await, Ok(None));
        sessions.keeper.is_away.store(true, Ordering::SeqCst);
        assert!(sessions.load("read").await.is_err());
    }

    #[test]
    fn memory_has_an_end_in_time_and_number() {
        let (start, session) = (clock::monotonic(), record("{}"));
        let digest = |number: u32| SessionDigest::of(&number.to_string());
        let mut recent = Recent::new(3);
        for number in [1, 2, 3, 1, 4] {
            recent.remember(digest(number), session.clone(), start);
        }
        let recalled = |at| {
            (1..=4)
                .filter(|number| recent.recall(digest(*number), at).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(recalled(start), [1, 3, 4], "2 was read longest ago");
        assert_eq!(recalled(start + AGE_MAX), [0; 0]);
        assert_eq!((recent.records.len(), recent.order.len()), (3, 3));
    }
}
