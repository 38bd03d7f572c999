//! The swarm's rooms against a small chat server that can misbehave: what it loses, doubles or swaps is counted.
#![allow(clippy::unwrap_used, reason = "in a test they are the failure")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use berth_bench::frame;
use berth_bench::swarm::{self, IdlePlan, Kind, Plan, RoomPlan, RoomReport, Target};
use berth_bench::watch::Watch;

const ANSWER: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// What happens to the fifth message of the only room.
#[derive(Clone, Copy)]
enum Fault {
    None,
    Loses,
    Doubles,
    /// With the sixth.
    Swaps,
    Refuses,
}

type Members = Arc<Mutex<Vec<TcpStream>>>;

fn server(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let members = Members::default();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let members = Arc::clone(&members);
            thread::spawn(move || serve(stream.unwrap(), &members, fault));
        }
    });
    address
}

/// Until the client leaves.
fn serve(mut stream: TcpStream, members: &Members, fault: Fault) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    stream.write_all(ANSWER).unwrap();
    say(&mut stream, "0{}");
    let (mut bytes, mut held, mut count) = (Vec::new(), None, 0);
    while let Some(packet) = hear(&mut stream, &mut bytes) {
        if packet == "40" {
            say(&mut stream, "40{\"sid\":\"a\"}");
        } else if packet.starts_with("420[\"joinRoom\"") {
            members.lock().unwrap().push(stream.try_clone().unwrap());
            say(&mut stream, "430[{\"ok\":true}]");
        } else if let Some((number, _)) = packet[2..].split_once('[') {
            count += 1;
            let message = packet.replace(&format!("42{number}[\"sendMessage\""), "42[\"message\"");
            let is_fifth = count == 5;
            let mut now = vec![message.clone()];
            match fault {
                Fault::Loses if is_fifth => now.clear(),
                Fault::Doubles if is_fifth => now.push(message),
                Fault::Swaps if is_fifth => held = now.pop(),
                Fault::Refuses if is_fifth => {
                    say(&mut stream, &format!("43{number}[{{\"ok\":false}}]"));
                    continue;
                }
                _ => now.extend(held.take()),
            }
            for message in now {
                members
                    .lock()
                    .unwrap()
                    .iter_mut()
                    .for_each(|member| say(member, &message));
            }
            say(&mut stream, &format!("43{number}[{{\"ok\":true}}]"));
        }
    }
}

fn say(stream: &mut TcpStream, packet: &str) {
    let (header, used) = frame::server_header(frame::TEXT, packet.len());
    // One whole frame in one write: others write to the same socket. One that has left hears nothing.
    stream
        .write_all(&[&header[..used], packet.as_bytes()].concat())
        .unwrap_or_default();
}

fn hear(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        let header = frame::read(bytes).ok()?;
        if let Some(header) = header.filter(|header| bytes.len() >= header.frame_bytes()) {
            let frame: Vec<u8> = bytes.drain(..header.frame_bytes()).collect();
            let mut payload = frame[header.header_bytes..].to_vec();
            frame::mask(&mut payload, header.mask.unwrap());
            return String::from_utf8(payload).ok();
        }
        let mut more = [0; 4096];
        match stream.read(&mut more) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&more[..count]),
            _ => return None,
        }
    }
}

/// 20 messages to three members.
fn report(fault: Fault) -> RoomReport {
    let plan = RoomPlan {
        name: "room".to_owned(),
        rooms: 1,
        members: 3,
        in_flight: 1,
        has_acks: true,
        is_for_others: false,
        timing: Plan {
            rate: Some(100.0),
            warm_up: Duration::ZERO,
            duration: Duration::from_millis(200),
            ..Plan::default()
        },
    };
    let address = server(fault);
    // The same server twice: members take turns.
    let targets = [Target::new(address, PATH), Target::new(address, PATH)];
    swarm::rooms(&targets, &plan, &Watch::default()).unwrap()
}

#[test]
fn a_server_that_does_it_right_is_exact() {
    let report = report(Fault::None);
    assert!(report.is_exact(), "{report:?}");
    assert_eq!((report.expected_in_all, report.latency.samples), (60, 60));
    assert_eq!(report.ack_latency.samples, 20);
}

#[test]
fn what_is_lost_doubled_swapped_or_refused_is_counted() {
    let lost = report(Fault::Loses);
    assert_eq!(
        (lost.missing, lost.twice, lost.disordered),
        (3, 0, 0),
        "{lost:?}"
    );
    let doubled = report(Fault::Doubles);
    assert_eq!((doubled.missing, doubled.twice), (0, 3), "{doubled:?}");
    let swapped = report(Fault::Swaps);
    assert_eq!((swapped.missing, swapped.disordered), (0, 3), "{swapped:?}");
    // What was refused is owed to nobody.
    let refused = report(Fault::Refuses);
    assert_eq!(
        (refused.missing, refused.refused, refused.unacked),
        (0, 1, 0),
        "{refused:?}"
    );
    for report in [lost, doubled, swapped, refused] {
        assert!(!report.is_exact());
    }
}

#[test]
fn idle_members_join_and_stay() {
    let plan = IdlePlan {
        kind: Kind::Socketio,
        connections: 30,
        messages: 0,
        message_bytes: 0,
        hold: Duration::ZERO,
    };
    let target = Target::new(server(Fault::None), PATH).with_cookie("connect.sid=x");
    let report = swarm::idle(&target, &plan, &Watch::default()).unwrap();
    assert_eq!(
        (report.opened, report.failures.len()),
        (30, 0),
        "{report:?}"
    );
}
