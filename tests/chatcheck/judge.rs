//! Judges a finished history: which of the chat's promises it breaks, and how well the others were kept.
//!
//! Pure: lines in, verdict out. It trusts nothing that a client concluded, only what went over the wire and what the store has.

mod figures;
mod order;
mod presence;
mod reception;
mod recovery;
mod seqs;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::record::Line;
pub(crate) use figures::Figures;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) enum Law {
    /// An acked message is in the store exactly once, at the place that every ack named.
    I1,
    /// The seqs of a room are 1 to N without holes or repeats, in one log.
    I2,
    /// Who stayed or came back has every message; who is connected gets each once.
    I3,
    /// All receivers agree on the order, and hear the newest last.
    I4,
    /// One sender's messages keep their order.
    I5,
    /// What was refused or not answered is stored once at most, and nothing is stored that nobody sent.
    I6,
    /// Clients see who is there and nobody else, and nobody flickers who comes back soon.
    I7,
    /// No message reaches who is not in the room.
    I8,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// One way in which a law was broken, with the lines that show it.
#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) law: Law,
    pub(crate) what: String,
    /// Indexes into the history, ascending.
    pub(crate) lines: Vec<usize>,
}

/// More of one law are only counted.
const BREACHES_KEPT: u64 = 20;

/// What was broken, kept small.
#[derive(Debug, Default)]
pub(crate) struct Breaches {
    pub(crate) kept: Vec<Breach>,
    pub(crate) counts: BTreeMap<Law, u64>,
}

impl Breaches {
    /// Notes a breach; `lines` in any order, as far as there are any.
    pub(crate) fn add(&mut self, law: Law, what: String, lines: impl IntoIterator<Item = usize>) {
        let count = self.counts.entry(law).or_default();
        *count += 1;
        if *count > BREACHES_KEPT {
            return;
        }
        let mut lines: Vec<usize> = lines.into_iter().collect();
        lines.sort_unstable();
        lines.dedup();
        self.kept.push(Breach { law, what, lines });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// What the judge says.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) figures: Figures,
    pub(crate) breaches: Breaches,
}

/// Judges a whole history.
pub(crate) fn judge(history: &[Line]) -> Verdict {
    let mut breaches = Breaches::default();
    let stored = stored::check(history, &mut breaches);
    let reception = reception::check(history, &stored, &mut breaches);
    let misordered_sends = order::check(history, &stored, &mut breaches);
    let recovery = recovery::check(history, &mut breaches);
    let attendance = presence::check(history, &mut breaches);
    let heard = (reception, recovery, attendance);
    let figures = Figures::new(history, &stored, misordered_sends, heard);
    Verdict { figures, breaches }
}
