use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::super::chunked::{Chunked, Keep};
use super::super::flow::{Allowance, Memory};
use super::super::framing::Framing;
use super::super::pace::Patience;
use super::*;

impl Presence for DuplexStream {
    /// They are never full here, so that their end is read.
    fn has_left(&self) -> bool {
        false
    }
}

/// The four ends: the client's own, the proxy's to it, the proxy's to the server, the server's own.
struct Ends {
    client: DuplexStream,
    to_client: DuplexStream,
    to_server: DuplexStream,
    server: DuplexStream,
}

/// Pipes that hold so many bytes.
fn ends(bytes: usize) -> Ends {
    let (client, to_client) = duplex(bytes);
    let (to_server, server) = duplex(bytes);
    Ends {
        client,
        to_client,
        to_server,
        server,
    }
}

const SENDER_TIMEOUT: Duration = Duration::from_secs(7);
const RECEIVER_TIMEOUT: Duration = Duration::from_secs(11);
const READ_TIMEOUT: Duration = Duration::from_secs(13);

fn flow(framing: Framing) -> Flow {
    Flow::new(
        framing,
        Allowance {
            content_bytes_max: 1000,
            sender: Patience::of_pauses(SENDER_TIMEOUT),
            receiver: Patience::of_pauses(RECEIVER_TIMEOUT),
        },
        Instant::now(),
    )
}

fn asking(framing: Framing) -> Asking {
    let mut asking = Asking::new(
        flow(framing),
        READ_TIMEOUT,
        Alarm::default(),
        Instant::now(),
    );
    asking.begin(Instant::now());
    asking
}

