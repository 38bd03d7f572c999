use std::future::poll_fn;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::frame::{self, Message, Messages};

const BYTES_MAX: usize = 1_000_000;

/// A connection of a session, and its client.
async fn pair() -> (Arc<Stream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await;
    let server = listener.accept().await.unwrap().0;
    (Stream::new(server, ()), client.unwrap())
}

/// The session's task, as far as it writes.
fn write(outbox: &Arc<Outbox>) -> tokio::task::JoinHandle<()> {
    let outbox = Arc::clone(outbox);
    tokio::spawn(async move {
        let ended = poll_fn(|cx| match outbox.poll_write(cx) {
            Poll::Ready(Ok(())) if !outbox.is_closed() => Poll::Pending,
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(()),
        });
        ended.await;
    })
}

fn connect(outbox: &Outbox) {
    let connected = r#"0{"sid":"x"}"#;
    let sent = outbox.say_message(connected, &frame::text(&["4", connected]));
    assert_eq!(sent, Sent::Yes);
}

/// The next message that the client gets.
async fn next(client: &mut TcpStream) -> String {
    let mut head = [0; 2];
    client.read_exact(&mut head).await.unwrap();
    let length = match head[1] {
        126 => usize::from(client.read_u16().await.unwrap()),
        127 => usize::try_from(client.read_u64().await.unwrap()).unwrap(),
        short => usize::from(short),
    };
    let mut payload = vec![0; length];
    client.read_exact(&mut payload).await.unwrap();
    String::from_utf8(payload).unwrap()
}

async fn polled(outbox: &Outbox) -> Result<String, Gone> {
    outbox.begin_poll().unwrap();
    let payload = poll_fn(|cx| outbox.poll_payload(cx, 1_000)).await;
    outbox.end_poll();
    payload
}

#[tokio::test]
async fn nothing_passes_before_the_handshake_and_everything_after_it_in_order() {
    let (stream, mut client) = pair().await;
    let outbox = Outbox::new(Some(stream), BYTES_MAX);
    assert_eq!(outbox.send(&frame::text(&["early"])), Sent::Yes);
    assert_eq!(outbox.say(&frame::text(&["open"])), Sent::Yes);
    assert_eq!(outbox.send(&frame::text(&["soon after"])), Sent::Yes);
    connect(&outbox);
    assert_eq!(outbox.send(&frame::text(&["late"])), Sent::Yes);
    for expected in ["open", r#"40{"sid":"x"}"#, "early", "soon after", "late"] {
        assert_eq!(next(&mut client).await, expected);
    }
}

