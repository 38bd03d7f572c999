use proptest::prelude::*;

use super::*;
use crate::pool::tests::{pool, servers};

/// Where the proxy's clock starts: far from zero, as nginx's.
const START: Seconds = 1_000_000;

fn three_strikes() -> Pool {
    let servers = servers("a b").map(|server| Server {
        max_fails: 3,
        fail_timeout: 30,
        ..server
    });
    Pool::new(servers)
}

#[test]
fn a_server_goes_out_at_max_fails_and_says_so_once() {
    let pool = three_strikes();
    let a = &pool.servers()[0];
    assert_eq!(failed(&pool, a, START), Transition::None);
    assert_eq!(failed(&pool, a, START), Transition::None);
    assert!(may_serve(a, START));
    assert_eq!(failed(&pool, a, START), Transition::Out);
    assert_eq!(failed(&pool, a, START), Transition::None);
    assert!(!may_serve(a, START));
}

#[test]
fn the_window_is_closed_through_its_last_second() {
    let pool = three_strikes();
    let a = &pool.servers()[0];
    for _ in 0..3 {
        failed(&pool, a, START);
    }
    assert!(!may_serve(a, START + 30));
    assert!(may_serve(a, START + 31));
}

#[test]
fn one_probe_opens_per_window() {
    let pool = three_strikes();
    let a = &pool.servers()[0];
    for _ in 0..3 {
        failed(&pool, a, START);
    }
    assert!(pick(a, START + 31));
    assert!(
        !may_serve(a, START + 31),
        "the probe is under way, nobody else may go"
    );
    assert_eq!(succeeded(&pool, a, START + 31), Transition::Back);
    assert!(may_serve(a, START + 31));
}

#[test]
fn a_failed_probe_closes_the_window_again() {
    let pool = three_strikes();
    let a = &pool.servers()[0];
    for _ in 0..3 {
        failed(&pool, a, START);
    }
    assert!(pick(a, START + 31));
    assert_eq!(failed(&pool, a, START + 32), Transition::None);
    assert!(!may_serve(a, START + 62));
    assert!(may_serve(a, START + 63));
}

#[test]
fn it_is_no_sliding_window() {
    let pool = three_strikes();
    let a = &pool.servers()[0];
    for n in 0..3 {
        failed(&pool, a, START + 20 * n);
    }
    assert!(
        !may_serve(a, START + 40),
        "three failures 20 s apart, though fail_timeout is 30 s"
    );
}

#[test]
fn a_success_before_the_window_passed_clears_nothing() {
    let pool = three_strikes();
    let a = &pool.servers()[0];
    failed(&pool, a, START);
    assert!(pick(a, START + 1));
    assert_eq!(succeeded(&pool, a, START + 1), Transition::None);
    failed(&pool, a, START + 2);
    failed(&pool, a, START + 2);
    assert!(!may_serve(a, START + 2));
}

#[test]
fn max_fails_zero_never_goes_out() {
    let pool = Pool::new(servers("a b").map(|server| Server {
        max_fails: 0,
        ..server
    }));
    for _ in 0..100 {
        assert_eq!(failed(&pool, &pool.servers()[0], START), Transition::None);
    }
    assert!(may_serve(&pool.servers()[0], START));
}

#[test]
fn the_only_server_is_never_out() {
    let pool = pool("a");
    assert_eq!(failed(&pool, &pool.servers()[0], START), Transition::None);
    assert!(may_serve(&pool.servers()[0], START));
}

#[test]
fn a_failure_costs_weight_and_never_below_zero() {
    let pool = Pool::new(servers("a=10 b").map(|server| Server {
        max_fails: 3,
        ..server
    }));
    let a = &pool.servers()[0];
    let weight = || a.state.effective_weight.load(Relaxed);
    failed(&pool, a, START);
    assert_eq!(weight(), 7);
    for _ in 0..9 {
        failed(&pool, a, START);
    }
    assert_eq!(weight(), 0);
}

fn sliding() -> Pool {
    Pool::new(servers("a b").map(|server| Server {
        max_fails: 3,
        fail_timeout: 30,
        failure_window: Some(30),
        ..server
    }))
}

#[test]
fn a_failure_window_slides() {
    let pool = sliding();
    let a = &pool.servers()[0];
    for n in 0..10 {
        assert_eq!(failed(&pool, a, START + 20 * n), Transition::None);
    }
    assert!(may_serve(a, START + 180));
    assert_eq!(failed(&pool, a, START + 181), Transition::Out);
    assert!(!may_serve(a, START + 181));
}

#[test]
fn successes_between_do_not_empty_a_failure_window() {
    let pool = sliding();
    let a = &pool.servers()[0];
    for n in 0..3 {
        assert!(pick(a, START + n));
        assert_eq!(succeeded(&pool, a, START + n), Transition::None);
        failed(&pool, a, START + n);
    }
    assert!(!may_serve(a, START + 2));
}

#[test]
fn who_is_out_by_a_failure_window_comes_back_as_ever() {
    let pool = sliding();
    let a = &pool.servers()[0];
    for _ in 0..3 {
        failed(&pool, a, START);
    }
    assert!(pick(a, START + 31));
    assert_eq!(failed(&pool, a, START + 200), Transition::None);
    assert!(!may_serve(a, START + 230), "a failed probe is enough");
    assert!(pick(a, START + 231));
    assert_eq!(succeeded(&pool, a, START + 231), Transition::Back);
    for _ in 0..2 {
        failed(&pool, a, START + 232);
    }
    assert!(may_serve(a, START + 232), "what was before is forgotten");
}