/// What comes of waiting for the server, and after how long.
async fn hear(asking: &mut Asking, ends: &mut Ends) -> (Result<(), Silence>, Duration) {
    let (start, mut bytes) = (Instant::now(), BytesMut::new());
    let heard = asking
        .hear(&mut ends.to_client, &mut ends.to_server, &mut bytes)
        .await;
    (heard, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_waited_for_so_long() {
    let (heard, after) = hear(&mut asking(Framing::NONE), &mut ends(64)).await;
    assert!(matches!(heard, Err(Silence::TimedOut)));
    assert_eq!(after, READ_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_the_clients_fault() {
    let (heard, after) = hear(&mut asking(Framing::Length(1)), &mut ends(64)).await;
    assert!(matches!(heard, Err(Silence::Body(Fault::SenderStalled))));
    assert_eq!(after, SENDER_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_taken_is_the_servers_fault() {
    let mut ends = ends(16);
    ends.client.write_all(&[0; 16]).await.unwrap();
    let mut asking = asking(Framing::Length(100));
    let mut client = ends.client;
    let (_unused, closed) = duplex(1);
    ends.client = closed;
    let feed = tokio::spawn(async move { client.write_all(&[0; 84]).await.map(|()| client) });
    let (heard, _) = hear(&mut asking, &mut ends).await;
    assert!(matches!(heard, Err(Silence::TimedOut)), "{heard:?}");
    feed.abort();
}

#[tokio::test(start_paused = true)]
async fn every_byte_gives_a_slow_client_more_time() {
    let mut ends = ends(64);
    let mut client = std::mem::replace(&mut ends.client, duplex(1).0);
    let dribble = tokio::spawn(async move {
        for _ in 0..10 {
            tokio::time::sleep(SENDER_TIMEOUT / 2).await;
            client.write_all(b"x").await.unwrap();
        }
        client
    });
    let mut asking = asking(Framing::Length(10));
    let (heard, after) = hear(&mut asking, &mut ends).await;
    assert!(matches!(heard, Err(Silence::TimedOut)), "{heard:?}");
    assert_eq!(after, SENDER_TIMEOUT * 5 + READ_TIMEOUT);
    assert!(asking.is_sent());
    drop(dribble);
}

/// Of the side that is too slow, 10 bytes per second in windows of 20 s.
fn at_a_rate(timeout: Duration) -> Patience {
    Patience::of_rate(timeout, 10, Duration::from_secs(20))
}

/// Sends a body in pieces of so many bytes a second, and tells when that was no longer good enough.
async fn upload(first: usize, bytes_per_second: usize) -> (Option<Fault>, Duration) {
    let mut ends = ends(4096);
    let mut client = std::mem::replace(&mut ends.client, duplex(1).0);
    let dribble = tokio::spawn(async move {
        client.write_all(&vec![0; first]).await.unwrap();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if client.write_all(&vec![0; bytes_per_second]).await.is_err() {
                return;
            }
        }
    });
    let drain = std::mem::replace(&mut ends.server, duplex(1).0);
    let (mut drain, _quiet) = tokio::io::split(drain);
    let drained =
        tokio::spawn(async move { tokio::io::copy(&mut drain, &mut tokio::io::sink()).await });
    let allowance = Allowance {
        content_bytes_max: u64::MAX,
        sender: at_a_rate(SENDER_TIMEOUT),
        receiver: Patience::of_pauses(RECEIVER_TIMEOUT),
    };
    let body = Flow::new(Framing::Length(2000), allowance, Instant::now());
    let mut asking = Asking::new(body, READ_TIMEOUT, Alarm::default(), Instant::now());
    asking.begin(Instant::now());
    let (heard, after) = hear(&mut asking, &mut ends).await;
    dribble.abort();
    drained.abort();
    match heard {
        Err(Silence::Body(fault)) => (Some(fault), after),
        _ => (None, after),
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_is_ended_however_steadily() {
    let window = Duration::from_secs(20);
    assert_eq!(upload(0, 9).await, (Some(Fault::SenderSlow), window));
    // What was quick once is no excuse, and what is quick enough goes on to its end.
    assert_eq!(upload(1000, 9).await, (Some(Fault::SenderSlow), 2 * window));
    assert_eq!(upload(0, 11).await.0, None);
}

/// Takes an answer of which the pipe holds 16 bytes in so many bytes a second.
async fn download(bytes_per_second: usize) -> (Result<(), Fault>, Duration) {
    let mut ends = ends(16);
    let mut client = std::mem::replace(&mut ends.client, duplex(1).0);
    let taken = tokio::spawn(async move {
        let mut room = vec![0; bytes_per_second];
        while client.read_exact(&mut room).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut server = std::mem::replace(&mut ends.server, duplex(1).0);
    let said = tokio::spawn(async move { server.write_all(&[0; 2000]).await.map(|()| server) });
    let allowance = Allowance {
        content_bytes_max: u64::MAX,
        sender: Patience::of_pauses(SENDER_TIMEOUT),
        receiver: at_a_rate(RECEIVER_TIMEOUT),
    };
    let mut answer = Flow::new(Framing::Length(2000), allowance, Instant::now());
    let begin = Instant::now();
    let mut asking = asking(Framing::NONE);
    let delivered = asking
        .deliver(&mut ends.to_client, &mut ends.to_server, &mut answer)
        .await;
    taken.abort();
    said.abort();
    (delivered, begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_taken_too_slowly_is_cut_however_steadily() {
    let (delivered, after) = download(5).await;
    assert_eq!(delivered, Err(Fault::ReceiverSlow));
    assert!(after <= Duration::from_secs(21), "{after:?}");
    assert_eq!(download(12).await.0, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_is_not_the_clients_slowness() {
    let mut ends = ends(16);
    let mut server = std::mem::replace(&mut ends.server, duplex(1).0);
    let dribble = tokio::spawn(async move {
        for _ in 0..60 {
            server.write_all(b"x").await.unwrap();
            tokio::time::sleep(SENDER_TIMEOUT / 2).await;
        }
        server
    });
    let mut client = std::mem::replace(&mut ends.client, duplex(1).0);
    let taken = tokio::spawn(async move { client.read_exact(&mut [0; 60]).await.map(|_| client) });
    let allowance = Allowance {
        content_bytes_max: u64::MAX,
        sender: Patience::of_pauses(SENDER_TIMEOUT),
        receiver: at_a_rate(RECEIVER_TIMEOUT),
    };
    let mut answer = Flow::new(Framing::Length(60), allowance, Instant::now());
    let mut asking = asking(Framing::NONE);
    let delivered = asking.deliver(&mut ends.to_client, &mut ends.to_server, &mut answer);
    assert_eq!(delivered.await, Ok(()));
    drop((dribble, taken));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_ended_its_side_gets_a_second() {
    let mut ends = ends(64);
    ends.client.shutdown().await.unwrap();
    let (heard, after) = hear(&mut asking(Framing::NONE), &mut ends).await;
    assert!(matches!(heard, Err(Silence::ClientLeft)));
    assert_eq!(after, HALF_CLOSED_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_inside_its_body_has_left() {
    let mut ends = ends(64);
    ends.client.write_all(b"half").await.unwrap();
    ends.client.shutdown().await.unwrap();
    let (heard, _) = hear(&mut asking(Framing::Length(8)), &mut ends).await;
    assert!(matches!(heard, Err(Silence::ClientLeft)));
}

#[tokio::test(start_paused = true)]
async fn chunks_that_announce_too_much_are_refused_before_they_come() {
    let mut ends = ends(64);
    ends.client.write_all(b"3e9\r\n").await.unwrap();
    let framing = Framing::Chunked(Chunked::new(Keep::Chunks));
    let (heard, _) = hear(&mut asking(framing), &mut ends).await;
    assert!(matches!(heard, Err(Silence::Body(Fault::TooLarge))));
}

#[tokio::test(start_paused = true)]
async fn what_the_client_sends_behind_its_request_waits() {
    let mut ends = ends(64);
    ends.client.write_all(b"bodyNEXT").await.unwrap();
    ends.server.write_all(b"answer").await.unwrap();
    let mut asking = asking(Framing::Length(4));
    let (heard, _) = hear(&mut asking, &mut ends).await;
    assert!(heard.is_ok());
    assert_eq!(&asking.body.beyond[..], b"NEXT");
    let mut got = [0; 4];
    ends.server.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"body");
}

/// Passes an answer of `length` bytes through pipes of `pipe` bytes.
async fn deliver(length: usize, pipe: usize) -> Vec<u8> {
    let Ends {
        mut client,
        mut to_client,
        mut to_server,
        mut server,
    } = ends(pipe);
    let body: Vec<u8> = (0..length)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let sent = body.clone();
    let answering = tokio::spawn(async move {
        server.write_all(&sent).await.unwrap();
        server
    });
    let reading = tokio::spawn(async move {
        let mut got = vec![0; length];
        client.read_exact(&mut got).await.unwrap();
        (got, client)
    });
    let mut answer = flow(Framing::Length(length as u64));
    let delivered = asking(Framing::NONE)
        .deliver(&mut to_client, &mut to_server, &mut answer)
        .await;
    assert_eq!(delivered, Ok(()));
    drop(answering);
    let (got, _client) = reading.await.unwrap();
    assert!(got == body);
    got
}

#[tokio::test(start_paused = true)]
async fn an_answer_arrives_whole_however_narrow_the_way() {
    for (length, pipe) in [
        (1, 1),
        (300, 1),
        (300, 7),
        (100_000, 1000),
        (300_000, 65_536),
    ] {
        assert_eq!(deliver(length, pipe).await.len(), length);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_the_servers_fault() {
    let mut ends = ends(64);
    ends.server.write_all(b"half").await.unwrap();
    ends.server.shutdown().await.unwrap();
    let mut answer = flow(Framing::Length(8));
    let mut asking = asking(Framing::NONE);
    let delivered = asking.deliver(&mut ends.to_client, &mut ends.to_server, &mut answer);
    assert_eq!(delivered.await, Err(Fault::Sender));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_waited_for_so_long() {
    let mut ends = ends(16);
    let mut server = std::mem::replace(&mut ends.server, duplex(1).0);
    let feed = tokio::spawn(async move { server.write_all(&[0; 1000]).await.map(|()| server) });
    let mut answer = flow(Framing::Length(1000));
    let start = Instant::now();
    let mut asking = asking(Framing::NONE);
    let delivered = asking.deliver(&mut ends.to_client, &mut ends.to_server, &mut answer);
    assert_eq!(delivered.await, Err(Fault::ReceiverStalled));
    assert_eq!(start.elapsed(), RECEIVER_TIMEOUT);
    feed.abort();
}

#[test]
fn a_large_body_is_not_remembered() {
    let mut flow = flow(Framing::Length(200_000));
    assert!(flow.admit(&mut [0; 60_000]).is_ok());
    assert_eq!(flow.memory.all().map(<[u8]>::len), Some(60_000));
    assert!(flow.admit(&mut [0; 6000]).is_ok());
    assert_eq!(flow.memory.all(), None);
    assert_eq!(Memory::default().all(), Some(&[][..]));
}

/// A server that takes part of a body and then no more: the next one gets every byte once, or the rest of the body
/// would be read as a request.
#[tokio::test(start_paused = true)]
async fn another_server_gets_every_byte_once() {
    let mut ends = ends(16);
    let mut client = ends.client;
    let (_unused, closed) = duplex(1);
    ends.client = closed;
    let feed = tokio::spawn(async move {
        client.write_all(&[b'x'; 40]).await.unwrap();
        client
    });
    let mut asking = asking(Framing::Length(40));
    let (heard, _) = hear(&mut asking, &mut ends).await;
    assert!(matches!(heard, Err(Silence::TimedOut)));

    let (to_server, mut server) = duplex(1000);
    ends.to_server = to_server;
    let known = asking.body.memory.all().unwrap().to_vec();
    ends.to_server.write_all(&known).await.unwrap();
    asking.begin(Instant::now());
    let (heard, _) = hear(&mut asking, &mut ends).await;
    assert!(matches!(heard, Err(Silence::TimedOut)));
    assert!(asking.is_sent());
    drop((ends.to_server, feed.await.unwrap()));
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, vec![b'x'; 40]);
}
