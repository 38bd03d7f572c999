use std::sync::Arc;

use async_trait::async_trait;
use fred::interfaces::KeysInterface as _;
use uuid::Uuid;

use super::*;
use crate::presence::contract::Fixture;

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

/// Keys of its own in the tests' Redis.
struct OwnKeys(String);

impl OwnKeys {
    async fn presence(&self) -> RedisPresence {
        let presence = RedisPresence::with_prefix(&url(), &self.0).unwrap();
        presence.client.wait_for_connect().await.unwrap();
        presence
    }
}

#[async_trait]
impl Fixture for OwnKeys {
    async fn fresh() -> Self {
        Self(format!("test-{}:", Uuid::new_v4().simple()))
    }

    async fn open(&self) -> Arc<dyn Presence> {
        Arc::new(self.presence().await)
    }

    /// Redis' clock cannot be moved: this waits for it.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time + Duration::from_millis(20)).await;
    }

    /// Cleaning up leaves nothing, whatever the test did.
    async fn clear(self) {
        let presence = self.presence().await;
        let keys: Vec<String> = presence
            .commands
            .eval(
                "return redis.call('KEYS', ARGV[1])",
                Vec::<String>::new(),
                format!("{}*", self.0),
            )
            .await
            .unwrap();
        let left: Vec<&String> = keys.iter().filter(|key| key.contains("pres:")).collect();
        let rooms: Vec<_> = left
            .iter()
            .filter(|key| !key.contains("pres:reap:"))
            .collect();
        assert!(rooms.is_empty(), "left behind: {rooms:?}");
        if !keys.is_empty() {
            presence.commands.del::<(), _>(keys).await.unwrap();
        }
    }
}

mod needs_redis_contract {
    use super::OwnKeys;
    use crate::presence::contract::presence_contract;

    presence_contract!(OwnKeys);
}

#[test]
fn a_large_change_is_written_in_pieces() {
    let people = |count: usize| {
        (0..count)
            .map(|n| (n.to_string(), "x".to_owned()))
            .collect()
    };
    let change = Change {
        add: people(1_201),
        remove: (0..501).map(|n| n.to_string()).collect(),
        is_last: false,
    };
    let sizes: Vec<usize> = pieces(&change).iter().map(Vec::len).collect();
    assert_eq!(sizes, [1_001, 1_001, 403, 501, 2]);
    assert!(pieces(&Change::default()).is_empty());
}

#[tokio::test]
async fn without_redis_everything_fails_and_nothing_waits_long() {
    let presence = RedisPresence::connect("redis://127.0.0.1:1").unwrap();
    let me = InstanceId::new("a", 1, Uuid::new_v4());
    let lease = Duration::from_secs(9);
    let room = RoomId::parse("r").unwrap();
    let all = async {
        assert!(presence.beat(&me, lease).await.is_err());
        assert!(presence.read(&room).await.is_err());
        assert!(presence.leave(&me).await.is_err());
    };
    tokio::time::timeout(Duration::from_secs(5), all)
        .await
        .expect("it waits");
    assert!(RedisPresence::connect("http://127.0.0.1").is_err());
}
