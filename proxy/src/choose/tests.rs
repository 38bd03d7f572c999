use proptest::prelude::*;

use super::*;
use std::sync::atomic::Ordering::Relaxed;

use std::sync::Arc;

use crate::affinity::Mark;
use crate::handshakes::Rate;
use crate::health::check::Verdict;
use crate::pool::tests::{pool, servers};
use crate::settings;

const ROUND_ROBIN: Policy = Policy {
    balance: Balance::RoundRobin,
    tries_max: 0,
    fail_open: false,
};

fn cookie(name: &[u8]) -> Mark<'_> {
    Mark {
        method: Method::Cookie,
        name,
        is_only: false,
    }
}

fn asking(mark: Option<&str>) -> Asking<'_> {
    Asking {
        address: HashBytes::Three([10, 0, 0]),
        marks: [mark.map(str::as_bytes).map(cookie), None],
        key: b"some key",
        dice: 7,
        handshake: None,
    }
}

/// Lets one request try `servers` until nobody is left, and tells the tries as a sentence.
#[track_caller]
fn check(servers: &str, mark: Option<&str>, told: &str) {
    let (pool, mut attempt) = (pool(servers), Attempt::default());
    let mut words = Vec::new();
    loop {
        match choose(&pool, ROUND_ROBIN, asking(mark), &mut attempt, 0) {
            Ok(choice) => {
                let server = &pool.servers()[choice.server];
                words.push(format!("{} {}", server.name, choice.affinity.label()));
            }
            Err(reason) => {
                words.push(format!("{reason:?}"));
                break;
            }
        }
    }
    assert_eq!(words.join(", "), told);
}

#[test]
fn everybody_is_tried_once() {
    check("a b", None, "a new, b new, AllTried");
}

#[test]
fn the_marked_server_goes_first() {
    check("a b", Some("b"), "b hit, a rebound, AllTried");
}

#[test]
fn a_marked_server_that_is_down_is_left() {
    check("a b!", Some("b"), "a rebound, AllTried");
}

#[test]
fn a_mark_that_is_nobodys_is_no_mark() {
    check("a b", Some("zz"), "a invalid, b invalid, AllTried");
    check("a b", Some(""), "a invalid, b invalid, AllTried");
}

#[test]
fn backups_serve_when_no_primary_may() {
    check("a b+ c+", None, "a new, b new, c new, AllTried");
    check("a! b+", None, "b new, AllTried");
}

#[test]
fn a_mark_may_name_a_backup() {
    check("a b+", Some("b"), "b hit, a rebound, AllTried");
}

#[test]
fn nobody_live_is_said_so() {
    check("a! b!", None, "NoneLive");
    check("", None, "NoneLive");
}

#[test]
fn tries_are_bounded() {
    let (pool, mut attempt) = (pool("a b c"), Attempt::default());
    let policy = Policy {
        tries_max: 2,
        ..ROUND_ROBIN
    };
    assert!(choose(&pool, policy, asking(None), &mut attempt, 0).is_ok());
    assert!(choose(&pool, policy, asking(None), &mut attempt, 0).is_ok());
    assert_eq!(
        choose(&pool, policy, asking(None), &mut attempt, 0),
        Err(NoServer::TriesSpent)
    );
}

#[test]
fn a_forgiven_server_may_be_tried_again() {
    let (pool, mut attempt) = (pool("a"), Attempt::default());
    let choice = choose(&pool, ROUND_ROBIN, asking(None), &mut attempt, 0).unwrap();
    attempt.forgive(choice.server);
    assert_eq!(
        choose(&pool, ROUND_ROBIN, asking(None), &mut attempt, 0),
        Ok(choice)
    );
}

#[test]
fn a_choice_is_a_connection() {
    let (pool, mut attempt) = (pool("a"), Attempt::default());
    let choice = choose(&pool, ROUND_ROBIN, asking(None), &mut attempt, 0).unwrap();
    assert_eq!(
        pool.servers()[choice.server]
            .state
            .connections
            .load(Relaxed),
        1
    );
}

const FAIL_OPEN: Policy = Policy {
    fail_open: true,
    ..ROUND_ROBIN
};

fn name(pool: &Pool, chosen: Result<Choice, NoServer>) -> Result<&str, NoServer> {
    chosen.map(|choice| &*pool.servers()[choice.server].name)
}

/// Servers by `pool`'s words, all of them with a check.
fn checked(words: &str) -> Pool {
    Pool::new(servers(words).map(|server| Server {
        has_check: true,
        ..server
    }))
}

