//! One accepted request of an HTTP/2 client, as its stream's task and Pingora's hooks share it.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::exchange::Patience;
use crate::exchange::pace::Pace;
use crate::head::{Body, Head};
use crate::headers::Fields;
use crate::refusal::Refusal;
use crate::request::Request;

#[derive(Debug)]
pub(super) struct Errand {
    pub(super) request: Request,
    pub(super) method: String,
    pub(super) host: String,
    pub(super) target: String,
    pub(super) origin: Option<String>,
    pub(super) patience: Patience,
    /// Told of everything that moves the request on, until its body is whole.
    progress: watch::Sender<Progress>,
    /// The client stopped in the middle of its body, or was too slow with it.
    stalled: OnceLock<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// Of the body.
    bytes: usize,
    is_sent: bool,
}

/// How an errand reaches Pingora's hooks: among the extensions of the head.
#[derive(Clone, Debug)]
pub(super) struct Carried(pub(super) Arc<Errand>);

impl Errand {
    #[must_use]
    pub(super) fn new(head: &Head<'_, '_>, request: Request, patience: Patience) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let progress = Progress {
            bytes: 0,
            is_sent: matches!(head.body, Body::None),
        };
        Self {
            request,
            method: head.method.to_owned(),
            host: text(head.host),
            target: head.target.to_owned(),
            origin: head.fields.first_of("Origin").map(text),
            patience,
            progress: watch::Sender::new(progress),
            stalled: OnceLock::new(),
        }
    }

    /// Something moved on: so many bytes of the body, or something else.
    pub(super) fn moved(&self, bytes: usize) {
        self.progress
            .send_modify(|progress| progress.bytes = progress.bytes.saturating_add(bytes));
    }

    /// The client has nothing more to send.
    pub(super) fn sent(&self) {
        self.progress
            .send_modify(|progress| progress.is_sent = true);
    }

    /// Returns when the client pauses for too long inside the body that it sends, or is too slow with it; Pingora has no
    /// bound for that.
    pub(super) async fn stalled(&self) {
        let mut progress = self.progress.subscribe();
        // A server that does not take the body holds it up as well, and has a bound of its own.
        let patience = self
            .patience
            .sends
            .shared_with(self.request.upstream.write_timeout);
        let (mut pace, mut moved_at, mut before) = (Pace::default(), Instant::now(), 0);
        loop {
            let Progress { bytes, is_sent } = *progress.borrow_and_update();
            if is_sent {
                std::future::pending::<()>().await;
            }
            let now = Instant::now();
            pace.count(&patience, now - moved_at, bytes - before);
            (moved_at, before) = (now, bytes);
            let left = pace.left(&patience).min(patience.timeout);
            if timeout_at(now + left, progress.changed()).await.is_err() {
                let is_silent = left == patience.timeout;
                let refusal = if is_silent {
                    Refusal::BodyTimeout
                } else {
                    Refusal::BodyTooSlow
                };
                self.stalled.get_or_init(|| refusal);
                return;
            }
        }
    }

    /// Why its body was not waited for any longer, if it was not.
    #[must_use]
    pub(super) fn stalled_as(&self) -> Option<Refusal> {
        self.stalled.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::edge;
    use crate::head::{parse, room};
    use crate::registry::{Addresses, Registry, tests::settings};

    fn errand(fields: &str) -> Errand {
        let snapshot = Registry::new(settings(&["127.0.0.1:1"]), Addresses::new()).current();
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut room = room();
        let head = parse(text.as_bytes(), &mut room).unwrap();
        let request = edge::request(&snapshot, None, &head).unwrap();
        let mut limits = snapshot.limits.clone();
        limits.body_timeout = Duration::from_secs(60);
        (limits.body_rate_min, limits.rate_window) = (240, Duration::from_secs(60));
        Errand::new(&head, request, Patience::new(&limits))
    }

    /// When a client was too slow that sends so many bytes so often, and in which way.
    async fn ended(bytes: usize, seconds: u64, times: u32) -> (Duration, Option<Refusal>) {
        let errand = errand("Content-Length: 1000000\r\n");
        let began = Instant::now();
        let slowly = async {
            for _ in 0..times {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                errand.moved(bytes);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = errand.stalled() => {}
            () = slowly => {}
        }
        (began.elapsed(), errand.stalled_as())
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_inside_a_body_is_too_long_some_day() {
        let hour = Duration::from_secs(3600);
        // The server may have taken its time as well.
        let patience = Duration::from_secs(60 + 60);
        assert_eq!(ended(0, 0, 0).await, (patience, Some(Refusal::BodyTimeout)));
        let (after, refusal) = ended(100_000, 100, 3).await;
        assert_eq!(after, Duration::from_secs(3 * 100) + patience);
        assert_eq!(refusal, Some(Refusal::BodyTimeout));

        let errand = errand("Content-Length: 7\r\n");
        errand.sent();
        assert!(timeout(hour, errand.stalled()).await.is_err());
        let without = self::errand("");
        assert!(timeout(hour, without.stalled()).await.is_err());
        assert_eq!(without.stalled_as(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_too_slowly_is_ended_however_steadily() {
        // 240 bytes per second in the window, of which the server may hold up half.
        let (after, refusal) = ended(100, 1, 1000).await;
        assert_eq!(refusal, Some(Refusal::BodyTooSlow));
        assert_eq!(after, Duration::from_secs(60 + 60));
        let (after, refusal) = ended(250, 1, 600).await;
        assert!(after > Duration::from_secs(600), "{after:?}");
        assert!(refusal.is_some());
    }
}
