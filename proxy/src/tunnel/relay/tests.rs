use std::cell::Cell;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::lifecycle::{Phase, Reaper, life};

const BOUNDS: Bounds = Bounds {
    idle_timeout: Duration::from_secs(90),
    is_told: false,
    max_age: None,
};

/// A server's first words on a WebSocket: it may be silent for 45 s.
const OPENING: &[u8] = b"\x81\x350{\"sid\":\"a\",\"pingInterval\":25000,\"pingTimeout\":20000}";

/// The ends in the hands of a test, and what holds the life.
struct Ends {
    client: DuplexStream,
    server: DuplexStream,
    _reaper: Reaper,
}

/// A relay at work whose pipes hold so many bytes; what it comes to, what it learned and after how long.
fn start(
    bytes: usize,
    bounds: Bounds,
    from_server: &[u8],
) -> (
    Ends,
    impl Future<Output = (Ended, Option<Duration>, Duration)>,
) {
    let (client, to_client) = duplex(bytes);
    let (server, to_server) = duplex(bytes);
    let (life, reaper) = life();
    let from_server = BytesMut::from(from_server);
    let mut relay = Relay::new((to_client, to_server), BytesMut::new(), from_server, bounds);
    let ends = Ends {
        client,
        server,
        _reaper: reaper,
    };
    let run = async move {
        let (began, learned) = (Instant::now(), Cell::new(None));
        let ended = relay
            .run(&mut life.awaited(Phase::Closing), |silence| {
                learned.set(Some(silence))
            })
            .await;
        (ended, learned.get(), began.elapsed())
    };
    (ends, run)
}

#[tokio::test(start_paused = true)]
async fn silence_is_cut_and_every_byte_puts_that_off() {
    let (mut ends, run) = start(64, BOUNDS, b"");
    let talk = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        ends.client.write_all(b"\x81\x81mask?").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        ends.server.write_all(b"\x81\x01!").await.unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        (ended, _, after) = run => {
            assert_eq!(after, Duration::from_secs(60 + 60 + 90));
            assert_eq!((ended.reason, ended.closed_by), (Reason::Idle, Side::Proxy));
            assert_eq!((ended.received.messages, ended.sent.messages), (1, 1));
            assert_eq!(ended.close_code, None);
        }
        () = talk => {}
    }
}

#[track_caller]
fn check_told(ended: (Ended, Option<Duration>, Duration), idle_after: u64) {
    let (ended, learned, after) = ended;
    assert_eq!(ended.reason, Reason::Idle);
    assert_eq!(learned, Some(Duration::from_secs(45)));
    assert_eq!(after, Duration::from_secs(idle_after));
}

