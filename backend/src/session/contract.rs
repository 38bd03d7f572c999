//! What every keeper of sessions must do: one suite, run for memory, SQLite and Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::{Session, SessionError, Sessions};

/// Records of its own, and ways to them.
#[async_trait]
pub(super) trait Fixture: Sized + Send + Sync {
    async fn fresh() -> Self;
    /// A further handle on these records.
    async fn open(&self) -> Arc<dyn Sessions>;
    /// The clock that decides what is over; none when that is Redis' own.
    fn clock(&self) -> Option<&TestClock>;
    async fn clear(self);
}

/// A clock that tests move.
#[derive(Clone, Debug)]
pub(super) struct TestClock(Arc<AtomicI64>);

impl Default for TestClock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(1_795_339_157_084)))
    }
}

impl TestClock {
    pub(super) fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn advance_ms(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

/// Makes one test per behaviour for a fixture.
macro_rules! session_contract {
    ($fixture:ty) => {
        $crate::session::contract::behaviours! { $fixture:
            a_missing_record_is_none
            a_record_comes_back_as_it_went
            the_last_save_wins
            a_destroyed_record_is_gone
            touching_a_missing_record_does_nothing
            a_record_without_a_cookie_is_refused
            a_record_that_is_over_is_removed
            saving_renews_a_sliding_age
            records_do_not_mix
        }
    };
}
pub(super) use session_contract;

/// The behaviours that need a clock which tests can move.
macro_rules! clocked_contract {
    ($fixture:ty) => {
        $crate::session::contract::behaviours! { $fixture:
            a_record_ends
            touching_starts_the_time_anew
        }
    };
}
pub(super) use clocked_contract;

macro_rules! behaviours {
    ($fixture:ty: $($behaviour:ident)+) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                use $crate::session::contract::{self, Fixture as _};
                let fixture = <$fixture>::fresh().await;
                contract::$behaviour(&fixture).await;
                fixture.clear().await;
            }
        )+
    };
}
pub(super) use behaviours;

