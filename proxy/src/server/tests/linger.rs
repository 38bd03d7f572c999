//! The end of a client's connection on real sockets: the last answer arrives whole whatever else the client says, and
//! one that breaks off does not look whole.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::cluster::{Client, PATIENCE, Proxy, settings};
use super::tls::{connect, encrypted, trusting};
use super::wire::{before, before_settings, head_of};
use crate::certificate::tests::Made;

const BODY_BYTES: usize = 4 << 20;
const LAST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWERED: &str =
    "berth_requests_total{code=\"200\",method=\"GET\",transport=\"http\",upstream=\"app\"}";

/// Answers every head with a large body.
async fn large(mut client: Client) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
    let answer = [answer.as_bytes(), &vec![b'x'; BODY_BYTES]].concat();
    while !head_of(&mut client.0).await.is_empty() {
        // A proxy whose client was cut is gone as well.
        let _sent = client.0.write_all(&answer).await;
    }
}

/// The length of the body, and whether the end was an error.
async fn body_of(stream: &mut (impl AsyncReadExt + Unpin)) -> (usize, bool) {
    let mut bytes = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n");
    let body = bytes.len() - head.map_or(bytes.len(), |at| at + 4);
    (body, ended.unwrap().is_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_too_much_gets_its_whole_answer() {
    let proxy = before(large).await;
    for more in [1, 1000, 100_000, 300_000, 10_000_000] {
        let mut runs = 0;
        for _ in 0..8 {
            let mut client = proxy.connect().await;
            client.send(LAST).await;
            client.0.write_all(&vec![b'X'; more]).await.unwrap();
            assert_eq!(body_of(&mut client.0).await, (BODY_BYTES, false), "{more}");
            runs += 1;
        }
        assert_eq!(runs, 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_behind_the_last_one_are_not_answered_and_break_nothing() {
    let mut settings = settings(&[]);
    settings.limits.client_keepalive_requests = 2;
    let proxy = before_settings(settings, large).await;
    for _ in 0..8 {
        let mut client = proxy.connect().await;
        client.send(&GET.repeat(5000)).await;
        for _ in 0..2 {
            client.head().await;
            client.read(BODY_BYTES).await;
        }
        assert_eq!(client.read_to_end().await, b"");
    }
}

/// A client whose system takes little at once.
async fn narrow(proxy: &Proxy) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    Client(socket.connect(proxy.address).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_that_goes_on_sending_gets_its_whole_answer() {
    // As much as the kernel takes of it, so that nothing but the end is left to do.
    const BYTES: usize = 1 << 20;
    let proxy = before(|mut client| async move {
        head_of(&mut client.0).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
        client.send(&head).await;
        client.0.write_all(&vec![b'x'; BYTES]).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let mut client = narrow(&proxy).await;
    client.send(LAST).await;
    proxy.wait_for_metric(&format!("{ANSWERED} 1")).await;
    client.head().await;
    // Longer than a client is lingered for that takes nothing but has everything.
    let (steps, pause) = (64, Duration::from_millis(110));
    for _ in 0..steps {
        client.0.write_all(&[b'X'; 8192]).await.unwrap();
        tokio::time::sleep(pause).await;
        assert_eq!(client.read(BYTES / steps).await.len(), BYTES / steps);
    }
    assert_eq!(client.read_to_end().await, b"");
}

const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\nhalf of it";
const WITH_LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";

/// What breaks off an answer in the middle.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// The server is silent for `read_timeout`.
    Silence,
    /// The server's connection is reset.
    Reset,
    /// The proxy stops.
    Stop,
    /// Nothing: the server ends its side.
    Nothing,
}

/// How a client that has read half of `words` sees their end: the rest of what it reads, and whether that was an error.
async fn end_of(words: &'static str, breaks: Break, is_tls: bool) -> (usize, bool) {
    let made = Made::new(&["a.example.com"]);
    let mut settings = if is_tls {
        encrypted(&[], &[&made])
    } else {
        settings(&[])
    };
    if matches!(breaks, Break::Silence) {
        settings.upstreams[0].read_timeout = Duration::from_millis(300);
    }
    let (may_end, ends) = tokio::sync::watch::channel(false);
    let proxy = before_settings(settings, move |mut client| {
        let mut ends = ends.clone();
        async move {
            head_of(&mut client.0).await;
            client.send(words).await;
            if ends.wait_for(|may_end| *may_end).await.is_ok() && matches!(breaks, Break::Reset) {
                client.0.set_zero_linger().unwrap();
            }
        }
    })
    .await;
    let half = words.len() - words.find("half").unwrap();
    if is_tls {
        let mut client = connect(&proxy, "a.example.com", &trusting(&[&made])).await;
        read_to_break(&mut client, half, breaks, (&proxy, &may_end)).await
    } else {
        let mut client = proxy.connect().await;
        read_to_break(&mut client, half, breaks, (&proxy, &may_end)).await
    }
}

async fn read_to_break<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    half: usize,
    breaks: Break,
    (proxy, may_end): (&Proxy, &tokio::sync::watch::Sender<bool>),
) -> (usize, bool) {
    client.send(GET).await;
    client.head().await;
    client.read(half).await;
    match breaks {
        Break::Silence => {}
        Break::Reset | Break::Nothing => may_end.send(true).unwrap(),
        Break::Stop => proxy.handle.stop(),
    }
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, client.0.read_to_end(&mut rest)).await;
    (rest.len(), ended.unwrap().is_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    for is_tls in [false, true] {
        for breaks in [Break::Silence, Break::Reset, Break::Stop] {
            let end = end_of(UNTIL_CLOSE, breaks, is_tls).await;
            assert_eq!(end, (0, true), "{breaks:?}, TLS: {is_tls}");
        }
        assert_eq!(
            end_of(UNTIL_CLOSE, Break::Nothing, is_tls).await,
            (0, false)
        );
    }
    // The length tells, but a goodbye would be a lie.
    for breaks in [Break::Silence, Break::Reset, Break::Stop, Break::Nothing] {
        assert_eq!(
            end_of(WITH_LENGTH, breaks, true).await,
            (0, true),
            "{breaks:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_noticed_behind_a_further_request() {
    let proxy = before(|mut client| async move {
        head_of(&mut client.0).await;
        std::future::pending::<()>().await;
    })
    .await;
    for (number, further) in [0, 1, 500, 1500].into_iter().enumerate() {
        let mut client = proxy.connect().await;
        client.send(GET).await;
        proxy.wait_for_metric("berth_connections 1").await;
        client.send(&GET.repeat(further)).await;
        drop(client);
        let line = format!(
            "berth_requests_total{{code=\"499\",method=\"GET\",transport=\"http\",upstream=\"app\"}} {}",
            number + 1
        );
        proxy.wait_for_metric(&line).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_inside_its_answer_is_not_held_against_the_server() {
    let proxy = before(|mut client| async move {
        head_of(&mut client.0).await;
        client.send(WITH_LENGTH).await;
        std::future::pending::<()>().await;
    })
    .await;
    for (number, resets) in [(1, false), (2, true)] {
        let mut client = proxy.connect().await;
        client.send(GET).await;
        client.head().await;
        client.read(10).await;
        if resets {
            client.0.set_zero_linger().unwrap();
        }
        drop(client);
        let line = format!("berth_answers_cut_total{{reason=\"client\"}} {number}");
        proxy.wait_for_metric(&line).await;
    }
    let metrics = proxy.admin("/metrics").await.body;
    assert!(!metrics.contains("reason=\"server\""), "{metrics}");
}
