//! How long one side of a body is waited for: inside every pause, and in all.
//!
//! Only waiting counts: what is held up by the other side is nobody's slowness. A side that is waited for moves a least
//! number of bytes in every window of waiting; how much it moved before does not help it later.

use std::time::Duration;

/// What is demanded of one side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Of one pause.
    pub(crate) timeout: Duration,
    /// Waiting that is measured at a time.
    pub(crate) window: Duration,
    /// What has to move in it; 0 is no demand.
    pub(crate) window_bytes_min: u64,
}

impl Patience {
    /// Without a least rate.
    #[must_use]
    pub(crate) fn of_pauses(timeout: Duration) -> Self {
        Self {
            timeout,
            window: Duration::MAX,
            window_bytes_min: 0,
        }
    }

    #[must_use]
    pub(crate) fn of_rate(timeout: Duration, bytes_per_second: u64, window: Duration) -> Self {
        let window_bytes_min = bytes_per_second.saturating_mul(window.as_secs());
        Self {
            timeout,
            window,
            window_bytes_min,
        }
    }

    /// The same when it cannot be told for which side was waited: the other one may take `more` of each pause.
    #[must_use]
    pub(crate) fn shared_with(self, more: Duration) -> Self {
        Self {
            timeout: self.timeout.saturating_add(more),
            window: self.window.saturating_add(more),
            ..self
        }
    }

    /// How long so many bytes may take when it is not seen how they move: as long as at the least rate, and never less
    /// than one pause.
    #[must_use]
    pub(crate) fn time_for(&self, bytes: usize) -> Duration {
        if self.window_bytes_min == 0 {
            return self.timeout;
        }
        let windows = bytes as u64 / self.window_bytes_min;
        let windows = u32::try_from(windows).unwrap_or(u32::MAX);
        self.timeout.max(self.window.saturating_mul(windows))
    }
}

/// The current window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// How much longer the side may be waited for, as far as its pace tells.
    #[must_use]
    pub(crate) fn left(&self, patience: &Patience) -> Duration {
        if self.bytes >= patience.window_bytes_min {
            return Duration::MAX;
        }
        patience.window.saturating_sub(self.waited)
    }

    /// It was waited for, and then moved so many bytes.
    pub(crate) fn count(&mut self, patience: &Patience, waited: Duration, bytes: usize) {
        self.waited = self.waited.saturating_add(waited);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.waited >= patience.window && self.bytes >= patience.window_bytes_min {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_seen_to_move_have_the_time_of_the_least_rate() {
        let seconds = Duration::from_secs;
        let slow = Patience::of_rate(seconds(60), 240, seconds(60));
        assert_eq!(slow.time_for(0), seconds(60));
        assert_eq!(slow.time_for(240 * 60), seconds(60));
        assert_eq!(slow.time_for(240 * 60 * 4), seconds(240));
        assert_eq!(
            Patience::of_pauses(seconds(7)).time_for(1 << 30),
            seconds(7)
        );
    }
}