proptest! {
    #[test]
    fn fewer_failures_than_max_fails_never_put_a_server_out(
        steps in prop::collection::vec((any::<bool>(), 0_u64..100), 0..40),
    ) {
        let pool = three_strikes();
        let a = &pool.servers()[0];
        let (mut now, mut fails) = (START, 0);
        for (ok, wait) in steps {
            now += wait;
            assert!(pick(a, now));
            if ok {
                succeeded(&pool, a, now);
            } else if fails < 2 {
                fails += 1;
                failed(&pool, a, now);
            }
            prop_assert!(may_serve(a, now));
        }
    }
    #[test]
    fn a_failure_window_lets_out_exactly_who_failed_so_often_within_it(
        waits in prop::collection::vec(0_u64..40, 1..40),
    ) {
        let pool = sliding();
        let a = &pool.servers()[0];
        let (mut now, mut failures) = (START, Vec::new());
        for wait in waits {
            now += wait;
            failures.push(now);
            let is_out = failures.iter().filter(|failure| now - **failure <= 30).count() >= 3;
            prop_assert_eq!(failed(&pool, a, now) == Transition::Out, is_out);
            prop_assert_eq!(may_serve(a, now), !is_out);
            if is_out {
                break;
            }
        }
    }
}

/// nginx's rules told as a story, to be compared with the counters: a server is well, out until some second, or probed.
#[derive(Debug)]
struct Story {
    max_fails: u32,
    fail_timeout: Seconds,
    fails: u32,
    /// The last failure, or the last request that came after a quiet `fail_timeout`.
    last: Seconds,
    /// Since the last failure, a request came after a quiet `fail_timeout`.
    is_probed: bool,
}

impl Story {
    fn has_too_many(&self) -> bool {
        self.max_fails > 0 && self.fails >= self.max_fails
    }

    fn is_quiet(&self, now: Seconds) -> bool {
        now > self.last + self.fail_timeout
    }

    fn is_out(&self, now: Seconds) -> bool {
        self.has_too_many() && !self.is_quiet(now)
    }

    fn begins(&mut self, now: Seconds) {
        if self.is_quiet(now) {
            (self.last, self.is_probed) = (now, true);
        }
    }

    fn fails(&mut self, now: Seconds) -> Transition {
        let had_too_many = self.has_too_many();
        self.fails += 1;
        (self.last, self.is_probed) = (now, false);
        if self.has_too_many() && !had_too_many {
            Transition::Out
        } else {
            Transition::None
        }
    }

    fn succeeds(&mut self) -> Transition {
        if !self.is_probed {
            return Transition::None;
        }
        let had_too_many = self.has_too_many();
        self.fails = 0;
        if had_too_many {
            Transition::Back
        } else {
            Transition::None
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(Seconds),
    /// A request comes, and is given to the server if that may serve.
    Request,
    /// One of the requests under way ends well, or fails; nginx does not know which either.
    End(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..15).prop_map(Step::Wait),
        Just(Step::Request),
        any::<bool>().prop_map(Step::End),
    ]
}

proptest! {
    #[test]
    fn a_server_goes_out_and_comes_back_exactly_as_nginxs(
        max_fails in 0_u32..4, fail_timeout in 1_u64..12, steps in prop::collection::vec(step(), 0..100),
    ) {
        let pool = Pool::new(servers("a b").map(|server| Server { max_fails, fail_timeout, ..server }));
        let a = &pool.servers()[0];
        let mut story = Story { max_fails, fail_timeout, fails: 0, last: 0, is_probed: false };
        let (mut now, mut under_way) = (START, 0_usize);
        for step in steps {
            match step {
                Step::Wait(seconds) => now += seconds,
                Step::Request if may_serve(a, now) => {
                    prop_assert!(pick(a, now));
                    story.begins(now);
                    prop_assert!(!story.has_too_many() || !may_serve(a, now), "one probe at a time");
                    under_way += 1;
                }
                Step::End(is_good) if under_way > 0 => {
                    under_way -= 1;
                    if is_good {
                        prop_assert_eq!(succeeded(&pool, a, now), story.succeeds());
                    } else {
                        prop_assert_eq!(failed(&pool, a, now), story.fails(now));
                    }
                }
                Step::Request | Step::End(_) => {}
            }
            prop_assert_eq!(is_out(a, now), story.is_out(now), "at {}: {:?}", now, story);
        }
    }

    #[test]
    fn out_is_out_for_fail_timeout_and_at_most_a_second_more(
        max_fails in 1_u32..5, fail_timeout in 1_u64..100, failed_at in START * 1000..START * 1000 + 5000, later in 0_u64..200_000,
    ) {
        let pool = Pool::new(servers("a b").map(|server| Server { max_fails, fail_timeout, ..server }));
        let a = &pool.servers()[0];
        for _ in 0..max_fails {
            failed(&pool, a, failed_at / 1000);
        }
        let is_out = is_out(a, (failed_at + later) / 1000);
        if later < fail_timeout * 1000 {
            prop_assert!(is_out);
        }
        if later >= (fail_timeout + 1) * 1000 {
            prop_assert!(!is_out);
        }
    }

    #[test]
    fn nothing_ever_puts_the_only_server_out(
        max_fails in 0_u32..4, steps in prop::collection::vec((any::<bool>(), 0_u64..15), 0..50),
    ) {
        let pool = Pool::new(servers("a").map(|server| Server { max_fails, ..server }));
        let (only, mut now) = (&pool.servers()[0], START);
        for (is_good, wait) in steps {
            now += wait;
            prop_assert!(pick(only, now));
            let changed = if is_good { succeeded(&pool, only, now) } else { failed(&pool, only, now) };
            prop_assert_eq!(changed, Transition::None);
            prop_assert!(may_serve(only, now));
        }
    }
}