#[tokio::test(start_paused = true)]
async fn the_servers_heartbeat_is_the_idle_timeout_in_whatever_pieces_it_comes() {
    let told = Bounds {
        is_told: true,
        ..BOUNDS
    };
    // With the 101.
    let (_ends, run) = start(256, told, OPENING);
    check_told(run.await, 50);
    for cut in 1..OPENING.len() {
        let (mut ends, run) = start(256, told, &OPENING[..cut / 2]);
        let say = async {
            for piece in OPENING[cut / 2..].chunks(cut) {
                ends.server.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = run => check_told(ended, 50),
            () = say => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_longer_heartbeat_puts_the_end_off() {
    let bounds = Bounds {
        is_told: true,
        idle_timeout: Duration::from_secs(20),
        max_age: None,
    };
    let (_ends, run) = start(256, bounds, OPENING);
    check_told(run.await, 50);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_first_on_any_other_websocket_decides_nothing() {
    for (is_told, first) in [
        (false, OPENING),
        (true, b"\x81\x0240".as_slice()),
        (true, b"\x82\x01x"),
    ] {
        let bounds = Bounds { is_told, ..BOUNDS };
        let (mut ends, run) = start(256, bounds, first);
        ends.server.write_all(OPENING).await.unwrap();
        let (ended, learned, after) = run.await;
        assert_eq!((ended.reason, learned), (Reason::Idle, None));
        assert_eq!(after, BOUNDS.idle_timeout);
    }
}

const AGED: Bounds = Bounds {
    max_age: Some(Duration::from_secs(600)),
    ..BOUNDS
};

/// Keeps the connection busy, inside of no frame, for so long.
async fn chat(server: &mut DuplexStream, client: &mut DuplexStream, seconds: u64) {
    for _ in 0..seconds / 20 {
        server.write_all(b"\x81\x01.").await.unwrap();
        client.read_exact(&mut [0; 3]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_too_old_says_goodbye() {
    let (mut ends, run) = start(64, AGED, b"");
    let client = async {
        chat(&mut ends.server, &mut ends.client, 600).await;
        let mut said = Vec::new();
        ends.client.read_to_end(&mut said).await.unwrap();
        // The answer gets to the server, and then the end.
        ends.client.write_all(b"\x88\x82mask??").await.unwrap();
        ends.client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        ends.server.read_to_end(&mut heard).await.unwrap();
        (said, heard)
    };
    let ((ended, _, after), (said, heard)) = tokio::join!(run, client);
    assert_eq!(after, Duration::from_secs(600));
    assert_eq!(said, [0x88, 0x02, 0x03, 0xe9]);
    assert_eq!(heard, b"\x88\x82mask??");
    assert_eq!(
        (ended.reason, ended.closed_by),
        (Reason::TooOld, Side::Proxy)
    );
    assert_eq!((ended.close_code, ended.sent.messages), (Some(1001), 30));
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_on_its_way_is_ended_first() {
    let (mut ends, run) = start(64, AGED, b"");
    let talk = async {
        chat(&mut ends.server, &mut ends.client, 580).await;
        ends.server.write_all(b"\x81\x04ab").await.unwrap();
        tokio::time::sleep(Duration::from_secs(25)).await;
        ends.server.write_all(b"cd\x81\x01x").await.unwrap();
        let mut said = Vec::new();
        ends.client.read_to_end(&mut said).await.unwrap();
        said
    };
    let ((ended, ..), said) = tokio::join!(run, talk);
    assert_eq!(said, b"\x81\x04abcd\x88\x02\x03\xe9");
    assert_eq!(ended.reason, Reason::TooOld);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_does_not_end_is_cut() {
    let (mut ends, run) = start(64, AGED, b"");
    let talk = async {
        chat(&mut ends.server, &mut ends.client, 580).await;
        ends.server.write_all(b"\x81\x04ab").await.unwrap();
        ends
    };
    let ((ended, _, after), _ends) = tokio::join!(run, talk);
    assert_eq!((ended.reason, ended.close_code), (Reason::TooOld, None));
    assert_eq!(after, Duration::from_secs(600) + LAST_FRAME_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn who_said_goodbye_first_closed_it() {
    for (first, side, code) in [
        (
            (b"\x88\x82\0\0\0\0\x03\xe8".as_slice(), b"".as_slice()),
            Side::Client,
            1000,
        ),
        ((b"", b"\x88\x02\x03\xf3"), Side::Server, 1011),
    ] {
        let (mut ends, run) = start(64, BOUNDS, b"");
        let (client, server) = first;
        let talk = async {
            ends.client.write_all(client).await.unwrap();
            ends.server.write_all(server).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            // The other one answers, and either may end the connection.
            ends.client.write_all(b"\x88\x80mask").await.unwrap();
            ends.server.write_all(b"\x88\x00").await.unwrap();
            drop(ends);
        };
        let ((ended, ..), ()) = tokio::join!(run, talk);
        assert_eq!((ended.closed_by, ended.close_code), (side, Some(code)));
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_frames_pass_and_are_not_counted() {
    let (mut ends, run) = start(64, BOUNDS, b"");
    let talk = async {
        ends.client
            .write_all(b"\x81\x80maskGET / HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        let mut heard = vec![0; 24];
        ends.server.read_exact(&mut heard).await.unwrap();
        drop(ends);
        heard
    };
    let ((ended, ..), heard) = tokio::join!(run, talk);
    assert_eq!(heard, b"\x81\x80maskGET / HTTP/1.1\r\n\r\n");
    assert_eq!((ended.received.messages, ended.received.bytes), (1, 24));
}

#[tokio::test(start_paused = true)]
async fn messages_are_counted_through_pipes_of_one_byte() {
    let (ends, run) = start(1, BOUNDS, b"");
    let message: &[u8] = b"\x82\x84mask1234";
    let (mut from_client, mut to_client) = tokio::io::split(ends.client);
    let (mut from_server, mut to_server) = tokio::io::split(ends.server);
    let talk = async move {
        for _ in 0..5 {
            to_client.write_all(message).await.unwrap();
        }
        to_client.shutdown().await.unwrap();
        to_client
    };
    let echo = async move {
        tokio::io::copy(&mut from_server, &mut to_server)
            .await
            .unwrap();
        to_server.shutdown().await.unwrap();
        (from_server, to_server)
    };
    let listen = async move {
        let mut heard = Vec::new();
        from_client.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let ((ended, ..), _client, _server, heard) = tokio::join!(run, talk, echo, listen);
    assert_eq!(heard, message.repeat(5));
    assert_eq!((ended.received.messages, ended.sent.messages), (5, 5));
}

impl Attentive for DuplexStream {}
