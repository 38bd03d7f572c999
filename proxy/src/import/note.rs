//! What is told about a directive that did not become a setting, or not exactly.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::tree::Directive;

/// A directive's place in its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// Where something in the result comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub place: Place,
    pub directive: String,
}

/// Whether clients or servers could tell the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    Changes,
    Harmless,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    pub origin: Origin,
    pub weight: Weight,
    /// `why; what to do`.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { place, directive } = &self.origin;
        write!(formatter, "{place}: {directive}: {}", self.message)
    }
}

#[derive(Debug, Default)]
pub(super) struct Notes {
    list: Vec<Note>,
    /// Read, and of no need for a note: Berth does the same by itself.
    same: BTreeSet<Origin>,
}

impl Notes {
    /// Something behaves differently now.
    pub(super) fn changes(&mut self, origin: impl Into<Origin>, message: impl Into<String>) {
        self.add(origin.into(), Weight::Changes, message.into());
    }

    /// Nothing is lost, but somebody may wonder where it went.
    pub(super) fn harmless(&mut self, origin: impl Into<Origin>, message: impl Into<String>) {
        self.add(origin.into(), Weight::Harmless, message.into());
    }

    /// Nothing is to be said: Berth does the same by itself, or another line says it.
    pub(super) fn same(&mut self, origin: impl Into<Origin>) {
        self.same.insert(origin.into());
    }

    pub(super) fn is_same(&self, origin: impl Into<Origin>) -> bool {
        self.same.contains(&origin.into())
    }

    /// Whatever was read.
    pub(super) fn told(&self) -> BTreeSet<Origin> {
        let noted = self.list.iter().map(|note| note.origin.clone());
        noted.chain(self.same.iter().cloned()).collect()
    }

    fn add(&mut self, origin: Origin, weight: Weight, message: String) {
        self.list.push(Note {
            origin,
            weight,
            message,
        });
    }

    /// In the order of the files and lines, each once.
    pub(super) fn sorted(mut self) -> Vec<Note> {
        self.list.sort();
        self.list.dedup();
        self.list
    }
}

impl From<&Directive> for Origin {
    fn from(directive: &Directive) -> Self {
        Self {
            place: directive.place.clone(),
            // A word of a broken file can be a page long, or hold a line break.
            directive: directive
                .name
                .chars()
                .filter(|c| !c.is_control())
                .take(60)
                .collect(),
        }
    }
}

impl From<&Origin> for Origin {
    fn from(origin: &Origin) -> Self {
        origin.clone()
    }
}
