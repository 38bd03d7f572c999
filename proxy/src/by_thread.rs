//! Numbers that all threads change with every request and hardly anybody reads: each thread has a place of its own.
//!
//! Two processors that change one number hand its cache line to and fro, which takes longer than everything that is
//! counted. More threads than places share them; that costs time, never a count. Pure but for the thread's number.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A reader adds up so many.
const PLACES: usize = 8;

/// Processors fetch lines of 64 bytes in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place<T>(T);

#[derive(Debug)]
pub(crate) struct ByThread<T> {
    first: Place<T>,
    others: Box<[Place<T>]>,
}

impl<T: Default> Default for ByThread<T> {
    fn default() -> Self {
        Self {
            first: Place::default(),
            others: (1..PLACES).map(|_| Place::default()).collect(),
        }
    }
}

impl<T> ByThread<T> {
    /// # Errors
    /// The first that `make` has.
    pub(crate) fn try_from_fn<E>(mut make: impl FnMut() -> Result<T, E>) -> Result<Self, E> {
        let first = Place(make()?);
        let others = (1..PLACES).map(|_| make().map(Place));
        Ok(Self {
            first,
            others: others.collect::<Result<_, _>>()?,
        })
    }

    /// This thread's.
    #[must_use]
    pub(crate) fn mine(&self) -> &T {
        let others = (number() % PLACES).checked_sub(1);
        let place = others.and_then(|index| self.others.get(index));
        &place.unwrap_or(&self.first).0
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first)
            .chain(&self.others)
            .map(|place| &place.0)
    }
}

/// Threads are numbered when they first ask. Belongs to no proxy: it is who asks.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_however_many_threads_count() {
        let counts = ByThread::<AtomicUsize>::default();
        std::thread::scope(|scope| {
            for _ in 0..3 * PLACES {
                scope.spawn(|| {
                    for _ in 0..100 {
                        counts.mine().fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let sum: usize = counts
            .all()
            .map(|count| count.load(Ordering::Relaxed))
            .sum();
        assert_eq!(sum, 3 * PLACES * 100);
    }
}
