//! A set of seqs, one bit each: ten thousand clients may each have heard thousands of messages.

/// Which seqs, from 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seqs {
    words: Vec<u64>,
}

impl Seqs {
    /// Whether it is new.
    pub(crate) fn insert(&mut self, seq: u64) -> bool {
        let (word, bit) = place(seq);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        let (word, bit) = place(seq);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(crate) fn count(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// Those of `from + 1 ..= last` that are not in here.
    pub(crate) fn missing(&self, from: u64, last: u64) -> impl Iterator<Item = u64> + '_ {
        (from + 1..=last).filter(|seq| !self.contains(*seq))
    }
}

fn place(seq: u64) -> (usize, u64) {
    let word = usize::try_from(seq / 64).unwrap_or(usize::MAX);
    (word, 1 << (seq % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_is_in_and_what_is_not() {
        let mut seqs = Seqs::default();
        assert!(seqs.insert(1) && seqs.insert(200) && !seqs.insert(200));
        assert!(seqs.contains(1) && !seqs.contains(2) && !seqs.contains(9999));
        let mut one_to_four = Seqs::default();
        for seq in [1, 2, 4] {
            one_to_four.insert(seq);
        }
        assert_eq!(one_to_four.missing(0, 5).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(one_to_four.missing(3, 4).count(), 0);
    }
}
