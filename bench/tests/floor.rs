//! The floor between the swarm and its backend: what it forwards comes back whole, or the floor would be lower than it is.
#![allow(clippy::unwrap_used, reason = "in a test they are the failure")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use berth_bench::swarm::{
    self, Echo, Fresh, Http, IdlePlan, Kind, Plan, RoomPlan, Session, Target,
};
use berth_bench::watch::Watch;
use berth_bench::{backend, floor};

fn floor() -> SocketAddr {
    let listen = || backend::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let servers = [listen(), listen()];
    let addresses = servers
        .each_ref()
        .map(|server| server.local_addr().unwrap());
    thread::spawn(move || backend::serve(servers.into()));
    floor_before(addresses.into())
}

fn floor_before(servers: Vec<SocketAddr>) -> SocketAddr {
    let listener = backend::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || floor::serve(listener, servers));
    address
}

#[track_caller]
fn check<S: Session>(path: &str, plan: Plan, done: u64) {
    let plan = Plan {
        connections: 8,
        total: Some(done),
        ..plan
    };
    let report = swarm::run::<S>(&Target::new(floor(), path), &plan, &Watch::default()).unwrap();
    assert_eq!((report.failed(), report.done), (0, done), "{report:?}");
}

#[test]
fn requests_are_answered_on_kept_and_on_fresh_connections() {
    check::<Http>("/", Plan::default(), 300);
    let fresh = Plan {
        is_fresh: true,
        ..Plan::default()
    };
    check::<Http>("/", fresh, 100);
}

#[test]
fn messages_of_all_sizes_come_back() {
    for message_bytes in [0, 100, 65_536, 200_000] {
        let plan = Plan {
            message_bytes,
            ..Plan::default()
        };
        check::<Echo>("/", plan, 24);
    }
}

#[test]
fn a_client_that_reads_late_gets_everything_in_order() {
    // More than all sockets on the way hold.
    let bytes: Vec<u8> = (0..24_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let server = backend::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    server.set_nonblocking(false).unwrap();
    let mut client = TcpStream::connect(floor_before(vec![server.local_addr().unwrap()])).unwrap();
    client.write_all(REQUEST).unwrap();
    let (full, is_full) = mpsc::channel();
    let sent = bytes.clone();
    thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        // A socket that is closed with something unread takes back what it sent.
        stream.read_exact(&mut [0; REQUEST.len()]).unwrap();
        stream.write_all(HEAD).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut rest = &sent[..];
        while let Ok(count) = stream.write(rest) {
            rest = &rest[count..];
        }
        full.send(()).unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.write_all(rest).unwrap();
    });
    is_full.recv().unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    let (head, received) = received.split_at(HEAD.len());
    assert_eq!(head, HEAD);
    assert!(
        received == bytes,
        "{} of {} bytes",
        received.len(),
        bytes.len()
    );
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

#[test]
fn a_first_message_that_comes_with_the_101_is_not_lost() {
    let greeted = Plan {
        is_greeted: true,
        ..Plan::default()
    };
    check::<Fresh>("/greet", greeted, 200);
}

#[test]
fn idle_websockets_stay_open() {
    let plan = IdlePlan {
        kind: Kind::WebSocket,
        connections: 30,
        messages: 2,
        message_bytes: 70_000,
        hold: Duration::ZERO,
    };
    let report = swarm::idle(&Target::new(floor(), "/"), &plan, &Watch::default()).unwrap();
    assert_eq!(
        (report.opened, report.failures.len()),
        (30, 0),
        "{report:?}"
    );
}

#[test]
fn members_of_rooms_get_every_message_once_and_in_order() {
    let listener = backend::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = Target::new(
        listener.local_addr().unwrap(),
        "/socket.io/?EIO=4&transport=websocket",
    );
    thread::spawn(move || floor::rooms::serve(listener));
    let plan = RoomPlan {
        name: "room".to_owned(),
        rooms: 3,
        members: 4,
        in_flight: 2,
        has_acks: true,
        is_for_others: false,
        timing: Plan {
            rate: Some(500.0),
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(200),
            ..Plan::default()
        },
    };
    let report = swarm::rooms(&[target], &plan, &Watch::default()).unwrap();
    assert!(report.is_exact(), "{report:?}");
    assert_eq!(
        (report.latency.samples, report.ack_latency.samples),
        (400, 100)
    );
}