#[test]
fn a_server_without_a_verdict_serves_only_when_nobody_else_may() {
    let pool = checked("a b c");
    pool.servers()[1].state.standing.set(Verdict::Well);
    pool.servers()[2].state.standing.set(Verdict::Unwell);
    let mut attempt = Attempt::default();
    let mut next = || {
        name(
            &pool,
            choose(&pool, ROUND_ROBIN, asking(None), &mut attempt, 0),
        )
    };
    assert_eq!(next(), Ok("b"));
    assert_eq!(next(), Ok("a"));
    assert_eq!(next(), Err(NoServer::AllTried));
}

#[test]
fn the_least_bad_server_is_asked_once_when_nobody_may_serve() {
    let pool = pool("a b c!");
    health::failed(&pool, &pool.servers()[0], 100);
    health::failed(&pool, &pool.servers()[1], 101);
    let closed = choose(
        &pool,
        ROUND_ROBIN,
        asking(None),
        &mut Attempt::default(),
        101,
    );
    assert_eq!(closed, Err(NoServer::NoneLive));
    let mut attempt = Attempt::default();
    let mut next = || {
        name(
            &pool,
            choose(&pool, FAIL_OPEN, asking(Some("b")), &mut attempt, 101),
        )
    };
    assert_eq!(next(), Ok("a"), "it is back soonest");
    assert_eq!(next(), Err(NoServer::AllTried));
    assert!(attempt.has_failed_open());
}

#[test]
fn a_success_of_the_least_bad_server_brings_it_back() {
    let pool = pool("a b");
    for server in pool.servers() {
        health::failed(&pool, server, 100);
    }
    let chosen = choose(&pool, FAIL_OPEN, asking(None), &mut Attempt::default(), 101).unwrap();
    let server = &pool.servers()[chosen.server];
    assert_eq!(
        health::succeeded(&pool, server, 101),
        health::Transition::Back
    );
    assert!(health::may_serve(server, 101));
}

#[test]
fn a_trouble_that_all_have_parts_no_client_from_its_server() {
    let pool = checked("a b c");
    for server in pool.servers() {
        server.state.standing.set(Verdict::Unwell);
    }
    for mark in ["c", "a", "b"] {
        let chosen = choose(
            &pool,
            FAIL_OPEN,
            asking(Some(mark)),
            &mut Attempt::default(),
            0,
        );
        assert_eq!(chosen.unwrap().affinity, Affinity::Hit);
    }
}

#[test]
fn one_live_server_that_failed_is_no_reason_to_fail_open() {
    let pool = Pool::new(servers("a b").map(|server| Server {
        max_fails: 2,
        ..server
    }));
    for _ in 0..2 {
        health::failed(&pool, &pool.servers()[0], 100);
    }
    let mut attempt = Attempt::default();
    let mut next = || {
        name(
            &pool,
            choose(&pool, FAIL_OPEN, asking(None), &mut attempt, 100),
        )
    };
    assert_eq!(next(), Ok("b"));
    assert_eq!(next(), Err(NoServer::AllTried));
}

/// Three servers of which the first came back at `BACK` and takes `RISE` seconds.
fn one_is_back() -> Pool {
    let pool = Pool::new(servers("a=2 b=2 c=2").map(|server| Server {
        slow_start: RISE,
        ..server
    }));
    let a = &pool.servers()[0];
    let failed = BACK - a.fail_timeout - 1;
    assert_eq!(health::failed(&pool, a, failed), health::Transition::Out);
    assert!(health::pick(a, BACK));
    assert_eq!(health::succeeded(&pool, a, BACK), health::Transition::Back);
    pool
}

const BACK: Seconds = 1_000_000;
const RISE: Seconds = 10;

/// How many of `count` requests that never end each server gets.
fn dealt(pool: &Pool, balance: Balance, count: u32, now: Seconds) -> Vec<u32> {
    let mut dealt = vec![0; pool.servers().len()];
    let policy = Policy {
        balance,
        ..ROUND_ROBIN
    };
    for _ in 0..count {
        let choice = choose(pool, policy, asking(None), &mut Attempt::default(), now).unwrap();
        dealt[choice.server] += 1;
    }
    dealt
}

