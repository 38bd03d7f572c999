//! Active checks: what the results of asking a server add up to.
//!
//! Owns the counting (`rise`, `fall`) and the verdict that `may_serve` reads. Does not ask anybody (`prober`). The
//! first result decides alone; after that a verdict changes only when `rise` passes or `fall` failures came in a row.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::pool::Seconds;

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    Passed,
    Failed,
    /// This machine could not ask; nothing is known about the server.
    Local,
}

impl CheckResult {
    /// The metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Local => "local",
        }
    }
}

/// What is thought of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first check has not ended.
    Pending,
    Well,
    Unwell,
}

const PENDING: u8 = 0;
const WELL: u8 = 1;
const UNWELL: u8 = 2;

/// The current verdict, written by one prober and read by every request.
#[derive(Debug, Default)]
pub struct Standing(AtomicU8);

impl Standing {
    #[must_use]
    pub fn get(&self) -> Verdict {
        match self.0.load(Relaxed) {
            WELL => Verdict::Well,
            UNWELL => Verdict::Unwell,
            _ => Verdict::Pending,
        }
    }

    pub fn set(&self, verdict: Verdict) {
        let verdict = match verdict {
            Verdict::Pending => PENDING,
            Verdict::Well => WELL,
            Verdict::Unwell => UNWELL,
        };
        self.0.store(verdict, Relaxed);
    }
}

/// The latest check of a server, for operators. No request looks at it, so it may have a lock.
#[derive(Debug, Default)]
pub struct LastCheck(Mutex<Option<Checked>>);

#[derive(Clone, Debug)]
pub struct Checked {
    pub result: CheckResult,
    /// Why it did not pass.
    pub why: Option<String>,
    pub at: Seconds,
}

impl LastCheck {
    #[must_use]
    pub fn get(&self) -> Option<Checked> {
        self.whole().clone()
    }

    pub fn set(&self, checked: Checked) {
        *self.whole() = Some(checked);
    }

    fn whole(&self) -> MutexGuard<'_, Option<Checked>> {
        // Replaced in one step; a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the results of one server.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    rise: u32,
    fall: u32,
    verdict: Verdict,
    /// Results in a row that speak against the verdict.
    against: u32,
}

impl Count {
    /// Goes on from what is thought already: a reload forgets no verdict.
    #[must_use]
    pub fn new(rise: u32, fall: u32, verdict: Verdict) -> Self {
        Self {
            rise,
            fall,
            verdict,
            against: 0,
        }
    }

    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Takes a result in; tells the verdict if it changed.
    pub fn take(&mut self, result: CheckResult) -> Option<Verdict> {
        let (speaks_for, threshold) = match (result, self.verdict) {
            (CheckResult::Local, _) => return None,
            (CheckResult::Passed, Verdict::Pending) => (Verdict::Well, 1),
            (CheckResult::Failed, Verdict::Pending) => (Verdict::Unwell, 1),
            (CheckResult::Passed, _) => (Verdict::Well, self.rise),
            (CheckResult::Failed, _) => (Verdict::Unwell, self.fall),
        };
        if speaks_for == self.verdict {
            self.against = 0;
            return None;
        }
        self.against += 1;
        if self.against < threshold {
            return None;
        }
        (self.verdict, self.against) = (speaks_for, 0);
        Some(speaks_for)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::CheckResult::{Failed, Local, Passed};
    use super::*;

    /// The verdicts after each of `results`: `+` passed, `-` failed, `?` local; told as `.` none, `w` well, `u` unwell.
    #[track_caller]
    fn check(results: &str, told: &str) {
        let mut count = Count::new(2, 3, Verdict::Pending);
        let verdicts: String = results
            .chars()
            .map(|result| match result {
                '+' => Passed,
                '-' => Failed,
                _ => Local,
            })
            .map(|result| match count.take(result) {
                None => '.',
                Some(Verdict::Well) => 'w',
                Some(Verdict::Unwell) => 'u',
                Some(Verdict::Pending) => 'p',
            })
            .collect();
        assert_eq!(verdicts, told, "{results}");
    }

    #[test]
    fn the_first_result_decides_alone() {
        check("+", "w");
        check("-", "u");
    }

    #[test]
    fn fall_failures_in_a_row_take_out_and_rise_passes_bring_back() {
        check("+---++", "w..u.w");
        check("-++---", "u.w..u");
    }

    #[test]
    fn a_break_in_the_row_counts_from_the_start() {
        check("+--+---", "w.....u");
        check("-+-++", "u...w");
    }

    #[test]
    fn local_trouble_counts_for_nothing() {
        check("??+", "..w");
        check("+-?-?-?", "w....u.");
    }

    #[test]
    fn what_was_known_goes_on() {
        let mut count = Count::new(2, 3, Verdict::Well);
        assert_eq!(count.take(Failed), None);
        assert_eq!(count.take(Failed), None);
        assert_eq!(count.take(Failed), Some(Verdict::Unwell));
    }

    #[test]
    fn a_standing_is_what_was_set() {
        let standing = Standing::default();
        assert_eq!(standing.get(), Verdict::Pending);
        for verdict in [Verdict::Well, Verdict::Unwell, Verdict::Pending] {
            standing.set(verdict);
            assert_eq!(standing.get(), verdict);
        }
    }

    proptest! {
        #[test]
        fn it_never_flaps_inside_the_threshold(
            rise in 1_u32..6, fall in 1_u32..6,
            results in prop::collection::vec(prop::sample::select(vec![Passed, Failed, Local]), 0..200),
        ) {
            let mut count = Count::new(rise, fall, Verdict::Pending);
            let (mut verdict, mut row) = (Verdict::Pending, (Local, 0));
            for result in results {
                if result != Local {
                    row = if row.0 == result { (result, row.1 + 1) } else { (result, 1) };
                }
                let Some(changed) = count.take(result) else { continue };
                prop_assert_ne!(changed, verdict, "a change is told once");
                if verdict != Verdict::Pending {
                    let (wanted, threshold) = match changed {
                        Verdict::Well => (Passed, rise),
                        _ => (Failed, fall),
                    };
                    prop_assert_eq!(row, (wanted, threshold), "changed before or after its threshold");
                }
                verdict = changed;
            }
        }
    }
}
