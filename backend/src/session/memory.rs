//! Session records in memory: for tests and for trying things out. Everybody is logged out when the process ends.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::record::Lifetime;
use super::{Session, SessionError, SessionTtl, Sessions, now_ms};

/// Records held at once. Anybody may open a guest session, so there must be an end; a hundred thousand take some 50 MB.
const RECORDS_MAX: usize = 100_000;

/// A keeper that forgets. Share it in an `Arc` to have several instances on the same records.
pub struct MemorySessions {
    ttl: SessionTtl,
    now_ms: Box<dyn Fn() -> i64 + Send + Sync>,
    records_max: usize,
    records: Mutex<HashMap<String, Record>>,
}

#[derive(Debug)]
struct Record {
    session: Session,
    ends_ms: i64,
}

impl MemorySessions {
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(now_ms, RECORDS_MAX)
    }

    /// Keeps records without an end of their own for that long.
    #[must_use]
    pub fn with_ttl(self, ttl: SessionTtl) -> Self {
        Self { ttl, ..self }
    }

    fn with_clock(now_ms: impl Fn() -> i64 + Send + Sync + 'static, records_max: usize) -> Self {
        Self {
            ttl: SessionTtl::default(),
            now_ms: Box::new(now_ms),
            records_max,
            records: Mutex::default(),
        }
    }

    /// Every change is complete before anything can panic, so a poisoned lock guards sound data.
    fn records(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemorySessions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessions")
            .field("records", &self.records().len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Sessions for MemorySessions {
    async fn load(&self, sid: &str) -> Result<Option<Session>, SessionError> {
        let now_ms = (self.now_ms)();
        let records = self.records();
        let alive = records.get(sid).filter(|record| record.ends_ms > now_ms);
        Ok(alive.map(|record| record.session.clone()))
    }

    async fn save(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        let now_ms = (self.now_ms)();
        let session = session.checked()?.renewed(now_ms);
        let mut records = self.records();
        let Lifetime::Seconds(seconds) = session.lifetime(now_ms, self.ttl) else {
            records.remove(sid);
            return Ok(());
        };
        if records.len() >= self.records_max && !records.contains_key(sid) {
            records.retain(|_, record| record.ends_ms > now_ms);
            if records.len() >= self.records_max {
                return Err(SessionError::Unavailable(format!(
                    "{} sessions are open",
                    records.len()
                )));
            }
        }
        records.insert(
            sid.to_owned(),
            Record {
                session,
                ends_ms: end_ms(now_ms, seconds),
            },
        );
        Ok(())
    }

    async fn touch(&self, sid: &str, session: &Session) -> Result<(), SessionError> {
        let now_ms = (self.now_ms)();
        let mut records = self.records();
        match session.renewed(now_ms).lifetime(now_ms, self.ttl) {
            Lifetime::Over => drop(records.remove(sid)),
            Lifetime::Seconds(seconds) => {
                if let Some(record) = records.get_mut(sid)
                    && record.ends_ms > now_ms
                {
                    record.ends_ms = end_ms(now_ms, seconds);
                }
            }
        }
        Ok(())
    }

    async fn destroy(&self, sid: &str) -> Result<(), SessionError> {
        self.records().remove(sid);
        Ok(())
    }
}

pub(super) fn end_ms(now_ms: i64, seconds: u32) -> i64 {
    now_ms.saturating_add(i64::from(seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::{MemorySessions, SessionError, Sessions};
    use crate::session::contract::{
        Fixture, TestClock, clocked_contract, record, session_contract,
    };

    struct Shared(Arc<MemorySessions>, TestClock);

    #[async_trait]
    impl Fixture for Shared {
        async fn fresh() -> Self {
            let clock = TestClock::default();
            let now = clock.clone();
            Self(
                Arc::new(MemorySessions::with_clock(move || now.now_ms(), 1000)),
                clock,
            )
        }

        async fn open(&self) -> Arc<dyn Sessions> {
            self.0.clone()
        }

        fn clock(&self) -> Option<&TestClock> {
            Some(&self.1)
        }

        async fn clear(self) {}
    }

    session_contract!(Shared);
    clocked_contract!(Shared);

    #[tokio::test]
    async fn a_full_keeper_refuses_new_sessions_until_old_ones_are_over() {
        let clock = TestClock::default();
        let now = clock.clone();
        let sessions = MemorySessions::with_clock(move || now.now_ms(), 2);
        let hour = record(r#"{"originalMaxAge":3600000}"#);
        sessions.save("a", &hour).await.unwrap();
        sessions.save("b", &hour).await.unwrap();
        let refused = sessions.save("c", &hour).await;
        assert!(matches!(refused, Err(SessionError::Unavailable(_))));
        sessions.save("a", &hour).await.unwrap();
        clock.advance_ms(3_600_000);
        sessions.save("c", &hour).await.unwrap();
        assert_eq!(sessions.records().len(), 1);
    }
}
