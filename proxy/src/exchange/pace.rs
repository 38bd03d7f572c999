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
