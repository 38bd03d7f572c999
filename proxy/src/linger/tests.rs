use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{interval, sleep, timeout};

use super::*;

const SEND_TIMEOUT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A connection of which the test says how far its bytes have come; `u64::MAX` is all the way.
struct Line {
    stream: DuplexStream,
    taken: Arc<AtomicU64>,
}

impl Delivery for Line {
    fn under_way(&self) -> Option<u64> {
        Some(self.taken.load(Relaxed)).filter(|taken| *taken < u64::MAX)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn line(taken: u64) -> (DuplexStream, Line, Arc<AtomicU64>) {
    let (client, stream) = duplex(64);
    let taken = Arc::new(AtomicU64::new(taken));
    let line = Line {
        stream,
        taken: Arc::clone(&taken),
    };
    (client, line, taken)
}

/// How long a client is waited for that gets `words`.
async fn time(line: &mut Line, words: &[u8], talk: Talk, patience: Patience) -> Duration {
    let start = Instant::now();
    timeout(HOUR, linger(line, words, talk, patience))
        .await
        .expect("an end within the hour");
    start.elapsed()
}

fn of_pauses() -> Patience {
    Patience::of_pauses(SEND_TIMEOUT)
}

/// Nothing is looked at more often than that.
#[track_caller]
fn assert_about(found: Duration, expected: Duration) {
    let latest = expected + 2 * LOOK_INTERVAL;
    assert!(
        (expected..=latest).contains(&found),
        "{found:?} for {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_that_has_everything_is_let_go_at_once() {
    let (_client, mut line, _) = line(u64::MAX);
    let after = time(&mut line, &[], Talk::Over, of_pauses()).await;
    assert_eq!(after, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_may_be_sending_gets_time_to_see_the_end() {
    let (_client, mut line, _) = line(u64::MAX);
    let after = time(&mut line, &[], Talk::MayGoOn, of_pauses()).await;
    assert_about(after, SILENCE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_not_waited_for() {
    let (client, mut line, _) = line(7);
    drop(client);
    let after = time(&mut line, &[], Talk::MayGoOn, of_pauses()).await;
    assert_eq!(after, Duration::ZERO);
}

/// A client that never stops.
async fn sends_for_ever(mut client: DuplexStream) {
    let mut turn = interval(Duration::from_secs(1));
    loop {
        turn.tick().await;
        if client.write_all(&[b'x'; 100]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_everything_and_goes_on_sending_is_ended_some_day() {
    let (client, mut line, _) = line(u64::MAX);
    let sending = tokio::spawn(sends_for_ever(client));
    let after = time(&mut line, &[], Talk::MayGoOn, of_pauses()).await;
    assert_about(after, SENDING_TIMEOUT);
    sending.abort();
}

#[tokio::test(start_paused = true)]
async fn as_long_as_its_system_takes_something_a_client_may_send_and_read_slowly() {
    let (client, mut line, taken) = line(0);
    let sending = tokio::spawn(sends_for_ever(client));
    let taking = tokio::spawn(async move {
        for _ in 0..20 {
            sleep(SEND_TIMEOUT / 2).await;
            taken.fetch_add(1000, Relaxed);
        }
        taken.store(u64::MAX, Relaxed);
    });
    let after = time(&mut line, &[], Talk::Over, of_pauses()).await;
    assert_about(after, SEND_TIMEOUT * 10 + SENDING_TIMEOUT);
    sending.abort();
    taking.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_system_takes_nothing_has_send_timeout() {
    let (client, mut line, _) = line(12_345);
    let sending = tokio::spawn(sends_for_ever(client));
    let after = time(&mut line, &[], Talk::Over, of_pauses()).await;
    assert_about(after, SEND_TIMEOUT);
    sending.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_too_slowly_is_cut_however_steadily() {
    let window = Duration::from_secs(20);
    let patience = Patience::of_rate(SEND_TIMEOUT, 10, window);
    for (bytes_per_second, is_cut) in [(9, true), (11, false)] {
        let (_client, mut line, taken) = line(1_000_000);
        let taking = tokio::spawn(async move {
            for _ in 0..200 {
                sleep(Duration::from_secs(1)).await;
                taken.fetch_add(bytes_per_second, Relaxed);
            }
            taken.store(u64::MAX, Relaxed);
        });
        let after = time(&mut line, &[], Talk::Over, patience).await;
        let expected = if is_cut { window } else { window * 10 };
        assert_about(after, expected);
        taking.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_only_when_it_has_said_everything_gets_the_last_words() {
    let (mut client, mut line, _) = line(u64::MAX);
    let words = vec![b'w'; 10_000];
    let telling = tokio::spawn(async move {
        client.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        (client, got)
    });
    let after = time(&mut line, &words, Talk::MayGoOn, of_pauses()).await;
    assert_about(after, SILENCE_TIMEOUT);
    let (_client, got) = telling.await.unwrap();
    assert!(got == words, "{} bytes", got.len());
}
