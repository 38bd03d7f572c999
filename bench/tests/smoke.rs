//! The swarm against its own backend, with bounded numbers of exchanges: every mode works and counts what happened.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "in a test they are the failure"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use berth_bench::backend;
use berth_bench::swarm::{
    self, Echo, Fresh, H2, Http, IdlePlan, Kind, Plan, Report, Session, Target,
};
use berth_bench::watch::Watch;

/// Serves until the test program ends.
fn backend() -> SocketAddr {
    let listener = backend::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || backend::serve(vec![listener]));
    address
}

fn run<S: Session>(target: &Target, plan: Plan) -> Report {
    swarm::run::<S>(target, &plan, &Watch::default()).unwrap()
}

fn total(total: u64) -> Plan {
    Plan {
        connections: 8,
        total: Some(total),
        ..Plan::default()
    }
}

#[track_caller]
fn check(report: &Report, done: u64) {
    assert_eq!(report.failed(), 0, "{report:?}");
    assert_eq!((report.done, report.latency.samples), (done, done));
    assert!(report.latency.p50_us > 0.0 && report.latency.p50_us <= report.latency.max_us);
}

/// A program, because the threads of these tests end, and take with them what they spent.
#[test]
fn what_a_watched_program_spends_is_counted_by_exchange() {
    let address = free_address();
    let mut program = Command::new(env!("CARGO_BIN_EXE_berth-bench-backend"))
        .arg("--listen")
        .arg(address.to_string())
        .spawn()
        .unwrap();
    let watch = Watch::new(vec![program.id()]);
    let deadline = clock() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        assert!(clock() < deadline, "it does not listen");
        thread::yield_now();
    }
    let report = swarm::run::<Http>(&Target::new(address, "/"), &total(300), &watch);
    program.kill().unwrap();
    program.wait().unwrap();
    let report = report.unwrap();
    check(&report, 300);
    let cpu = report.cpu.unwrap();
    assert!(cpu.us_per_exchange > 0.0 && cpu.total_ms > 0.0, "{cpu:?}");
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[allow(clippy::disallowed_methods, reason = "a deadline of a test")]
fn clock() -> Instant {
    Instant::now()
}

#[test]
fn http_2_requests_are_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || answer_h2(listener));
    check(&run::<H2>(&Target::new(address, "/"), total(200)), 200);
}

/// 100 bytes for every request, by prior knowledge.
fn answer_h2(listener: TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let head = http::Response::new(());
                    let mut body = respond.send_response(head, false).unwrap();
                    body.send_data(vec![b'b'; 100].into(), true).unwrap();
                }
            });
        }
    });
}

#[test]
fn requests_are_answered_on_kept_and_on_fresh_connections() {
    let target = Target::new(backend(), "/");
    check(&run::<Http>(&target, total(300)), 300);
    let fresh = Plan {
        is_fresh: true,
        ..total(100)
    };
    check(&run::<Http>(&target, fresh), 100);
}

#[test]
fn messages_of_all_sizes_come_back() {
    let target = Target::new(backend(), "/");
    for message_bytes in [0, 100, 65_536, 200_000] {
        let plan = Plan {
            message_bytes,
            ..total(40)
        };
        check(&run::<Echo>(&target, plan), 40);
    }
}

#[test]
fn fresh_websockets_get_a_greeting_or_an_echo() {
    let address = backend();
    let greeted = Plan {
        is_greeted: true,
        ..total(100)
    };
    check(&run::<Fresh>(&Target::new(address, "/greet"), greeted), 100);
    check(&run::<Fresh>(&Target::new(address, "/"), total(100)), 100);
}

#[test]
fn a_websocket_that_ends_before_its_first_message_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            stream.write_all(answer).unwrap();
        }
    });
    let report = run::<Fresh>(&Target::new(address, "/"), total(20));
    assert_eq!((report.done, report.failed()), (0, 20), "{report:?}");
}

#[test]
fn a_rate_is_kept() {
    let plan = Plan {
        connections: 8,
        rate: Some(1000.0),
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(200),
        ..Plan::default()
    };
    let report = run::<Http>(&Target::new(backend(), "/"), plan);
    assert_eq!(report.failed(), 0, "{report:?}");
    assert_eq!(
        report.latency.samples, 200,
        "as many as were meant to begin"
    );
}

#[test]
fn idle_connections_are_held_and_their_memory_is_read() {
    let target = Target::new(backend(), "/");
    for kind in [Kind::WebSocket, Kind::Http] {
        let plan = IdlePlan {
            kind,
            connections: 30,
            messages: 2,
            message_bytes: 10_000,
            hold: Duration::ZERO,
        };
        let report = swarm::idle(&target, &plan, &Watch::default()).unwrap();
        assert_eq!(report.opened, 30);
        assert!(report.failures.is_empty(), "{report:?}");
        assert!(report.memory.is_none(), "nothing was watched");
    }
}
