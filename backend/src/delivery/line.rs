//! The line in which one room's entries wait for this server's sockets: each passes once, by its seq, and none before the one ahead of it.
//!
//! Pure. Entries come from anywhere, in any order, several times or never; what is missing is for others to fetch. Because a room's seqs
//! have no gaps, the number alone says what may pass.

use std::collections::BTreeMap;

/// Where the line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// The log is being asked where it ends; entries wait.
    Asking,
    /// The log could not be asked: the first entry that comes says where it begins.
    Adrift,
    /// Everything up to here has passed, or was there before the first socket.
    At(u64),
}

/// The entries of one room that have passed, and those that wait.
#[derive(Debug)]
pub(super) struct Line<E> {
    position: Position,
    /// Behind a gap: when it came, and what.
    waiting: BTreeMap<u64, (Age, E)>,
    waiting_max: usize,
    /// The newest seq that is known to exist, as far as it does not wait here, and since when.
    expected: (u64, Age),
    age: Age,
}

/// Counts what came to a line, so that a read of the log is only believed about what was there before it began.
type Age = u64;

/// What became of an offered entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Passed,
    /// It has passed before, or was there before the first socket.
    Old,
    /// Something ahead of it is missing.
    Waits,
}

/// What a read of the log must bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The read begins behind this seq.
    pub(super) after: u64,
    /// The newest seq that made it necessary. The log has it, unless it is another log's.
    pub(super) up_to: u64,
    age: Age,
}

impl<E> Line<E> {
    /// A line whose place in the log is being asked for. At most `waiting_max` entries wait; more are fetched again.
    pub(super) fn asking(waiting_max: usize) -> Self {
        Self::standing(Position::Asking, waiting_max)
    }

    /// A line that begins with the first entry that comes.
    pub(super) fn adrift(waiting_max: usize) -> Self {
        Self::standing(Position::Adrift, waiting_max)
    }

    fn standing(position: Position, waiting_max: usize) -> Self {
        Self {
            position,
            waiting: BTreeMap::new(),
            waiting_max,
            expected: (0, 0),
            age: 0,
        }
    }

    /// The newest seq that has passed, once the place in the log is known.
    pub(super) fn passed(&self) -> Option<u64> {
        match self.position {
            Position::At(seq) => Some(seq),
            Position::Asking | Position::Adrift => None,
        }
    }

    /// Whether it will begin with the first entry that comes.
    pub(super) fn is_adrift(&self) -> bool {
        self.position == Position::Adrift
    }

    /// The log ended at `tail` after the first socket had come.
    pub(super) fn begin(&mut self, tail: u64, pass: &mut impl FnMut(E)) {
        if self.passed().is_none() {
            self.position = Position::At(tail);
            self.waiting = self.waiting.split_off(&tail.saturating_add(1));
            self.release(pass);
        }
    }

    /// The log cannot be asked: what waits passes, and everything after it.
    pub(super) fn drift(&mut self, pass: &mut impl FnMut(E)) {
        if self.position != Position::Asking {
            return;
        }
        self.position = match self.waiting.first_key_value() {
            Some((first, _)) => Position::At(first - 1),
            None => Position::Adrift,
        };
        self.release(pass);
    }

    /// Takes an entry that came by itself. `seq` is at least 1.
    pub(super) fn offer(&mut self, seq: u64, entry: E, pass: &mut impl FnMut(E)) -> Offered {
        match self.position {
            Position::At(passed) if seq <= passed => return Offered::Old,
            Position::At(passed) if seq > passed + 1 => return self.wait(seq, entry),
            Position::Asking => return self.wait(seq, entry),
            Position::At(_) | Position::Adrift => {}
        }
        self.position = Position::At(seq);
        pass(entry);
        self.release(pass);
        Offered::Passed
    }

    /// The entry nearest to its turn is worth more than a later one: when there is no room, the latest goes, and is fetched again.
    fn wait(&mut self, seq: u64, entry: E) -> Offered {
        self.age += 1;
        self.waiting.insert(seq, (self.age, entry));
        if self.waiting.len() > self.waiting_max
            && let Some((latest, _)) = self.waiting.pop_last()
        {
            self.expect(latest);
        }
        Offered::Waits
    }

    /// The log is known to reach `tail`.
    pub(super) fn expect(&mut self, tail: u64) {
        if tail > self.expected.0 {
            self.age += 1;
            self.expected = (tail, self.age);
        }
    }

    /// What is missing now.
    pub(super) fn missing(&self) -> Option<Missing> {
        let after = self.passed()?;
        let waiting = self.waiting.last_key_value().map_or(0, |(seq, _)| *seq);
        let up_to = self.expected.0.max(waiting);
        let age = self.age;
        (up_to > after).then_some(Missing { after, up_to, age })
    }

    /// Takes entries that the log has, in ascending order from the first one behind [`Missing::after`] that it still keeps. Answers how
    /// many passed.
    pub(super) fn fill(
        &mut self,
        entries: impl IntoIterator<Item = (u64, E)>,
        pass: &mut impl FnMut(E),
    ) -> usize {
        let mut filled = 0;
        for (seq, entry) in entries {
            let Some(passed) = self.passed() else { break };
            if seq <= passed {
                continue;
            }
            // The log is whole from here on. What it no longer keeps, only this line can have.
            while let Some(earlier) = self.waiting.first_entry()
                && *earlier.key() < seq
            {
                pass(earlier.remove().1);
            }
            self.position = Position::At(seq);
            pass(entry);
            filled += 1;
            self.release(pass);
        }
        filled
    }

    /// A read that began when `read` was missing has reached the end of the log, `tail`. What was there before the read and lies beyond
    /// that end is not of this log: it is given back.
    pub(super) fn settle(&mut self, read: Missing, tail: u64) -> Vec<E> {
        if self.expected.1 <= read.age {
            self.expected = (0, 0);
        }
        let beyond = tail.saturating_add(1)..;
        let foreign = self
            .waiting
            .extract_if(beyond, |_, (age, _)| *age <= read.age);
        foreign.map(|(_, (_, entry))| entry).collect()
    }

    /// Another log has taken this one's place: it is shown from its beginning.
    pub(super) fn restart(&mut self, tail: u64) {
        self.position = Position::At(0);
        self.waiting.clear();
        self.expected = (0, 0);
        self.expect(tail);
    }

    fn release(&mut self, pass: &mut impl FnMut(E)) {
        while let Position::At(passed) = self.position
            && let Some(next) = self.waiting.remove(&(passed + 1))
        {
            self.position = Position::At(passed + 1);
            pass(next.1);
        }
    }
}

#[cfg(test)]
mod tests;
