//! One room that has members here: its line, whether somebody is mending it, and its newest messages.
//!
//! One lock, held while entries are shown: that is what keeps their order. Showing never blocks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use socketioxide_core::Str;

use super::frame::Frame;
use super::line::{Line, Missing, Offered};
use super::recent::{self, Recent};
use super::{RECENT_BYTES_MAX, Way};
use crate::chat::message::Message;
use crate::store::{History, Page};

/// Entries of one room that may wait behind a gap. More are fetched from the log like the gap itself.
const WAITING_MAX: usize = 1_024;

/// An entry as clients are told of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) event: Str,
    pub(super) way: Way,
    /// When it was made, by the clock of the instance that made it.
    pub(super) made_ms: Option<i64>,
}

impl Told {
    pub(super) fn by_bus(frame: &Frame, event: Str) -> Self {
        Self {
            event,
            way: Way::Bus,
            made_ms: frame.made_ms,
        }
    }
}

#[derive(Debug)]
pub(super) struct Room(Mutex<State>);

#[derive(Debug)]
struct State {
    line: Line<Told>,
    /// Names the log that the line is of, once that is known.
    epoch: Option<String>,
    is_mending: bool,
    /// Another one has taken its place, or it has no members: it shows nothing more.
    is_retired: bool,
    recent: Option<Recent>,
}

impl Room {
    pub(super) fn asking() -> Self {
        Self::with(Line::asking(WAITING_MAX))
    }

    pub(super) fn adrift() -> Self {
        Self::with(Line::adrift(WAITING_MAX))
    }

    fn with(line: Line<Told>) -> Self {
        Self(Mutex::new(State {
            line,
            epoch: None,
            is_mending: false,
            is_retired: false,
            recent: None,
        }))
    }

    pub(super) fn has_begun(&self) -> bool {
        self.state().line.passed().is_some()
    }

    /// The last entry that was shown; 0 where nobody knows yet.
    pub(super) fn end(&self) -> u64 {
        self.state().line.passed().unwrap_or(0)
    }

    /// Begins where the log ended, or with the next entry when it did not say.
    pub(super) fn begin(&self, latest: Option<&History>, show: impl FnOnce(&[Told])) {
        let mut state = self.state();
        if state.is_retired {
            return;
        }
        let mut passed = Vec::new();
        let mut pass = |told| passed.push(told);
        match latest {
            Some(latest) => {
                state.line.begin(latest.last_seq, &mut pass);
                state.epoch.get_or_insert_with(|| latest.epoch.clone());
            }
            None => state.line.drift(&mut pass),
        }
        show_some(&passed, show);
    }

    /// Whether some of the entries wait behind a gap.
    pub(super) fn offer(
        &self,
        entries: impl IntoIterator<Item = (u64, Told)>,
        show: impl FnOnce(&[Told]),
    ) -> bool {
        let mut state = self.state();
        if state.is_retired {
            return false;
        }
        let (mut passed, mut some_wait) = (Vec::new(), false);
        for (seq, told) in entries {
            let offered = state.line.offer(seq, told, &mut |told| passed.push(told));
            some_wait |= offered == Offered::Waits;
        }
        show_some(&passed, show);
        some_wait
    }

    /// Does something while no entry is being shown. Must not block.
    pub(super) fn between(&self, act: impl FnOnce()) {
        let _state = self.state();
        act();
    }

    /// The log was seen to end at `tail`. Another epoch means that another log has taken its place.
    pub(super) fn expect(&self, tail: u64, epoch: &str) {
        let mut state = self.state();
        let is_same = state.epoch.get_or_insert_with(|| epoch.to_owned()) == epoch;
        if !is_same {
            state.epoch = Some(epoch.to_owned());
            state.line.restart(tail);
        } else if state.line.is_adrift() {
            state.line.begin(tail, &mut |_| {});
        } else {
            state.line.expect(tail);
        }
    }

    /// Another server says that the log ends at `seq`. False when it speaks of another log.
    pub(super) fn hear_of_end(&self, seq: u64, epoch: Option<&str>) -> bool {
        let mut state = self.state();
        let is_same = match (&state.epoch, epoch) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        if is_same {
            state.line.expect(seq);
        }
        is_same
    }

