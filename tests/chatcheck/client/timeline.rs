//! What a recovering client has of one room: everything up to its cursor, and what came too early.

use std::collections::BTreeSet;

/// How long a gap may close by itself before the client asks.
pub(super) const GAP_PATIENCE_MICROS: u64 = 300_000;

/// One room's log, as far as it is here.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// The newest seq up to which nothing is missing. None before the room was first entered.
    cursor: Option<u64>,
    early: BTreeSet<u64>,
    /// The newest seq that is known to exist.
    last_known: u64,
    behind_since: Option<u64>,
}

impl Timeline {
    pub(super) fn cursor(&self) -> Option<u64> {
        self.cursor
    }

    /// The first time in: everything after `from` is owed from here on.
    pub(super) fn begin(&mut self, from: u64) {
        if self.cursor.is_none() {
            self.cursor = Some(from);
            self.close_gaps();
        }
    }

    /// The room has messages up to here.
    pub(super) fn learn(&mut self, last: u64) {
        self.last_known = self.last_known.max(last);
    }

    pub(super) fn take(&mut self, seq: u64, now: u64) {
        self.learn(seq);
        if self.cursor.is_none_or(|cursor| seq > cursor) {
            self.early.insert(seq);
            self.close_gaps();
        }
        if !self.is_behind() {
            self.behind_since = None;
        } else if self.behind_since.is_none() {
            self.behind_since = Some(now);
        }
    }

    pub(super) fn is_behind(&self) -> bool {
        self.cursor.is_some_and(|cursor| cursor < self.last_known)
    }

    /// When the client should ask for what is missing.
    pub(super) fn ask_at(&self) -> Option<u64> {
        self.is_behind().then(|| {
            self.behind_since
                .map_or(0, |since| since + GAP_PATIENCE_MICROS)
        })
    }

    /// More is known to be there, and it will not come by itself.
    pub(super) fn goes_on(&mut self) {
        self.behind_since = None;
    }

    /// Asked in vain: not again before this much time has gone by.
    pub(super) fn waits_again(&mut self, now: u64) {
        self.behind_since = Some(now);
    }

    fn close_gaps(&mut self) {
        let Some(mut cursor) = self.cursor else {
            return;
        };
        while let Some(first) = self.early.first().copied() {
            if first > cursor + 1 {
                break;
            }
            cursor = cursor.max(first);
            self.early.pop_first();
        }
        self.cursor = Some(cursor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_waits_for_what_is_missing() {
        let mut timeline = Timeline::default();
        timeline.take(4, 0);
        assert_eq!(timeline.cursor(), None);
        timeline.begin(3);
        assert_eq!(timeline.cursor(), Some(4));
        timeline.take(6, 1_000);
        assert_eq!((timeline.cursor(), timeline.is_behind()), (Some(4), true));
        assert_eq!(timeline.ask_at(), Some(1_000 + GAP_PATIENCE_MICROS));
        timeline.take(5, 2_000);
        assert_eq!((timeline.cursor(), timeline.ask_at()), (Some(6), None));
        timeline.take(2, 3_000);
        assert_eq!(timeline.cursor(), Some(6));
    }

    #[test]
    fn what_is_known_to_be_missing_without_a_gap_is_asked_for_at_once() {
        let mut timeline = Timeline::default();
        timeline.begin(0);
        timeline.learn(10);
        assert_eq!(timeline.ask_at(), Some(0));
    }
}
