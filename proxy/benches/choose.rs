//! Nanoseconds per choice of a server: `cargo bench -p berth-proxy --bench choose`.
//!
//! By method and for requests that carry a mark, among 3, 30 and 300 servers. The times are of the whole of `choose`, with the count of
//! connections up and down again.

use std::time::Duration;

use berth_proxy::affinity::Method;
use berth_proxy::choose::Attempt;
use berth_proxy::settings::Balance;
use divan::Bencher;
use fleet::{Fleet, asking};

#[path = "choose/fleet.rs"]
mod fleet;

const SERVERS: [u32; 3] = [3, 30, 300];

/// For each line of the table; a machine that is busy with other things needs some.
const MIN_TIME: Duration = Duration::from_millis(500);
/// Choices timed together, so that reading the clock is no part of the result.
const SAMPLE_SIZE: u32 = 500;

fn main() {
    divan::Divan::default()
        .min_time(MIN_TIME)
        .sample_size(SAMPLE_SIZE)
        .config_with_args()
        .main();
}

/// Every request is that of another client.
fn choose(bencher: Bencher<'_, '_>, fleet: &Fleet, marked_by: Option<Method>) {
    let mut number = 0_u32;
    bencher.bench_local(|| {
        number = number.wrapping_add(0x9e37_79b9);
        let key = number.to_le_bytes();
        let mark = marked_by.map(|method| fleet.mark(method, number as usize));
        let choice = fleet.choose(asking(number, &key, [mark, None]), &mut Attempt::default());
        if let Ok(choice) = choice {
            fleet.leave(choice);
        }
        choice
    });
}

#[divan::bench(args = SERVERS)]
fn round_robin(bencher: Bencher<'_, '_>, servers: u32) {
    choose(bencher, &Fleet::new(Balance::RoundRobin, servers), None);
}

#[divan::bench(args = SERVERS)]
fn least_conn(bencher: Bencher<'_, '_>, servers: u32) {
    choose(bencher, &Fleet::busy(Balance::LeastConn, servers), None);
}

#[divan::bench(args = SERVERS)]
fn least_conn_all_idle(bencher: Bencher<'_, '_>, servers: u32) {
    choose(bencher, &Fleet::new(Balance::LeastConn, servers), None);
}

#[divan::bench(args = SERVERS)]
fn ip_hash(bencher: Bencher<'_, '_>, servers: u32) {
    choose(bencher, &Fleet::new(Balance::IpHash, servers), None);
}

#[divan::bench(args = SERVERS)]
fn hash(bencher: Bencher<'_, '_>, servers: u32) {
    choose(bencher, &Fleet::new(Balance::Hash, servers), None);
}

#[divan::bench(args = SERVERS)]
fn hash_consistent(bencher: Bencher<'_, '_>, servers: u32) {
    choose(bencher, &Fleet::new(Balance::HashConsistent, servers), None);
}

#[divan::bench(args = SERVERS)]
fn random_two(bencher: Bencher<'_, '_>, servers: u32) {
    choose(bencher, &Fleet::busy(Balance::RandomTwo, servers), None);
}

#[divan::bench(args = SERVERS)]
fn marked_by_sid(bencher: Bencher<'_, '_>, servers: u32) {
    let fleet = Fleet::new(Balance::RoundRobin, servers);
    choose(bencher, &fleet, Some(Method::Sid));
}

#[divan::bench(args = SERVERS)]
fn marked_by_cookie(bencher: Bencher<'_, '_>, servers: u32) {
    let fleet = Fleet::new(Balance::RoundRobin, servers);
    choose(bencher, &fleet, Some(Method::Cookie));
}