/// A record with that `cookie` object and something of an app's.
pub(super) fn record(cookie: &str) -> Session {
    Session::parse(&format!(r#"{{"cookie":{cookie},"cart":[1,2]}}"#)).unwrap()
}

/// Waits until the condition holds; a bound that only a broken program reaches.
pub(super) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let held = async {
        let mut polls = tokio::time::interval(Duration::from_millis(10));
        loop {
            polls.tick().await;
            if condition().await {
                return;
            }
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(10), held)
            .await
            .is_ok(),
        "never: {what}"
    );
}

pub(super) async fn a_missing_record_is_none(fixture: &impl Fixture) {
    assert_eq!(fixture.open().await.load("nobody").await, Ok(None));
}

pub(super) async fn a_record_comes_back_as_it_went(fixture: &impl Fixture) {
    let text = r#"{"z":{"b":1,"a":[null,true,-1.5,"\u0000"]},"cookie":{"path":"/","expires":null,"originalMaxAge":null,"x":1},"a":"Küche 🍳 \"'","":{}}"#;
    let session = Session::parse(text).unwrap();
    fixture.open().await.save("sid", &session).await.unwrap();
    let loaded = fixture.open().await.load("sid").await.unwrap().unwrap();
    assert_eq!(loaded.to_json(), text, "every field, in its order");
    fixture.open().await.destroy("sid").await.unwrap();
}

pub(super) async fn the_last_save_wins(fixture: &impl Fixture) {
    let sessions = fixture.open().await;
    let (one, two) = (record(r#"{"n":1}"#), record(r#"{"n":2}"#));
    sessions.save("sid", &one).await.unwrap();
    sessions.save("sid", &two).await.unwrap();
    assert_eq!(sessions.load("sid").await, Ok(Some(two)));
    sessions.destroy("sid").await.unwrap();
}

pub(super) async fn a_destroyed_record_is_gone(fixture: &impl Fixture) {
    let sessions = fixture.open().await;
    sessions.save("sid", &record("{}")).await.unwrap();
    sessions.destroy("sid").await.unwrap();
    assert_eq!(sessions.load("sid").await, Ok(None));
    sessions.destroy("sid").await.unwrap();
}

pub(super) async fn touching_a_missing_record_does_nothing(fixture: &impl Fixture) {
    let sessions = fixture.open().await;
    sessions.touch("sid", &record("{}")).await.unwrap();
    assert_eq!(sessions.load("sid").await, Ok(None));
}

pub(super) async fn a_record_without_a_cookie_is_refused(fixture: &impl Fixture) {
    let sessions = fixture.open().await;
    let bare = Session(serde_json::Map::from_iter([(
        "user".to_owned(),
        Value::from("ann"),
    )]));
    let refused = sessions.save("sid", &bare).await;
    assert!(
        matches!(refused, Err(SessionError::Malformed(_))),
        "{refused:?}"
    );
    assert_eq!(sessions.load("sid").await, Ok(None));
}

pub(super) async fn a_record_that_is_over_is_removed(fixture: &impl Fixture) {
    let sessions = fixture.open().await;
    for over in [
        r#"{"originalMaxAge":null,"expires":"2001-01-01T00:00:00.000Z"}"#,
        r#"{"originalMaxAge":-1}"#,
    ] {
        sessions.save("saved", &record("{}")).await.unwrap();
        sessions.save("saved", &record(over)).await.unwrap();
        assert_eq!(sessions.load("saved").await, Ok(None), "{over}");
        sessions.save("touched", &record("{}")).await.unwrap();
        sessions.touch("touched", &record(over)).await.unwrap();
        assert_eq!(sessions.load("touched").await, Ok(None), "{over}");
    }
}

pub(super) async fn saving_renews_a_sliding_age(fixture: &impl Fixture) {
    let sessions = fixture.open().await;
    let stale = record(r#"{"originalMaxAge":3600000,"expires":"2001-01-01T00:00:00.000Z"}"#);
    sessions.save("sid", &stale).await.unwrap();
    let loaded = sessions.load("sid").await.unwrap().unwrap();
    let expires = loaded.0["cookie"]["expires"].as_str().unwrap();
    assert!(expires > "2026-01-01", "{expires}");
    sessions.destroy("sid").await.unwrap();
}

pub(super) async fn records_do_not_mix(fixture: &impl Fixture) {
    let sessions = fixture.open().await;
    let sids = ["a", "A", "a ", "a:b", "*", "ä", "%"];
    for (n, sid) in sids.iter().enumerate() {
        sessions
            .save(sid, &record(&format!(r#"{{"n":{n}}}"#)))
            .await
            .unwrap();
    }
    sessions.destroy("*").await.unwrap();
    for (n, sid) in sids.iter().enumerate() {
        let kept = (*sid != "*").then(|| record(&format!(r#"{{"n":{n}}}"#)));
        assert_eq!(sessions.load(sid).await, Ok(kept), "{sid:?}");
        sessions.destroy(sid).await.unwrap();
    }
}

pub(super) async fn a_record_ends(fixture: &impl Fixture) {
    let (sessions, clock) = (fixture.open().await, fixture.clock().unwrap());
    sessions
        .save("minute", &record(r#"{"originalMaxAge":60000}"#))
        .await
        .unwrap();
    sessions
        .save("day", &record(r#"{"originalMaxAge":null}"#))
        .await
        .unwrap();
    let alive = async || {
        let lives = async |sid| sessions.load(sid).await.unwrap().is_some();
        (lives("minute").await, lives("day").await)
    };
    clock.advance_ms(59_999);
    assert_eq!(alive().await, (true, true));
    clock.advance_ms(1);
    assert_eq!(alive().await, (false, true));
    clock.advance_ms(86_400_000);
    assert_eq!(alive().await, (false, false));
}

pub(super) async fn touching_starts_the_time_anew(fixture: &impl Fixture) {
    let (sessions, clock) = (fixture.open().await, fixture.clock().unwrap());
    let minute = record(r#"{"originalMaxAge":60000}"#);
    sessions.save("sid", &minute).await.unwrap();
    let saved = sessions.load("sid").await.unwrap().unwrap();
    for _ in 0..3 {
        clock.advance_ms(59_000);
        sessions.touch("sid", &saved).await.unwrap();
        assert_eq!(
            sessions.load("sid").await,
            Ok(Some(saved.clone())),
            "the record stays as it is"
        );
    }
    clock.advance_ms(60_000);
    sessions.touch("sid", &saved).await.unwrap();
    assert_eq!(
        sessions.load("sid").await,
        Ok(None),
        "what is over stays over"
    );
}