#[test]
fn a_server_that_comes_back_gets_a_growing_share_of_the_turns() {
    let pool = one_is_back();
    let mut before = 0;
    for second in 0..=RISE {
        let dealt = dealt(&pool, Balance::RoundRobin, 3000, BACK + second);
        // Its weight rises from nothing to that of each of the two others.
        let risen = f64::from(u32::try_from(second).unwrap()) / 10.0;
        let due = 3000.0 * risen / (2.0 + risen);
        assert!(
            (f64::from(dealt[0]) - due).abs() <= 5.0,
            "{second} s: {dealt:?}, due {due}"
        );
        assert!(dealt[0] > before, "{second} s: {dealt:?}");
        assert!(dealt[1].abs_diff(dealt[2]) <= 2, "{second} s: {dealt:?}");
        before = dealt[0];
    }
    assert_eq!(
        dealt(&pool, Balance::RoundRobin, 3000, BACK + RISE),
        [1000; 3]
    );
}

#[test]
fn a_server_that_lost_its_connections_does_not_get_all_new_ones() {
    let pool = one_is_back();
    for server in &pool.servers()[1..] {
        server.state.connections.store(1000, Relaxed);
    }
    for (second, most) in [(0, 2), (1, 110), (2, 220), (5, 600)] {
        dealt(&pool, Balance::LeastConn, 100, BACK + second);
        let connections = pool.servers()[0].state.connections.load(Relaxed);
        assert!(connections <= most, "{connections} after {second} s");
    }
    dealt(&pool, Balance::LeastConn, 3000, BACK + RISE);
    let connections = pool
        .servers()
        .iter()
        .map(|server| server.state.connections.load(Relaxed));
    let connections: Vec<_> = connections.collect();
    assert_eq!(connections, [1800; 3], "in the end all have the same");
}

#[test]
fn a_server_in_its_slow_start_serves_whoever_is_bound_to_it() {
    let pool = one_is_back();
    for mark in [cookie(b"a"), sid(b"tag-a", true)] {
        let asking = Asking {
            marks: [Some(mark), None],
            ..asking(None)
        };
        for _ in 0..10 {
            let choice = choose(&pool, ROUND_ROBIN, asking, &mut Attempt::default(), BACK);
            assert_eq!(choice.map(|choice| choice.server), Ok(0));
        }
    }
}

#[test]
fn a_server_in_its_slow_start_serves_when_it_is_the_only_one_left() {
    let pool = one_is_back();
    for server in &pool.servers()[1..] {
        health::failed(&pool, server, BACK);
    }
    for balance in [Balance::RoundRobin, Balance::LeastConn] {
        assert_eq!(dealt(&pool, balance, 10, BACK), [10, 0, 0]);
    }
}

#[test]
fn servers_that_come_back_together_share_by_weight() {
    let pool = Pool::new(servers("a=1 b=3").map(|server| Server {
        slow_start: RISE,
        ..server
    }));
    for server in pool.servers() {
        health::slow_start::begin(server, BACK);
    }
    for second in 0..=RISE {
        assert_eq!(
            dealt(&pool, Balance::RoundRobin, 400, BACK + second),
            [100, 300]
        );
    }
}

proptest! {
    #[test]
    fn a_forged_mark_never_reaches_a_server_that_is_not_named(mark in prop::collection::vec(any::<u8>(), 0..40)) {
        let pool = pool("a b c");
        let named = pool.servers().iter().any(|server| server.mark.as_bytes() == mark);
        let asking = Asking { marks: [Some(cookie(&mark)), None], ..asking(None) };
        let choice = choose(&pool, ROUND_ROBIN, asking, &mut Attempt::default(), 0).unwrap();
        prop_assert_eq!(choice.affinity == Affinity::Hit, named);
    }

    #[test]
    fn every_method_tries_every_live_server_exactly_once(
        down in prop::collection::vec(any::<bool>(), 1..8),
        balance in prop::sample::select(vec![
            Balance::RoundRobin, Balance::LeastConn, Balance::IpHash, Balance::Hash, Balance::HashConsistent, Balance::RandomTwo,
        ]),
        address in any::<[u8; 3]>(),
        dice in any::<u64>(),
    ) {
        let words: Vec<_> = down.iter().zip('a'..)
            .map(|(down, name)| format!("{name}{}", if *down { "!" } else { "" })).collect();
        let (pool, mut attempt) = (Pool::with_ring(servers(&words.join(" "))), Attempt::default());
        let asking = Asking { address: HashBytes::Three(address), key: &address, dice, ..asking(None) };
        let mut chosen = Vec::new();
        while let Ok(choice) = choose(&pool, Policy { balance, ..ROUND_ROBIN }, asking, &mut attempt, 0) {
            chosen.push(choice.server);
        }
        chosen.sort_unstable();
        let live: Vec<_> = down.iter().enumerate().filter(|(_, down)| !**down).map(|(index, _)| index).collect();
        prop_assert_eq!(chosen, live);
    }
    #[test]
    fn whoever_is_alive_serves_and_otherwise_somebody_does(
        standings in prop::collection::vec((0_u8..3, any::<bool>()), 1..8),
        balance in prop::sample::select(vec![Balance::RoundRobin, Balance::LeastConn, Balance::IpHash]),
        address in any::<[u8; 3]>(),
    ) {
        let words: Vec<_> = standings.iter().zip('a'..).map(|(_, name)| name.to_string()).collect();
        let pool = checked(&words.join(" "));
        for ((verdict, is_out), server) in standings.iter().zip(pool.servers()) {
            server.state.standing.set([Verdict::Pending, Verdict::Well, Verdict::Unwell][usize::from(*verdict)]);
            if *is_out {
                health::failed(&pool, server, 100);
            }
        }
        let asking = Asking { address: HashBytes::Three(address), ..asking(None) };
        let policy = Policy { balance, ..FAIL_OPEN };
        let chosen = choose(&pool, policy, asking, &mut Attempt::default(), 100).unwrap();
        let is_live = |server: &Arc<Server>| health::may_serve(server, 100);
        prop_assert_eq!(is_live(&pool.servers()[chosen.server]), pool.servers().iter().any(is_live));
    }
}

