//! What a search finds, and by which terms a store may look for it.
//!
//! A text is found when every word of the question is in it: a word of letters by its beginning ("hel" finds "hello"), and where words are
//! written without spaces between them, or with endings (Hangul, Han, Kana, Thai and their like), by any part: "안녕" finds "안녕하세요",
//! "하세" too. Case does not count, nor does in how many characters a syllable or an accent was written. [`Query::finds`] is the definition; stores keep [`terms`] and look for [`Query::needles`], which find
//! no less and perhaps a little more, so what they find is judged again. Nothing in a question is syntax.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

/// Words of one question. More only make it slower.
const WORDS_MAX: usize = 16;

/// Longest word that is looked for, and kept whole, in characters. Of a longer one the rest does not count.
const WORD_CHARS_MAX: usize = 64;

/// Terms that are kept of one text: all of a message of usual length. What comes behind is not found.
const TERMS_MAX: usize = 1_000;

/// What somebody looks for. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(Vec<Word>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    /// Letters and digits with something else around them.
    Spaced(String),
    /// A run of a script without spaces.
    Joined(String),
}

/// A term that a store looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needle {
    /// A term that is kept like that.
    Whole(String),
    /// Any that begins so.
    Beginning(String),
}

/// Terms that a store looks for. What they find is judged anyway.
const NEEDLES_MAX: usize = 24;

/// There is no word in a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("q has no word to look for")]
pub struct NoWord;

impl Query {
    /// # Errors
    /// [`NoWord`] when there is nothing but spaces and signs.
    pub fn parse(text: &str) -> Result<Self, NoWord> {
        let words: BTreeSet<Word> = words(text).take(WORDS_MAX).map(Word::shortened).collect();
        if words.is_empty() {
            return Err(NoWord);
        }
        Ok(Self(words.into_iter().collect()))
    }

    /// Whether a text has every word.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        let texts: Vec<Word> = words(text).collect();
        let terms = terms(text);
        self.0.iter().all(|wanted| {
            let is_there = texts.iter().any(|word| match (wanted, word) {
                (Word::Spaced(wanted), Word::Spaced(word)) => word.starts_with(wanted),
                (Word::Joined(wanted), Word::Joined(word)) => word.contains(wanted),
                (Word::Spaced(_), Word::Joined(_)) | (Word::Joined(_), Word::Spaced(_)) => false,
            });
            // What has more terms than are kept is not found by the rest of them.
            is_there && wanted.needles().iter().all(|needle| needle.is_in(&terms))
        })
    }

    /// Terms that every text has which is found; the longest first, for it is the rarest.
    #[must_use]
    pub fn needles(&self) -> Vec<Needle> {
        let mut needles: Vec<Needle> = self.0.iter().flat_map(Word::needles).collect();
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.text().len()));
        needles.dedup();
        needles.truncate(NEEDLES_MAX);
        needles
    }
}

impl Word {
    fn shortened(self) -> Self {
        match self {
            Self::Joined(run) => Self::Joined(run.chars().take(WORD_CHARS_MAX).collect()),
            Self::Spaced(_) => self,
        }
    }

    fn needles(&self) -> Vec<Needle> {
        match self {
            Self::Spaced(word) => vec![Needle::Beginning(word.clone())],
            Self::Joined(run) => match pairs(run) {
                pairs if pairs.is_empty() => vec![Needle::Beginning(run.clone())],
                pairs => pairs.into_iter().map(Needle::Whole).collect(),
            },
        }
    }
}

impl Needle {
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Whole(text) | Self::Beginning(text) => text,
        }
    }

    fn is_in(&self, terms: &BTreeSet<String>) -> bool {
        match self {
            Self::Whole(text) => terms.contains(text),
            Self::Beginning(text) => {
                let first = terms.range(text.clone()..).next();
                first.is_some_and(|term| term.starts_with(text))
            }
        }
    }
}

/// What is kept of a text: its words; of a joined run every two characters that follow each other, and the last one. Letters and digits
/// only, in lower case.
#[must_use]
pub fn terms(text: &str) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    for word in words(text) {
        match word {
            Word::Spaced(word) => drop(terms.insert(word)),
            Word::Joined(run) => {
                let last = run.chars().last().map(String::from);
                terms.extend(pairs(&run).into_iter().take(TERMS_MAX).chain(last));
            }
        }
        if terms.len() >= TERMS_MAX {
            break;
        }
    }
    while terms.len() > TERMS_MAX {
        terms.pop_last();
    }
    terms
}

fn pairs(run: &str) -> Vec<String> {
    let follows = run.chars().skip(1);
    run.chars()
        .zip(follows)
        .map(|(one, next)| String::from_iter([one, next]))
        .collect()
}

/// In lower case, and composed: a syllable or an accented letter is one character, also where it was written as several (file names of
/// macOS, for one).
fn normal(text: &str) -> String {
    let lower = text.to_lowercase();
    if lower.is_ascii() {
        return lower;
    }
    lower.nfc().collect()
}

/// The words of a text in their order.
fn words(text: &str) -> impl Iterator<Item = Word> {
    let lower = normal(text);
    let mut words = Vec::new();
    for run in lower.split(|c: char| !c.is_alphanumeric()) {
        let mut rest = run;
        while let Some(first) = rest.chars().next() {
            let is_joined = joins(first);
            let end = rest.find(|c| joins(c) != is_joined).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            rest = behind;
            if is_joined {
                // As it is: parts are found wherever they are.
                words.push(Word::Joined(word.to_owned()));
            } else {
                words.push(Word::Spaced(word.chars().take(WORD_CHARS_MAX).collect()));
            }
        }
    }
    words.into_iter()
}

/// Whether words of this character's script are not, or not alone, told apart by spaces.
fn joins(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF       // Thai, Lao
        | 0x1000..=0x109F     // Myanmar
        | 0x1100..=0x11FF     // Hangul Jamo
        | 0x1780..=0x17FF     // Khmer
        | 0x3005..=0x3007     // marks among Han
        | 0x3040..=0x30FF     // Hiragana, Katakana
        | 0x3130..=0x318F     // Hangul compatibility Jamo
        | 0x31F0..=0x31FF     // Katakana extensions
        | 0x3400..=0x4DBF     // Han
        | 0x4E00..=0x9FFF
        | 0xAC00..=0xD7AF     // Hangul
        | 0xF900..=0xFAFF
        | 0xFF66..=0xFFDC     // half-width Katakana and Hangul
        | 0x20000..=0x3FFFF)
}

#[cfg(test)]
mod tests;
