//! What was sent in one room, what became of it, and what each member has seen.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Room {
    pub(super) sent: RefCell<Vec<Sent>>,
    /// Messages that everybody has, or that were refused.
    pub(super) done: Cell<u64>,
    pub(super) acked: Cell<u64>,
    pub(super) progress: Notify,
}

#[derive(Clone, Copy)]
pub(super) struct Sent {
    /// When it was meant to be sent.
    pub(super) intended: Instant,
    /// To how many members it came.
    pub(super) came: u64,
    /// Then it is owed to nobody; it may come all the same, where the server could not know whether it was kept.
    pub(super) is_refused: bool,
}

impl Room {
    /// Writes down the next message and gives its number.
    pub(super) fn send(&self, intended: Instant) -> usize {
        let mut sent = self.sent.borrow_mut();
        sent.push(Sent {
            intended,
            came: 0,
            is_refused: false,
        });
        sent.len() - 1
    }

    pub(super) fn intended(&self, message: usize) -> Option<Instant> {
        let sent = self.sent.borrow();
        sent.get(message).map(|sent| sent.intended)
    }

    /// Something has become of a message; the next may go when nothing more is to come of it.
    pub(super) fn note(&self, message: usize, change: impl FnOnce(&mut Sent), receivers: u64) {
        let mut sent = self.sent.borrow_mut();
        let Some(sent) = sent.get_mut(message) else {
            return;
        };
        let is_done = |sent: &Sent| sent.is_refused || sent.came >= receivers;
        let was_done = is_done(sent);
        change(sent);
        if is_done(sent) && !was_done {
            self.done.set(self.done.get() + 1);
            self.progress.notify_one();
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Sighting {
    InOrder,
    Disordered,
    Twice,
}

/// What one member has seen of its room.
#[derive(Default)]
pub(super) struct Seen(Vec<bool>);

impl Seen {
    pub(super) fn add(&mut self, message: usize) -> Sighting {
        match self.0.get_mut(message) {
            Some(true) => Sighting::Twice,
            Some(earlier) => {
                *earlier = true;
                Sighting::Disordered
            }
            None => {
                self.0.resize(message, false);
                self.0.push(true);
                Sighting::InOrder
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_counts_once_and_in_its_order() {
        let mut seen = Seen::default();
        let sightings = [0, 2, 1, 2, 3].map(|message| seen.add(message));
        let (first, late, again) = (Sighting::InOrder, Sighting::Disordered, Sighting::Twice);
        assert_eq!(
            sightings,
            [first, Sighting::InOrder, late, again, Sighting::InOrder]
        );
    }
}
