//! A true sliding window over a server's failures, for those who want one: `max_fails` of nginx is none, as failures
//! that are each within `fail_timeout` of the one before add up for ever.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::pool::Seconds;

/// When a server failed lately. Locked by failures alone, which are rare; requests read the count beside it.
#[derive(Debug, Default)]
pub struct Window(Mutex<VecDeque<Seconds>>);

impl Window {
    /// Adds a failure and tells how many there were in the last `length`, it included. No more than `most` are kept.
    pub fn add(&self, now: Seconds, length: Seconds, most: u32) -> u32 {
        // A list of times has no state in which it may not be read.
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push_back(now);
        while failures
            .front()
            .is_some_and(|oldest| now.saturating_sub(*oldest) > length)
        {
            failures.pop_front();
        }
        while failures.len() > most as usize {
            failures.pop_front();
        }
        u32::try_from(failures.len()).unwrap_or(u32::MAX)
    }

    pub fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let window = Window::default();
        assert_eq!(window.add(100, 10, 5), 1);
        assert_eq!(window.add(105, 10, 5), 2);
        assert_eq!(window.add(111, 10, 5), 2);
        window.clear();
        assert_eq!(window.add(111, 10, 5), 1);
    }

    proptest! {
        #[test]
        fn it_counts_what_is_in_the_window(
            waits in prop::collection::vec(0_u64..20, 1..50), length in 1_u64..40, most in 1_u32..8,
        ) {
            let (window, mut now, mut failures) = (Window::default(), 0, Vec::new());
            for wait in waits {
                now += wait;
                failures.push(now);
                let counted = failures.iter().filter(|failure| now - **failure <= length).count();
                prop_assert_eq!(window.add(now, length, most) as usize, counted.min(most as usize));
            }
        }
    }
}
