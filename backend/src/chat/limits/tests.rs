use proptest::prelude::{prop, prop_assert, proptest};

use super::*;

fn rate(per_second: u32, burst: u32) -> Rate {
    Rate {
        per_second: f64::from(per_second),
        burst,
    }
}

#[test]
fn an_empty_bucket_says_when_to_come_back() {
    let rate = rate(10, 1);
    let start = crate::clock::monotonic();
    let mut bucket = TokenBucket::full(rate, start);
    assert_eq!(bucket.take(rate, start), Ok(()));
    let wait = bucket.take(rate, start).unwrap_err();
    assert_eq!(wait, Duration::from_millis(100));
    assert_eq!(bucket.take(rate, start + wait), Ok(()));
}

#[test]
fn a_message_takes_from_both_buckets_or_from_none() {
    let limits = Limits {
        content_bytes_max: 1024,
        messages_per_second_max: 1,
        messages_burst_max: 3,
        user_messages_per_second_max: 1,
        user_messages_burst_max: 4,
        rooms_per_socket_max: 10,
        page_messages_max: 200,
        join_messages_default: 50,
        edit_window: Duration::from_secs(60),
        reactions_per_message_max: 3,
        emojis_per_message_max: 2,
    };
    let now = crate::clock::monotonic();
    let mut user = TokenBucket::full(limits.user_rate(), now);
    let mut connections = [TokenBucket::full(limits.connection_rate(), now); 2];
    let mut sent = [0, 0];
    for _ in 0..3 {
        for (connection, sent) in connections.iter_mut().zip(&mut sent) {
            let mut buckets = Buckets {
                connection,
                user: &mut user,
            };
            *sent += u32::from(buckets.take(&limits, now).is_ok());
        }
    }
    assert_eq!(
        sent,
        [2, 2],
        "four for the user, whatever connections would allow"
    );
    let [mut first, _] = connections;
    assert_eq!(first.take(limits.connection_rate(), now), Ok(()));
    assert!(first.take(limits.connection_rate(), now).is_err());
}

proptest! {
    #[test]
    fn never_admits_more_than_burst_and_rate(
        rate in 1u32..500,
        burst in 1u32..50,
        pauses_ms in prop::collection::vec(0u64..200, 1..300),
    ) {
        let limit = super::tests::rate(rate, burst);
        let start = crate::clock::monotonic();
        let mut bucket = TokenBucket::full(limit, start);
        let (mut now, mut admitted) = (start, 0u32);
        for pause_ms in pauses_ms {
            now += Duration::from_millis(pause_ms);
            admitted += u32::from(bucket.take(limit, now).is_ok());
            let allowed = f64::from(burst) + (now - start).as_secs_f64() * f64::from(rate);
            prop_assert!(f64::from(admitted) <= allowed + 1e-6, "{admitted} admitted, {allowed} allowed");
        }
    }

    #[test]
    fn a_clock_that_steps_back_is_survived(back_ms in 0u64..10_000) {
        let rate = rate(1, 2);
        let start = crate::clock::monotonic() + Duration::from_secs(60);
        let mut bucket = TokenBucket::full(rate, start);
        prop_assert!(bucket.take(rate, start.checked_sub(Duration::from_millis(back_ms)).unwrap()).is_ok());
    }
}
