//! Choosing a server asks the allocator for nothing, however many servers there are and however many are tried.

use allocation_counter::measure;
use berth_proxy::affinity::Method;
use berth_proxy::choose::{Attempt, NoServer};
use berth_proxy::handshakes::Rate;
use berth_proxy::health;
use berth_proxy::pool::Pool;
use berth_proxy::settings::{self, Balance};
use fleet::{Fleet, NOW, asking};

#[path = "../benches/choose/fleet.rs"]
mod fleet;

const BALANCES: [Balance; 6] = [
    Balance::RoundRobin,
    Balance::LeastConn,
    Balance::IpHash,
    Balance::Hash,
    Balance::HashConsistent,
    Balance::RandomTwo,
];

const SERVERS: [u32; 3] = [3, 30, 300];
/// So many a request remembers in place.
const SERVERS_MAX: u32 = 320;

fn allocations(run: impl FnOnce()) -> u64 {
    measure(run).count_total
}

/// Lets one request try every server, and tells how many it tried and how it ended.
fn try_all(fleet: &Fleet, marked_by: Option<Method>) -> (u32, NoServer) {
    let mark = marked_by.map(|method| fleet.mark(method, 2));
    let asking = asking(7, b"some key", [mark, None]);
    let mut attempt = Attempt::default();
    loop {
        match fleet.choose(asking, &mut attempt) {
            Ok(choice) => fleet.leave(choice),
            Err(reason) => return (attempt.tries(), reason),
        }
    }
}

/// The same, in a pool where nothing allocates.
#[track_caller]
fn check(fleet: &Fleet, marked_by: Option<Method>, told: (u32, NoServer)) {
    let mut ended = None;
    let count = allocations(|| ended = Some(try_all(fleet, marked_by)));
    let asked = format!(
        "{:?}, {} servers, marked by {marked_by:?}",
        fleet.policy.balance,
        fleet.pool.servers().len()
    );
    assert_eq!((ended, count), (Some(told), 0), "{asked}");
}

#[test]
fn an_allocation_would_be_noticed() {
    let mut text = String::new();
    assert_eq!(allocations(|| text.push('a')), 1);
}

#[test]
fn every_method_over_every_server() {
    for servers in SERVERS {
        for balance in BALANCES {
            let fleet = Fleet::busy(balance, servers);
            check(&fleet, None, (servers, NoServer::AllTried));
        }
    }
}

#[test]
fn idle_servers_that_take_turns() {
    for servers in SERVERS.into_iter().chain([SERVERS_MAX]) {
        let fleet = Fleet::new(Balance::LeastConn, servers);
        check(&fleet, None, (servers, NoServer::AllTried));
    }
}

#[test]
fn marked_requests() {
    for servers in SERVERS {
        for balance in BALANCES {
            let fleet = Fleet::new(balance, servers);
            check(&fleet, Some(Method::Cookie), (servers, NoServer::AllTried));
            // Its session lives on one server alone.
            check(&fleet, Some(Method::Sid), (1, NoServer::SessionGone));
        }
    }
}

#[test]
fn pools_with_backups_and_full_servers() {
    for balance in [Balance::RoundRobin, Balance::LeastConn] {
        let servers = (0..300).map(|index| {
            let mut server = fleet::server(index);
            server.backup = index >= 200;
            server.max_conns = u32::from(index % 5 == 0);
            assert!(server.enter(), "all have one connection");
            server
        });
        let fleet = Fleet {
            pool: Pool::new(servers),
            ..Fleet::new(balance, 0)
        };
        check(&fleet, None, (240, NoServer::AllTried));
    }
}

#[test]
fn handshakes_that_take_tokens() {
    for balance in BALANCES {
        let mut fleet = Fleet::new(balance, 0);
        fleet.pool = Pool::with_ring((0..300).map(|index| {
            let mut server = fleet::server(index);
            server.handshakes = Some(Rate::new(settings::Rate {
                per_minute: 60,
                burst: 1,
            }));
            server
        }));
        check(&fleet, None, (300, NoServer::AllTried));
    }
}

#[test]
fn failing_open() {
    for balance in BALANCES {
        let mut fleet = Fleet::new(balance, 300);
        fleet.policy.fail_open = true;
        for server in fleet.pool.servers() {
            let _out = health::failed(&fleet.pool, server, NOW);
        }
        // All are equally bad.
        check(&fleet, None, (300, NoServer::AllTried));
    }
}
