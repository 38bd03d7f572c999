use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fred::interfaces::{ClientInterface, KeysInterface};
use uuid::Uuid;

use super::{RedisSessions, SessionTtl};
use crate::session::contract::{Fixture, TestClock, eventually, record, session_contract};
use crate::session::{SessionError, Sessions};

#[allow(
    clippy::disallowed_methods,
    reason = "where the tests' Redis is, only the environment knows"
)]
fn url() -> String {
    std::env::var("REDIS_URL").expect(
        "REDIS_URL is not set: `./ci.sh` starts a Redis and sets it, or run `redis-server` and \
         `REDIS_URL=redis://127.0.0.1:6379 cargo test`; `--skip needs_redis_` leaves these tests out",
    )
}

/// A prefix of its own in the tests' Redis.
struct OwnPrefix(String);

impl OwnPrefix {
    async fn connect(&self) -> RedisSessions {
        let sessions = RedisSessions::with_prefix(&url(), SessionTtl::default(), &self.0).unwrap();
        assert!(
            sessions.wait_connected(Duration::from_secs(5)).await,
            "no Redis at {}",
            url()
        );
        sessions
    }
}

#[async_trait]
impl Fixture for OwnPrefix {
    async fn fresh() -> Self {
        Self(format!("test:{}:", Uuid::new_v4()))
    }

    async fn open(&self) -> Arc<dyn Sessions> {
        Arc::new(self.connect().await)
    }

    fn clock(&self) -> Option<&TestClock> {
        None
    }

    async fn clear(self) {}
}

mod needs_redis_contract {
    use super::{OwnPrefix, session_contract};

    session_contract!(OwnPrefix);
}

#[tokio::test]
async fn needs_redis_records_are_connect_redis() {
    let fixture = OwnPrefix::fresh().await;
    let sessions = fixture.connect().await;
    let redis = sessions.client.clone();
    let key = format!("{}sid", fixture.0);

    let day = record(r#"{"originalMaxAge":null,"expires":null,"path":"/"}"#);
    sessions.save("sid", &day).await.unwrap();
    let text: String = redis.get(&key).await.unwrap();
    assert_eq!(text, day.to_json());
    let ttl: i64 = redis.ttl(&key).await.unwrap();
    assert!((86_390..=86_400).contains(&ttl), "{ttl}");

    let hour = record(r#"{"originalMaxAge":3600000,"expires":"2001-01-01T00:00:00.000Z"}"#);
    sessions.save("sid", &hour).await.unwrap();
    let ttl: i64 = redis.ttl(&key).await.unwrap();
    assert!((3590..=3600).contains(&ttl), "{ttl}");

    // Touching moves the key's end and leaves the record as it is.
    let () = redis
        .set(&key, hour.to_json(), None, None, false)
        .await
        .unwrap();
    sessions.touch("sid", &hour).await.unwrap();
    let ttl: i64 = redis.ttl(&key).await.unwrap();
    assert!((3590..=3600).contains(&ttl), "{ttl}");
    assert_eq!(sessions.load("sid").await, Ok(Some(hour)));
    sessions.destroy("sid").await.unwrap();
    let left: i64 = redis.exists(&key).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn needs_redis_strangers_records_are_malformed() {
    let fixture = OwnPrefix::fresh().await;
    let sessions = fixture.connect().await;
    let key = format!("{}sid", fixture.0);
    let () = sessions
        .client
        .set(&key, "hello", None, None, false)
        .await
        .unwrap();
    assert!(matches!(
        sessions.load("sid").await,
        Err(SessionError::Malformed(_))
    ));
    sessions.destroy("sid").await.unwrap();
}

#[tokio::test]
async fn needs_redis_the_first_call_waits_for_the_connection() {
    let sessions = RedisSessions::connect(&url(), SessionTtl::default()).unwrap();
    assert!(!sessions.is_connected());
    assert_eq!(sessions.load("nobody").await, Ok(None));
}

#[tokio::test]
async fn needs_redis_a_lost_connection_comes_back() {
    let fixture = OwnPrefix::fresh().await;
    let sessions = Arc::new(fixture.connect().await);
    let kept = record("{}");
    sessions.save("sid", &kept).await.unwrap();
    let id: i64 = sessions.client.client_id().await.unwrap();
    let other = fixture.connect().await;
    let killed: i64 = other
        .client
        .client_kill(vec![fred::types::client::ClientKillFilter::ID(
            id.to_string(),
        )])
        .await
        .unwrap();
    assert_eq!(killed, 1);
    eventually("the session is read again", async || {
        sessions.load("sid").await == Ok(Some(kept.clone()))
    })
    .await;
    sessions.destroy("sid").await.unwrap();
}

#[tokio::test]
async fn without_redis_every_call_fails_soon() {
    // Nothing listens on the discard port.
    let sessions = RedisSessions::connect("redis://127.0.0.1:9", SessionTtl::default()).unwrap();
    let calls = async {
        let kept = record("{}");
        for outcome in [
            sessions.load("sid").await.map(drop),
            sessions.save("sid", &kept).await,
            sessions.touch("sid", &kept).await,
            sessions.destroy("sid").await,
        ] {
            assert!(
                matches!(outcome, Err(SessionError::Unavailable(_))),
                "{outcome:?}"
            );
        }
    };
    // Once the first connection has had its second, at once.
    tokio::time::timeout(Duration::from_secs(3), calls)
        .await
        .unwrap();
    assert!(!sessions.is_connected());
}

#[tokio::test]
async fn a_bad_url_is_refused_without_showing_it() {
    for url in [
        "",
        "localhost",
        "http://:secret@host",
        "redis://:secret@host:port",
    ] {
        let why = RedisSessions::connect(url, SessionTtl::default())
            .unwrap_err()
            .to_string();
        assert!(!why.contains("secret"), "{why}");
    }
}
