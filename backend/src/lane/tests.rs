use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::*;

const BYTES_MAX: usize = 1_000_000;

/// A lane, its writer's and reader's tasks as Engine.IO has them, and the client.
async fn pair() -> (Arc<Lane>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await;
    let lane = Arc::new(Lane::new(listener.accept().await.unwrap().0));
    (lane, client.unwrap())
}

/// Whoever reads the connection, until it ends.
fn read(lane: &Arc<Lane>) -> tokio::task::JoinHandle<()> {
    let lane = Arc::clone(lane);
    tokio::spawn(async move {
        let mut byte = [0];
        loop {
            let mut into = ReadBuf::new(&mut byte);
            let read = std::future::poll_fn(|cx| lane.poll_read(cx, &mut into)).await;
            if read.is_err() || into.filled().is_empty() {
                return;
            }
        }
    })
}

/// Writes as tungstenite does: all of it, the rest of what was taken in part first.
async fn write(lane: &Lane, mut from: &[u8]) -> io::Result<()> {
    while !from.is_empty() {
        let offer = |cx: &mut Context<'_>| lane.poll_write(cx, &[IoSlice::new(from)]);
        from = &from[std::future::poll_fn(offer).await?..];
    }
    Ok(())
}

/// The next message that the client gets, of those that end with a line break.
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

#[tokio::test]
async fn nothing_passes_before_the_handshake_and_everything_after_it_in_order() {
    let (lane, mut client) = pair().await;
    let reader = read(&lane);
    assert_eq!(lane.send(&frame::text(&["early"])), Sent::Gone);
    lane.open_after_handshake(BYTES_MAX);
    for text in ["first", "second"] {
        assert_eq!(lane.send(&frame::text(&[text])), Sent::Yes);
    }
    write(&lane, &frame::text(&["2"])).await.unwrap();
    assert_eq!(next(&mut client).await, "2");
    let offered = [frame::text(&["2"]), frame::text(&[r#"40{"sid":"x"}"#])].concat();
    write(&lane, &offered).await.unwrap();
    assert_eq!(lane.send(&frame::text(&["third"])), Sent::Yes);
    for expected in ["2", r#"40{"sid":"x"}"#, "first", "second", "third"] {
        assert_eq!(next(&mut client).await, expected);
    }
    drop(client);
    reader.await.unwrap();
}

/// Clients end a connection on which something comes between a packet and its attachments.
#[tokio::test]
async fn a_packet_is_not_parted_from_its_attachments() {
    let (lane, mut client) = pair().await;
    let reader = read(&lane);
    lane.open_after_handshake(BYTES_MAX);
    write(&lane, &frame::text(&["40"])).await.unwrap();
    let binary = |letter: u8| [0x82, 1, letter];
    write(&lane, &frame::text(&[r#"452-["x"]"#])).await.unwrap();
    assert_eq!(lane.send(&frame::text(&["ours"])), Sent::Yes);
    write(&lane, &binary(b'a')).await.unwrap();
    assert_eq!(lane.send(&frame::text(&["ours, too"])), Sent::Yes);
    write(&lane, &binary(b'b')).await.unwrap();
    for expected in ["40", r#"452-["x"]"#, "a", "b", "ours", "ours, too"] {
        assert_eq!(next(&mut client).await, expected);
    }
    drop(client);
    reader.await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_late_gets_everything_whole_and_in_order() {
    let (lane, mut client) = pair().await;
    let _reader = read(&lane);
    lane.open_after_handshake(usize::MAX);
    write(&lane, &frame::text(&["40"])).await.unwrap();
    let filling = "x".repeat(100_000);
    let mut sent = 0_usize;
    // Until the kernel takes no more, and a good deal beyond.
    while lane.state().waiting.len() < 100 {
        let number = sent.to_string();
        assert_eq!(lane.send(&frame::text(&[&number, &filling])), Sent::Yes);
        sent += 1;
    }
    // Engine.IO's own writer comes between, and waits for what was there before it.
    let writing = Arc::clone(&lane);
    let writing = tokio::spawn(async move { write(&writing, &frame::text(&["2"])).await });
    assert_eq!(next(&mut client).await, "40");
    for number in 0..sent {
        assert_eq!(next(&mut client).await, format!("{number}{filling}"));
    }
    assert_eq!(next(&mut client).await, "2");
    writing.await.unwrap().unwrap();
    assert_eq!(lane.state().waiting_bytes, 0);
    assert_eq!(lane.send(&frame::text(&["after"])), Sent::Yes);
    assert_eq!(next(&mut client).await, "after");
}

#[tokio::test]
async fn nothing_comes_between_the_parts_of_the_writers_own_frame() {
    let (lane, mut client) = pair().await;
    let _reader = read(&lane);
    lane.open_after_handshake(BYTES_MAX);
    write(&lane, &frame::text(&["40"])).await.unwrap();
    let large = "x".repeat(20_000_000);
    let writing = (Arc::clone(&lane), frame::text(&["4", &large]));
    let writing = tokio::spawn(async move { write(&writing.0, &writing.1).await });
    while lane.state().unsent == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(lane.send(&frame::text(&["after"])), Sent::Yes);
    assert_eq!(next(&mut client).await, "40");
    assert_eq!(next(&mut client).await.len(), 1 + large.len());
    assert_eq!(next(&mut client).await, "after");
    writing.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_full_at_its_bound() {
    let (lane, client) = pair().await;
    lane.open_after_handshake(BYTES_MAX);
    write(&lane, &frame::text(&["40"])).await.unwrap();
    let frame = frame::text(&[&"x".repeat(100_000)]);
    let mut last = Sent::Yes;
    for _ in 0..10_000 {
        last = lane.send(&frame);
        if last != Sent::Yes {
            break;
        }
    }
    assert_eq!(last, Sent::Full);
    let held = lane.state().waiting_bytes;
    assert!(held <= BYTES_MAX && held + weight(&frame) > BYTES_MAX);
    drop(client);
}

#[tokio::test]
async fn after_a_cut_or_the_end_nothing_is_taken() {
    for end in [Lane::cut, Lane::close] {
        let (lane, _client) = pair().await;
        lane.open_after_handshake(BYTES_MAX);
        write(&lane, &frame::text(&["40"])).await.unwrap();
        end(&lane);
        assert_eq!(lane.send(&frame::text(&["late"])), Sent::Gone);
        assert!(write(&lane, b"late").await.is_err());
        read(&lane).await.unwrap();
    }
}
