use proptest::prelude::{prop, prop_assert, proptest};

use super::*;

fn limits(messages_per_second_max: u32, messages_burst_max: u32) -> Limits {
    Limits {
        content_bytes_max: 1024,
        messages_per_second_max,
        messages_burst_max,
        rooms_per_socket_max: 10,
        page_messages_max: 200,
        join_messages_default: 50,
        edit_window: Duration::from_secs(60),
        reactions_per_message_max: 3,
        emojis_per_message_max: 2,
    }
}

#[test]
fn an_empty_bucket_says_when_to_come_back() {
    let limits = limits(10, 1);
    let start = crate::clock::monotonic();
    let mut bucket = TokenBucket::full(&limits, start);
    assert_eq!(bucket.take(&limits, start), Ok(()));
    let wait = bucket.take(&limits, start).unwrap_err();
    assert_eq!(wait, Duration::from_millis(100));
    assert_eq!(bucket.take(&limits, start + wait), Ok(()));
}

proptest! {
    #[test]
    fn never_admits_more_than_burst_and_rate(
        rate in 1u32..500,
        burst in 1u32..50,
        pauses_ms in prop::collection::vec(0u64..200, 1..300),
    ) {
        let limits = limits(rate, burst);
        let start = crate::clock::monotonic();
        let mut bucket = TokenBucket::full(&limits, start);
        let (mut now, mut admitted) = (start, 0u32);
        for pause_ms in pauses_ms {
            now += Duration::from_millis(pause_ms);
            admitted += u32::from(bucket.take(&limits, now).is_ok());
            let allowed = f64::from(burst) + (now - start).as_secs_f64() * f64::from(rate);
            prop_assert!(f64::from(admitted) <= allowed + 1e-6, "{admitted} admitted, {allowed} allowed");
        }
    }

    #[test]
    fn a_clock_that_steps_back_is_survived(back_ms in 0u64..10_000) {
        let limits = limits(1, 2);
        let start = crate::clock::monotonic() + Duration::from_secs(60);
        let mut bucket = TokenBucket::full(&limits, start);
        prop_assert!(bucket.take(&limits, start.checked_sub(Duration::from_millis(back_ms)).unwrap()).is_ok());
    }
}
