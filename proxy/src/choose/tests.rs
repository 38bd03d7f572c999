use proptest::prelude::*;

use super::*;
use std::sync::atomic::Ordering::Relaxed;

use crate::pool::tests::{pool, servers};

const ROUND_ROBIN: Policy = Policy {
    balance: Balance::RoundRobin,
    tries_max: 0,
};

fn asking(mark: Option<&str>) -> Asking<'_> {
    Asking {
        address: HashBytes::Three([10, 0, 0]),
        mark: mark.map(str::as_bytes),
        key: b"some key",
        dice: 7,
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

proptest! {
    #[test]
    fn a_forged_mark_never_reaches_a_server_that_is_not_named(mark in prop::collection::vec(any::<u8>(), 0..40)) {
        let pool = pool("a b c");
        let named = pool.servers().iter().any(|server| server.mark.as_bytes() == mark);
        let asking = Asking { mark: Some(&mark), ..asking(None) };
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
        while let Ok(choice) = choose(&pool, Policy { balance, tries_max: 0 }, asking, &mut attempt, 0) {
            chosen.push(choice.server);
        }
        chosen.sort_unstable();
        let live: Vec<_> = down.iter().enumerate().filter(|(_, down)| !**down).map(|(index, _)| index).collect();
        prop_assert_eq!(chosen, live);
    }
}