    pub(super) fn epoch(&self) -> Option<String> {
        self.state().epoch.clone()
    }

    /// Whether whoever asks must mend the line now; until [`Self::still_missing`] says that nothing is missing, nobody else is told so.
    pub(super) fn needs_mending(&self) -> bool {
        let mut state = self.state();
        let needs = !state.is_mending && !state.is_retired && state.line.missing().is_some();
        state.is_mending |= needs;
        needs
    }

    pub(super) fn missing(&self) -> Option<Missing> {
        let state = self.state();
        state.line.missing().filter(|_| !state.is_retired)
    }

    /// What is missing, for who mends the line. `None` ends the mending.
    pub(super) fn still_missing(&self) -> Option<Missing> {
        let mut state = self.state();
        let missing = state.line.missing().filter(|_| !state.is_retired);
        state.is_mending = missing.is_some();
        missing
    }

    /// Shows what the log brought, which is all of it when `end` says where it ends. Answers how many passed.
    pub(super) fn fill(
        &self,
        entries: Vec<(u64, Told)>,
        end: Option<(Missing, u64)>,
        show: impl FnOnce(&[Told]),
    ) -> usize {
        let mut state = self.state();
        if state.is_retired {
            return 0;
        }
        let mut passed = Vec::new();
        let filled = state.line.fill(entries, &mut |told| passed.push(told));
        if let Some((read, tail)) = end {
            // Entries of a log that is not ours are shown as any other server's events are.
            passed.extend(state.line.settle(read, tail));
        }
        show_some(&passed, show);
        filled
    }

    /// The page from memory, if memory reaches as far as the line does.
    pub(super) fn page(&self, page: Page) -> Option<History> {
        let state = self.state();
        let recent = state.recent.as_ref()?;
        let is_current = state.line.passed()? <= recent.last_seq()
            && state.line.missing().is_none()
            && state.epoch.as_deref() == Some(recent.epoch());
        if is_current { recent.page(page) } else { None }
    }

    /// Whether a page is probably among the newest messages.
    pub(super) fn is_near_the_end(&self, page: Page) -> bool {
        let reach = recent::MESSAGES_MAX;
        match page {
            Page::Latest { limit } => limit <= reach,
            Page::After { after, .. } => {
                let passed = self.state().line.passed();
                passed.is_some_and(|passed| after <= passed && after + u64::from(reach) >= passed)
            }
            Page::Before { .. } => false,
        }
    }

    /// Keeps a message that was appended here, when it follows those that are kept.
    pub(super) fn remember(&self, message: &Message, total: &AtomicUsize) {
        let mut state = self.state();
        if let Some(mut recent) = state.recent.take() {
            total.fetch_sub(recent.bytes(), Ordering::Relaxed);
            recent.push(message);
            state.keep(recent, total);
        }
    }

    /// Keeps the end of the log as it was just read.
    pub(super) fn renew(&self, latest: &History, total: &AtomicUsize) {
        let mut state = self.state();
        let is_newer = state
            .recent
            .as_ref()
            .is_none_or(|kept| kept.last_seq() < latest.last_seq || kept.epoch() != latest.epoch);
        if is_newer && !state.is_retired {
            state.forget(total);
            state.keep(Recent::new(latest), total);
        }
    }

    /// Shows nothing and keeps nothing from now on.
    pub(super) fn retire(&self, total: &AtomicUsize) {
        let mut state = self.state();
        state.is_retired = true;
        state.forget(total);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and the line is sound between any two of its steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What passed together is shown together.
fn show_some(passed: &[Told], show: impl FnOnce(&[Told])) {
    if !passed.is_empty() {
        show(passed);
    }
}

impl State {
    fn keep(&mut self, recent: Recent, total: &AtomicUsize) {
        let bytes = recent.bytes();
        if total.fetch_add(bytes, Ordering::Relaxed) + bytes > RECENT_BYTES_MAX {
            total.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        self.recent = Some(recent);
    }

    fn forget(&mut self, total: &AtomicUsize) {
        if let Some(recent) = self.recent.take() {
            total.fetch_sub(recent.bytes(), Ordering::Relaxed);
        }
    }
}
