//! A bar on a terminal; nothing anywhere else.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::clock;

const WIDTH: usize = 30;
pub(crate) const INTERVAL: Duration = Duration::from_millis(200);

pub(crate) struct Progress {
    what: &'static str,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        let is_shown = stderr().is_terminal();
        Self { what, is_shown }
    }

    pub(crate) fn show(&mut self, share: f64, done: u64) {
        if self.is_shown {
            let line = format!("\r{} {} {done}", self.what, bar(share));
            self.write(&line);
        }
    }

    /// Shows it for so long, and ends then.
    pub(crate) async fn follow(
        &mut self,
        since: Instant,
        length: Duration,
        done: impl Fn() -> u64,
    ) {
        loop {
            let passed = clock::now().saturating_duration_since(since);
            if passed >= length {
                return;
            }
            self.show(passed.div_duration_f64(length), done());
            sleep(INTERVAL.min(length - passed)).await;
        }
    }

    pub(crate) fn clear(&mut self) {
        if self.is_shown {
            self.write("\r\x1b[K");
        }
    }

    /// A terminal that is gone needs no progress.
    fn write(&mut self, text: &str) {
        let mut terminal = stderr().lock();
        let written = write!(terminal, "{text}").and_then(|()| terminal.flush());
        self.is_shown = written.is_ok();
    }
}

fn bar(share: f64) -> String {
    let share = share.clamp(0.0, 1.0);
    let full = (1..=WIDTH)
        .filter(|step| *step as f64 <= share * WIDTH as f64)
        .count();
    let (full, empty) = ("#".repeat(full), " ".repeat(WIDTH - full));
    format!("[{full}{empty}] {:3.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_the_work_is_done() {
        assert_eq!(bar(0.5).matches('#').count(), WIDTH / 2);
        assert_eq!(bar(7.0).matches('#').count(), WIDTH);
        assert!(bar(0.25).ends_with("]  25 %"));
    }
}