#[tokio::test]
async fn a_client_that_reads_late_gets_everything_whole_and_in_order() {
    let (stream, mut client) = pair().await;
    let outbox = Outbox::new(Some(stream), usize::MAX);
    let writer = write(&outbox);
    connect(&outbox);
    let filling = "x".repeat(100_000);
    let mut sent = 0_usize;
    // Until the kernel takes no more, and a good deal beyond.
    while outbox.state().waiting.len() < 100 {
        let number = sent.to_string();
        assert_eq!(outbox.send(&frame::text(&[&number, &filling])), Sent::Yes);
        sent += 1;
    }
    // What the session itself says comes between, and waits for what was there before it.
    assert_eq!(outbox.say(&frame::text(&["2"])), Sent::Yes);
    assert_eq!(next(&mut client).await, r#"40{"sid":"x"}"#);
    for number in 0..sent {
        assert_eq!(next(&mut client).await, format!("{number}{filling}"));
    }
    assert_eq!(next(&mut client).await, "2");
    assert_eq!(outbox.send(&frame::text(&["after"])), Sent::Yes);
    assert_eq!(next(&mut client).await, "after");
    assert_eq!(outbox.state().waiting_bytes, 0);
    outbox.close();
    writer.await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_full_at_its_bound_and_still_pinged() {
    let (stream, client) = pair().await;
    let outbox = Outbox::new(Some(stream), BYTES_MAX);
    connect(&outbox);
    let run = frame::text(&[&"x".repeat(100_000)]);
    let sent = (0..10_000).map(|_| outbox.send(&run));
    assert_eq!(sent.last(), Some(Sent::Full));
    let held = outbox.state().waiting_bytes;
    assert!(held >= BYTES_MAX && held - weight(&run) < BYTES_MAX);
    assert_eq!(outbox.room(), Sent::Full);
    assert_eq!(outbox.say(&frame::text(&["2"])), Sent::Yes);
    drop(client);
}

#[tokio::test]
async fn what_waits_before_the_handshake_is_bounded_too() {
    let outbox = Outbox::new(None, 150);
    let run = frame::text(&[&"x".repeat(60)]);
    let sent = [(); 3].map(|()| outbox.send(&run));
    assert_eq!(sent, [Sent::Yes, Sent::Yes, Sent::Full]);
    // The handshake passes all the same, and what was held behind it.
    connect(&outbox);
    assert_eq!(outbox.state().waiting.len(), 3);
}

#[tokio::test]
async fn after_a_cut_or_the_end_nothing_is_taken_and_nothing_comes() {
    for end in [Outbox::cut, Outbox::end] {
        let (stream, mut client) = pair().await;
        let outbox = Outbox::new(Some(stream), BYTES_MAX);
        connect(&outbox);
        end(&outbox);
        assert_eq!(outbox.send(&frame::text(&["late"])), Sent::Gone);
        assert_eq!(outbox.say(&frame::text(&["late"])), Sent::Gone);
        assert!(outbox.is_closed() && !outbox.close());
        outbox.end();
        outbox.ended().await;
        let mut rest = Vec::new();
        match client.read_to_end(&mut rest).await {
            Ok(_) => assert!(!String::from_utf8_lossy(&rest).contains("late")),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    }
}

#[tokio::test]
async fn after_the_close_only_last_words_are_taken() {
    let (stream, mut client) = pair().await;
    let outbox = Outbox::new(Some(stream), BYTES_MAX);
    assert!(outbox.close() && !outbox.close());
    assert_eq!(outbox.send(&frame::text(&["late"])), Sent::Gone);
    outbox.say_last(&frame::text(&["goodbye"]));
    assert_eq!(next(&mut client).await, "goodbye");
}

#[tokio::test]
async fn a_poll_waits_for_what_comes_and_only_one_may() {
    let outbox = Outbox::new(None, BYTES_MAX);
    let polling = Arc::clone(&outbox);
    let polling = tokio::spawn(async move { polled(&polling).await });
    while outbox.begin_poll().is_ok() {
        outbox.end_poll();
        tokio::task::yield_now().await;
    }
    assert_eq!(outbox.begin_poll(), Err(PolledTwice));
    assert_eq!(outbox.say(&frame::text(&["4hi"])), Sent::Yes);
    assert_eq!(polling.await.unwrap(), Ok("4hi".to_owned()));
    // What came while nobody polled is there for who polls next; then the end is an end.
    assert_eq!(outbox.say(&frame::text(&["1"])), Sent::Yes);
    outbox.close();
    assert_eq!(polled(&outbox).await, Ok("1".to_owned()));
    assert_eq!(polled(&outbox).await, Err(Gone));
}

#[tokio::test]
async fn a_cut_ends_a_poll_without_a_word() {
    let outbox = Outbox::new(None, BYTES_MAX);
    assert_eq!(outbox.say(&frame::text(&["4hi"])), Sent::Yes);
    outbox.cut();
    assert_eq!(polled(&outbox).await, Err(Gone));
}

#[tokio::test]
async fn an_upgrade_takes_along_what_waits_and_leaves_nothing_to_polls() {
    let (stream, mut client) = pair().await;
    let outbox = Outbox::new(None, BYTES_MAX);
    connect(&outbox);
    assert_eq!(polled(&outbox).await, Ok(r#"40{"sid":"x"}"#.to_owned()));
    assert!(outbox.begin_upgrade() && !outbox.begin_upgrade());
    assert_eq!(outbox.send(&frame::text(&["one"])), Sent::Yes);
    assert_eq!(polled(&outbox).await, Ok("6".to_owned()));
    assert!(outbox.upgrade(stream));
    assert_eq!(outbox.send(&frame::text(&["two"])), Sent::Yes);
    let writer = write(&outbox);
    for expected in ["one", "two"] {
        assert_eq!(next(&mut client).await, expected);
    }
    assert_eq!(outbox.transport(), TransportType::Websocket);
    outbox.close();
    writer.await.unwrap();
}

#[tokio::test]
async fn an_upgrade_that_is_given_up_leaves_the_session_polling() {
    let outbox = Outbox::new(None, BYTES_MAX);
    assert!(outbox.begin_upgrade());
    outbox.give_up_upgrade();
    assert_eq!(outbox.say(&frame::text(&["4hi"])), Sent::Yes);
    assert_eq!(polled(&outbox).await, Ok("4hi".to_owned()));
}

#[test]
fn attachments_follow_their_packet() {
    let outbox = Outbox::new(None, BYTES_MAX);
    let run = [frame::text(&["451-[]"]), frame::binary(b"a")].concat();
    assert_eq!(outbox.say(&run.into()), Sent::Yes);
    let state = outbox.state();
    let run = state.waiting.front().unwrap();
    let messages: Vec<_> = Messages::of(run).collect();
    assert_eq!(messages, [Message::Text(b"451-[]"), Message::Binary(b"a")]);
}

/// A permit was given while there was room: what it carries is not lost because there is less now.
#[test]
fn what_there_was_room_for_is_taken() {
    let outbox = Outbox::new(None, 100);
    let run = frame::text(&[&"x".repeat(200)]);
    assert_eq!((outbox.room(), outbox.room()), (Sent::Yes, Sent::Yes));
    assert_eq!((outbox.say(&run), outbox.say(&run)), (Sent::Yes, Sent::Yes));
    assert_eq!(outbox.room(), Sent::Full);
}
