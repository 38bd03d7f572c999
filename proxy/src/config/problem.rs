//! What is wrong with a file, and where: collected, put in the file's order, written for the person who edits it.
//!
//! Does not judge anything.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

/// More are counted, not told: they are one misunderstanding, such as a file that is not TOML.
pub(super) const PROBLEMS_MAX: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line and column, both from 1, the column in characters; `None`: the file as a whole.
    pub place: Option<(usize, usize)>,
    /// The path of the key, such as `upstream.app.servers[1].address`; empty: the file as a whole.
    pub key: String,
    /// `what is wrong; what would be right`.
    pub message: String,
}

/// Everything that is wrong with one file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
    /// How many there are besides.
    untold: usize,
}

impl Problems {
    /// The file as a whole cannot be used.
    pub(super) fn of_file(file: &str, message: String) -> Self {
        let problem = Problem {
            place: None,
            key: String::new(),
            message,
        };
        Self {
            file: file.to_owned(),
            list: vec![problem],
            untold: 0,
        }
    }

    /// One problem at a place of the text, with no key to name.
    pub(super) fn of_text(file: &str, text: &str, offset: usize, message: &str) -> Self {
        let place = Some(Lines::of(text).place(offset));
        let problem = Problem {
            place,
            key: String::new(),
            message: message.to_owned(),
        };
        Self {
            file: file.to_owned(),
            list: vec![problem],
            untold: 0,
        }
    }

    /// In the file's order, at most 100.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// One line per problem, then their number and what came of it: `nothing was started`.
    pub fn explain(&self, consequence: &str) -> String {
        let mut text = String::new();
        for problem in &self.list {
            text.push_str(&self.file);
            if let Some((line, column)) = problem.place {
                text.push_str(&format!(":{line}:{column}"));
            }
            if !problem.key.is_empty() {
                text.push_str(&format!(": {}", problem.key));
            }
            text.push_str(&format!(": {}\n", problem.message));
        }
        if self.untold > 0 {
            text.push_str(&format!("{}: and {} more\n", self.file, self.untold));
        }
        let count = self.list.len() + self.untold;
        let plural = if count == 1 { "" } else { "s" };
        text + &format!("({count} problem{plural}; {consequence})")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.explain("nothing was started"))
    }
}

impl std::error::Error for Problems {}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Collects problems while the file is being judged.
#[derive(Default)]
pub(super) struct Report {
    found: RefCell<Vec<Found>>,
    /// From here on the file's structure is lost (an array is not closed), so nothing further is worth saying.
    cut: RefCell<Option<usize>>,
    #[cfg(test)]
    known: RefCell<BTreeSet<String>>,
}

struct Found {
    kind: Kind,
    offset: usize,
    key: String,
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Syntax,
    Wrong,
    Missing,
}

impl Report {
    /// The text is not TOML here.
    pub(super) fn syntax(&self, offset: usize, key: &str, message: impl Into<String>) {
        self.add(Kind::Syntax, offset, key, message.into());
    }

    /// Something stands in the file that must not.
    pub(super) fn wrong(&self, at: &Range<usize>, key: &str, message: impl Into<String>) {
        self.add(Kind::Wrong, at.start, key, message.into());
    }

    /// Something that must stand in the file does not. Not said of a file with syntax errors: they may have hidden it.
    pub(super) fn missing(&self, at: &Range<usize>, key: &str, message: impl Into<String>) {
        self.add(Kind::Missing, at.start, key, message.into());
    }

    /// Notes which keys a table may hold, for the test that compares the reader with the reference.
    #[cfg(test)]
    pub(super) fn remember(&self, kind: &str, names: &[&'static str]) {
        self.known
            .borrow_mut()
            .extend(names.iter().map(|name| format!("{kind}.{name}")));
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }

    /// Judges nothing from `offset` on.
    pub(super) fn cut_from(&self, offset: usize) {
        self.cut.replace(Some(offset));
    }

    fn add(&self, kind: Kind, offset: usize, key: &str, message: String) {
        let found = Found {
            kind,
            offset,
            key: key.to_owned(),
            message,
        };
        self.found.borrow_mut().push(found);
    }

    /// The value if nothing is wrong, else everything that is, once.
    pub(super) fn into_result<T>(self, file: &str, text: &str, value: T) -> Result<T, Problems> {
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(value);
        }
        found.sort_by_key(|found| (found.offset, found.kind != Kind::Syntax));
        let cut = self.cut.into_inner().unwrap_or(usize::MAX);
        let lines = Lines::of(text);
        let broken_lines: BTreeSet<usize> = found
            .iter()
            .filter(|found| found.kind == Kind::Syntax)
            .map(|found| lines.place(found.offset).0)
            .collect();

        let mut list: Vec<Problem> = Vec::new();
        let mut untold = 0;
        let mut last_broken_line = 0;
        for Found {
            kind,
            offset,
            key,
            message,
        } in found
        {
            let place = lines.place(offset);
            let is_echo = match kind {
                // One mistake often makes the parser stumble several times on its line.
                Kind::Syntax => std::mem::replace(&mut last_broken_line, place.0) == place.0,
                Kind::Wrong => offset >= cut || broken_lines.contains(&place.0),
                Kind::Missing => !broken_lines.is_empty(),
            };
            let problem = Problem {
                place: Some(place),
                key,
                message,
            };
            if is_echo || list.last() == Some(&problem) {
                continue;
            }
            if list.len() < PROBLEMS_MAX {
                list.push(problem);
            } else {
                untold += 1;
            }
        }
        Err(Problems {
            file: file.to_owned(),
            list,
            untold,
        })
    }
}

/// Where the lines of a text begin.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let behind_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(behind_newlines).collect(),
        }
    }

    /// Line and column of a byte, from 1. The end of the file is just behind its last line, not on an empty one after it.
    fn place(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.text.len());
        if end == self.text.len() && self.text.ends_with('\n') {
            end -= 1;
        }
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= end);
        let start = self
            .starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        (line, self.text[start..end].chars().count() + 1)
    }
}