fn sid(name: &[u8], is_only: bool) -> Mark<'_> {
    Mark {
        method: Method::Sid,
        name,
        is_only,
    }
}

/// What one request with two marks is told.
#[track_caller]
fn check_marks(servers: &str, marks: Marks<'_>, told: Result<(&str, Affinity, Method), NoServer>) {
    let pool = pool(servers);
    let asking = Asking {
        marks,
        ..asking(None)
    };
    let choice = choose(&pool, ROUND_ROBIN, asking, &mut Attempt::default(), 0);
    let found = choice.map(|choice| {
        let server = &pool.servers()[choice.server];
        (&*server.name, choice.affinity, choice.method.unwrap())
    });
    assert_eq!(found, told);
}

#[test]
fn marks_are_tried_in_their_order() {
    let (a, b) = (sid(b"tag-a", true), cookie(b"b"));
    check_marks(
        "a b c",
        [Some(a), Some(b)],
        Ok(("a", Affinity::Hit, Method::Sid)),
    );
    check_marks(
        "a b c",
        [Some(b), Some(a)],
        Ok(("b", Affinity::Hit, Method::Cookie)),
    );
    check_marks(
        "a b! c",
        [Some(b), Some(a)],
        Ok(("a", Affinity::Hit, Method::Sid)),
    );
}

#[test]
fn a_session_whose_server_is_gone_is_told_so() {
    for servers in ["a! b", "b c", ""] {
        check_marks(
            servers,
            [Some(sid(b"tag-a", true)), Some(cookie(b"b"))],
            Err(NoServer::SessionGone),
        );
    }
    let moves = sid(b"tag-a", false);
    check_marks(
        "a! b",
        [Some(moves), None],
        Ok(("b", Affinity::Rebound, Method::Sid)),
    );
    check_marks(
        "b c",
        [Some(moves), Some(cookie(b"c"))],
        Ok(("c", Affinity::Hit, Method::Cookie)),
    );
}

#[test]
fn a_session_is_tried_on_its_server_alone() {
    let (pool, mut attempt) = (pool("a b"), Attempt::default());
    let asking = Asking {
        marks: [Some(sid(b"tag-b", true)), None],
        ..asking(None)
    };
    for tries_max in [0, 1] {
        let policy = Policy {
            tries_max,
            ..ROUND_ROBIN
        };
        let first = choose(&pool, policy, asking, &mut attempt, 0).unwrap();
        assert_eq!(&*pool.servers()[first.server].name, "b");
        let second = choose(&pool, policy, asking, &mut attempt, 0);
        assert_eq!(second, Err(NoServer::SessionGone));
        attempt.forgive(first.server);
    }
}

#[test]
fn a_trouble_that_all_have_parts_no_session_from_its_server() {
    let pool = checked("a b c");
    for server in pool.servers() {
        server.state.standing.set(Verdict::Unwell);
    }
    let asking = Asking {
        marks: [Some(sid(b"tag-b", true)), None],
        ..asking(None)
    };
    let (mut attempt, mut told) = (Attempt::default(), Vec::new());
    for _ in 0..2 {
        told.push(choose(&pool, FAIL_OPEN, asking, &mut attempt, 0).map(|choice| choice.server));
    }
    assert_eq!(told, [Ok(1), Err(NoServer::SessionGone)]);
}

