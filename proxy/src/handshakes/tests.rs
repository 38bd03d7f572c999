use proptest::prelude::*;

use super::*;

fn rate(per_minute: u64, burst: u32) -> Rate {
    Rate::new(settings::Rate { per_minute, burst })
}

const START: Nanos = 17 * SECOND;

/// Takes at these milliseconds; `+` admitted, else the milliseconds to wait.
#[track_caller]
fn check(rate: Rate, at: &[u64], told: &str) {
    let bucket = Bucket::default();
    let words: Vec<String> = at
        .iter()
        .map(|millis| START + millis * 1_000_000)
        .map(|now| match bucket.take(rate, now) {
            Ok(()) => "+".to_owned(),
            Err(wait) => wait.0.to_string(),
        })
        .collect();
    assert_eq!(words.join(" "), told);
}

#[test]
fn a_burst_passes_at_once_and_then_the_rate() {
    let two_a_second = rate(120, 3);
    check(
        two_a_second,
        &[0, 0, 0, 0, 250, 500, 500, 1000],
        "+ + + 500 250 + 500 +",
    );
}

#[test]
fn a_quiet_time_fills_it_up_to_the_burst_and_no_further() {
    check(rate(60, 2), &[0, 0, 9000, 9000, 9000], "+ + + + 1000");
}

#[test]
fn a_refusal_costs_nothing() {
    check(rate(60, 1), &[0, 100, 200, 900, 1000], "+ 900 800 100 +");
}

#[test]
fn a_token_that_came_to_nothing_is_there_again() {
    let (bucket, rate) = (Bucket::default(), rate(1, 1));
    bucket.take(rate, START).unwrap();
    bucket.take(rate, START).unwrap_err();
    bucket.give_back(rate);
    bucket.take(rate, START).unwrap();
    assert_eq!(bucket.refused(), 1);
}

#[test]
fn a_changed_rate_holds_at_once() {
    let bucket = Bucket::default();
    let slow = rate(1, 5);
    for _ in 0..5 {
        bucket.take(slow, START).unwrap();
    }
    assert_eq!(bucket.take(slow, START), Err(Wait::of(MINUTE)));
    let quick = rate(6000, 5);
    assert_eq!(bucket.take(quick, START), Err(Wait::of(SECOND / 100)));
    bucket.take(quick, START + SECOND / 100).unwrap();
}

#[test]
fn a_storm_begins_once_and_ends_when_nobody_was_refused_for_a_while() {
    let gate = Gate::default();
    assert!(gate.refuse(START) && gate.is_limiting());
    assert!(!gate.refuse(START + SECOND));
    assert_eq!(gate.calms_in(START + 2 * SECOND), Some(CALM - SECOND));
    assert!(gate.is_limiting());
    assert_eq!(gate.calms_in(START + SECOND + CALM), None);
    assert!(!gate.is_limiting());
    assert_eq!(gate.refused(), 2);
    assert!(gate.refuse(START + MINUTE));
}

proptest! {
    #[test]
    fn it_never_admits_more_than_burst_and_rate(
        per_minute in 1_u64..600_000, burst in 1_u32..50,
        steps in prop::collection::vec(0_u64..300 * SECOND / 1000, 1..300),
    ) {
        let (bucket, rate) = (Bucket::default(), rate(per_minute, burst));
        let (mut now, mut admitted) = (START, Vec::new());
        for step in steps {
            now += step;
            if bucket.take(rate, now).is_ok() {
                admitted.push(now);
            }
        }
        for (first, begin) in admitted.iter().enumerate() {
            for (last, end) in admitted.iter().enumerate().skip(first) {
                let most = f64::from(burst) + per_minute as f64 * (end - begin) as f64 / MINUTE as f64;
                prop_assert!((last - first + 1) as f64 <= most + 1e-6);
            }
        }
    }

    #[test]
    fn it_refuses_nobody_below_the_rate(
        per_minute in 1_u64..600_000, burst in 1_u32..50,
        pauses in prop::collection::vec(100_u64..400, 1..300),
    ) {
        let (bucket, rate) = (Bucket::default(), rate(per_minute, burst));
        let mut now = START;
        for pause in pauses {
            now += (rate.interval * pause).div_ceil(100);
            prop_assert_eq!(bucket.take(rate, now), Ok(()));
        }
    }

    #[test]
    fn whoever_waits_as_long_as_told_is_admitted(
        per_minute in 1_u64..600_000, burst in 1_u32..50, takes in 1_usize..100,
    ) {
        let (bucket, rate) = (Bucket::default(), rate(per_minute, burst));
        let refused = (0..takes).find_map(|_| bucket.take(rate, START).err());
        if let Some(wait) = refused {
            let told = START + u64::from(wait.0.get()) * MILLISECOND;
            prop_assert!(bucket.take(rate, told - 1 - rate.interval.max(MILLISECOND)).is_err());
            prop_assert_eq!(bucket.take(rate, told), Ok(()));
        }
    }

    #[test]
    fn clients_are_told_to_come_back_after_the_wait_and_spread(wait in 0..2 * MINUTE, dice: u64) {
        let seconds = Wait::of(wait).retry_after_seconds(dice);
        prop_assert!(seconds >= 1 && seconds * SECOND >= wait);
        prop_assert!(seconds * SECOND < wait + SECOND + SPREAD_SECONDS * SECOND);
        let told: std::collections::HashSet<_> = (0..SPREAD_SECONDS).map(|dice| Wait::of(wait).retry_after_seconds(dice)).collect();
        prop_assert_eq!(told.len() as u64, SPREAD_SECONDS);
    }
}

#[test]
fn many_threads_get_no_more_than_there_is() {
    let (bucket, rate) = (Bucket::default(), rate(60, 100));
    let admitted: usize = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let takes = (0..100).map(|_| bucket.take(rate, START));
                    takes.filter(Result::is_ok).count()
                })
            })
            .collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!(admitted, 100);
    assert_eq!(bucket.refused(), 700);
}
