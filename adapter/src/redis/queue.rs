//! A queue that is bounded in messages and in bytes, and refuses instead of waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

/// Something whose size counts.
pub(crate) trait Sized {
    fn bytes(&self) -> usize;
}

pub(crate) fn bounded<T: Sized>(messages_max: usize, bytes_max: usize) -> (Sender<T>, Receiver<T>) {
    let (messages, queued) = mpsc::channel(messages_max.max(1));
    let bytes = Arc::new(AtomicUsize::new(0));
    let sender = Sender {
        messages,
        bytes: Arc::clone(&bytes),
        bytes_max,
    };
    let receiver = Receiver {
        queued,
        next: None,
        bytes,
    };
    (sender, receiver)
}

pub(crate) struct Sender<T> {
    messages: mpsc::Sender<T>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// The queue has no room, or nobody reads it any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl<T: Sized> Sender<T> {
    /// A message larger than the whole queue is taken when the queue is empty.
    pub(crate) fn try_send(&self, message: T) -> Result<(), Refused> {
        let bytes = message.bytes();
        // Counted before it is queued, so that the reader cannot subtract it first.
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before == 0 || before.saturating_add(bytes) <= self.bytes_max;
        if has_room && self.messages.try_send(message).is_ok() {
            return Ok(());
        }
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Err(Refused)
    }
}

pub(crate) struct Receiver<T> {
    queued: mpsc::Receiver<T>,
    /// The first message, when it was looked at and not taken.
    next: Option<T>,
    bytes: Arc<AtomicUsize>,
}

impl<T: Sized> Receiver<T> {
    /// `None` when all senders are gone and the queue is empty. May be cancelled.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        let message = match self.next.take() {
            Some(next) => next,
            None => self.queued.recv().await?,
        };
        Some(self.taken(message))
    }

    /// What is there now.
    pub(crate) fn try_recv(&mut self) -> Option<T> {
        let message = self.next.take().or_else(|| self.queued.try_recv().ok())?;
        Some(self.taken(message))
    }

    /// Takes the first message if it is such a one.
    pub(crate) fn try_recv_if(&mut self, is_wanted: impl FnOnce(&T) -> bool) -> Option<T> {
        if self.next.is_none() {
            self.next = self.queued.try_recv().ok();
        }
        let next = self.next.take_if(|next| is_wanted(next))?;
        Some(self.taken(next))
    }

    fn taken(&self, message: T) -> T {
        self.bytes.fetch_sub(message.bytes(), Ordering::Relaxed);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sized for &'static str {
        fn bytes(&self) -> usize {
            self.len()
        }
    }

    #[test]
    fn both_bounds_hold_and_room_comes_back() {
        let (sender, mut receiver) = bounded(3, 10);
        assert_eq!(sender.try_send("12345"), Ok(()));
        assert_eq!(sender.try_send("678901"), Err(Refused), "11 bytes");
        assert_eq!(sender.try_send("67890"), Ok(()));
        assert_eq!(sender.try_send(""), Ok(()));
        assert_eq!(sender.try_send(""), Err(Refused), "four messages");
        assert_eq!(receiver.try_recv(), Some("12345"));
        assert_eq!(sender.try_send("abcde"), Ok(()));
    }

    #[test]
    fn one_message_larger_than_the_queue_passes_alone() {
        let (sender, mut receiver) = bounded(3, 1);
        assert_eq!(sender.try_send("large"), Ok(()));
        assert_eq!(sender.try_send("x"), Err(Refused));
        assert_eq!(receiver.try_recv(), Some("large"));
        assert_eq!(receiver.try_recv(), None);
        assert_eq!(sender.try_send("x"), Ok(()));
    }
}
