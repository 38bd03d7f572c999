use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::super::chunked::{Chunked, Keep};
use super::super::flow::{Allowance, Memory};
use super::super::framing::Framing;
use super::*;

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
            sender_timeout: SENDER_TIMEOUT,
            receiver_timeout: RECEIVER_TIMEOUT,
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
