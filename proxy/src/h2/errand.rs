//! One accepted request of an HTTP/2 client, as its stream's task and Pingora's hooks share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::CLIENT_STALL_TIMEOUT;
use crate::head::{Body, Head};
use crate::headers::Fields;
use crate::request::Request;

#[derive(Debug)]
pub(super) struct Errand {
    pub(super) request: Request,
    pub(super) method: String,
    pub(super) host: String,
    pub(super) target: String,
    pub(super) origin: Option<String>,
    /// Told of everything that moves the request on, until its body is whole.
    progress: watch::Sender<Stage>,
    /// The client stopped in the middle of its body.
    is_stalled: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Sending,
    Sent,
}

/// How an errand reaches Pingora's hooks: among the extensions of the head.
#[derive(Clone, Debug)]
pub(super) struct Carried(pub(super) Arc<Errand>);

impl Errand {
    #[must_use]
    pub(super) fn new(head: &Head<'_, '_>, request: Request) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let stage = match head.body {
            Body::None => Stage::Sent,
            Body::Length(_) | Body::Chunked => Stage::Sending,
        };
        Self {
            request,
            method: head.method.to_owned(),
            host: text(head.host),
            target: head.target.to_owned(),
            origin: head.fields.first_of("Origin").map(text),
            progress: watch::Sender::new(stage),
            is_stalled: AtomicBool::new(false),
        }
    }

    /// Something moved on.
    pub(super) fn moved(&self) {
        self.progress.send_modify(|_| {});
    }

    /// The client has nothing more to send.
    pub(super) fn sent(&self) {
        self.progress.send_replace(Stage::Sent);
    }

    /// Returns when the client pauses for too long inside the body that it sends; Pingora has no bound for that.
    pub(super) async fn stalled(&self) {
        let mut progress = self.progress.subscribe();
        // A server that does not take the body holds it up as well, and has a bound of its own.
        let patience: Duration = CLIENT_STALL_TIMEOUT + self.request.upstream.write_timeout;
        while *progress.borrow_and_update() == Stage::Sending {
            if timeout(patience, progress.changed()).await.is_err() {
                self.is_stalled.store(true, Relaxed);
                return;
            }
        }
        std::future::pending().await
    }

    #[must_use]
    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

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
        Errand::new(&head, request)
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_pause_inside_a_body_is_too_long() {
        let hour = Duration::from_secs(3600);
        let errand = errand("Content-Length: 7\r\n");
        let began = Instant::now();
        let slowly = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(100)).await;
                errand.moved();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = errand.stalled() => {}
            () = slowly => {}
        }
        assert_eq!(began.elapsed(), Duration::from_secs(3 * 100 + 60 + 60));
        assert!(errand.is_stalled());

        errand.sent();
        assert!(timeout(hour, errand.stalled()).await.is_err());
        let without = self::errand("");
        assert!(timeout(hour, without.stalled()).await.is_err());
        assert!(!without.is_stalled());
    }
}