/// Lets handshakes come at one moment, when each server has one token, and tells who gets them.
#[track_caller]
fn check_tokens(words: &str, balance: Balance, mark: Option<&str>, told: &[Option<&str>]) {
    let rate = Rate::new(settings::Rate {
        per_minute: 1,
        burst: 1,
    });
    let pool = Pool::new(servers(words).map(|mut server| {
        server.handshakes = Some(rate);
        server
    }));
    let policy = Policy {
        balance,
        ..ROUND_ROBIN
    };
    let asking = Asking {
        handshake: Some(5),
        ..asking(mark)
    };
    let mut found = Vec::new();
    for _ in told {
        let choice = choose(&pool, policy, asking, &mut Attempt::default(), 0);
        found.push(match choice {
            Ok(choice) => Some(&*pool.servers()[choice.server].name),
            Err(NoServer::Limited(wait)) => {
                assert_eq!(wait.retry_after_seconds(0), 60);
                None
            }
            Err(other) => panic!("{other:?}"),
        });
    }
    assert_eq!(found, told);
    let without = Asking {
        handshake: None,
        ..asking
    };
    choose(&pool, policy, without, &mut Attempt::default(), 0).unwrap();
}

#[test]
fn a_handshake_goes_to_a_server_with_a_token() {
    for balance in [Balance::RoundRobin, Balance::LeastConn] {
        check_tokens("a b", balance, None, &[Some("a"), Some("b"), None]);
    }
}

#[test]
fn a_handshake_waits_for_the_server_it_belongs_to() {
    check_tokens("a b", Balance::RoundRobin, Some("b"), &[Some("b"), None]);
    for balance in [Balance::IpHash, Balance::Hash] {
        let pool = pool("a b c");
        let policy = Policy {
            balance,
            ..ROUND_ROBIN
        };
        let home = choose(&pool, policy, asking(None), &mut Attempt::default(), 0).unwrap();
        let home = &*pool.servers()[home.server].name;
        check_tokens("a b c", balance, None, &[Some(home), None]);
    }
}

#[test]
fn backups_take_no_handshakes_that_primaries_have_no_token_for() {
    check_tokens("a b+", Balance::RoundRobin, None, &[Some("a"), None]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_method_gives_every_server_its_weight(
        weights in prop::collection::vec(1_u32..10, 2..8),
        balance in prop::sample::select(vec![
            Balance::RoundRobin, Balance::LeastConn, Balance::IpHash, Balance::Hash, Balance::HashConsistent, Balance::RandomTwo,
        ]),
        seed in any::<u32>(),
    ) {
        const CLIENTS: u32 = 3000;
        let words: Vec<_> = weights.iter().zip('a'..).map(|(weight, name)| format!("{name}={weight}")).collect();
        let pool = Pool::with_ring(servers(&words.join(" ")));
        for client in 0..CLIENTS {
            // Each is somebody else, and stays connected.
            let key = seed.wrapping_add(client).wrapping_mul(0x9e37_79b1).to_be_bytes();
            let address = HashBytes::Three([key[0], key[1], key[2]]);
            let asking = Asking { address, key: &key, dice: u64::from(u32::from_le_bytes(key)), ..asking(None) };
            choose(&pool, Policy { balance, ..ROUND_ROBIN }, asking, &mut Attempt::default(), 0).unwrap();
        }
        let total = f64::from(weights.iter().sum::<u32>());
        for (server, weight) in pool.servers().iter().zip(&weights) {
            let due = f64::from(CLIENTS) * f64::from(*weight) / total;
            let bound = match balance {
                // They count.
                Balance::RoundRobin | Balance::LeastConn => 2.0 + f64::from(*weight),
                // Less than six times what chance makes of so many draws.
                Balance::IpHash | Balance::Hash | Balance::RandomTwo => 6.0 * due.sqrt(),
                // 160 places on the ring for each unit of weight, as nginx has, are so uneven themselves.
                Balance::HashConsistent => 6.0 * (due.sqrt() + due / f64::from(160 * weight).sqrt()),
            };
            let got = f64::from(server.state.connections.load(Relaxed));
            prop_assert!((got - due).abs() <= bound, "{}: {got}, due {due}±{bound}", server.name);
        }
    }
}
