//! Reads tables of the file key by key, and remembers what was asked for: whatever else stands in a table is unknown.
//!
//! Knows types, bounds and places; does not know what any key means.

use std::ops::{Range, RangeInclusive};

use toml::de::{DeTable, DeValue};

use super::keys::{self, Key, OptionalKey};
use super::problem::Report;
use super::quantity::{Quantity, describe, quote};

/// A table of the file while it is being read.
pub(super) struct Table<'t> {
    /// Where it stands in every file, such as `upstream.NAME.cookie`; empty: the top.
    pub(super) kind: &'static str,
    /// Where it stands in this file, such as `upstream.app.cookie`.
    pub(super) path: String,
    /// The place to show when something is missing in it.
    pub(super) place: Range<usize>,
    pub(super) report: &'t Report,
    /// `None`: the table is not in the file.
    entries: Option<&'t DeTable<'t>>,
    asked: Vec<&'static str>,
}

/// One value of the file, with its place and path.
#[derive(Clone)]
pub(super) struct Node<'t> {
    pub(super) path: String,
    pub(super) key_place: Range<usize>,
    pub(super) place: Range<usize>,
    pub(super) value: &'t DeValue<'t>,
    pub(super) report: &'t Report,
}

impl<'t> Table<'t> {
    pub(super) fn root(entries: &'t DeTable<'t>, report: &'t Report) -> Self {
        Self {
            kind: "",
            path: String::new(),
            place: 0..0,
            report,
            entries: Some(entries),
            asked: Vec::new(),
        }
    }

    /// The value of a key, if it stands here.
    pub(super) fn get(&mut self, name: &'static str) -> Option<Node<'t>> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.nodes()
            .find(|(key, _)| *key == name)
            .map(|(_, node)| node)
    }

    /// Whether a key stands here.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries
            .is_some_and(|entries| entries.contains_key(name))
    }

    /// A bounded quantity; its default if it is absent or wrong.
    pub(super) fn quantity<T: Quantity>(&mut self, key: &Key<T>) -> T {
        self.get(key.name)
            .and_then(|node| node.quantity(&key.bounds))
            .unwrap_or(key.default)
    }

    /// A bounded quantity, if it stands here and is right.
    pub(super) fn optional<T: Quantity>(&mut self, key: &OptionalKey<T>) -> Option<T> {
        self.get(key.name)?.quantity(&key.bounds)
    }

    /// A switch, off unless it is switched on.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.get(name).and_then(|node| node.flag()).unwrap_or(false)
    }

    /// The table under a key, if it stands here and is one.
    pub(super) fn table(&mut self, name: &'static str, kind: &'static str) -> Option<Table<'t>> {
        self.get(name)?.table(kind)
    }

    /// The table under a key, or one without entries.
    pub(super) fn table_or_empty(&mut self, name: &'static str, kind: &'static str) -> Table<'t> {
        let report = self.report;
        self.table(name, kind).unwrap_or_else(|| Table {
            kind,
            path: join(&self.path, name),
            place: 0..0,
            report,
            entries: None,
            asked: Vec::new(),
        })
    }

    /// Every entry, in the file's order, whatever it is called: for tables whose keys are names.
    pub(super) fn named(self) -> Vec<(&'t str, Node<'t>)> {
        let mut named: Vec<_> = self.nodes().collect();
        named.sort_by_key(|(_, node)| node.key_place.start);
        named
    }

    /// Reports every key that nobody asked for. To be called when all was asked.
    pub(super) fn finish(self) {
        #[cfg(test)]
        self.report.remember(self.kind, &self.asked);
        for (name, node) in self.nodes() {
            if !self.asked.contains(&name) {
                let message = keys::unknown(self.kind, name, &self.asked);
                self.report.wrong(&node.key_place, &node.path, message);
            }
        }
    }

    /// Something is wrong with the table as a whole, or missing in it.
    pub(super) fn missing(&self, name: &str, message: impl Into<String>) {
        self.report
            .missing(&self.place, &join(&self.path, name), message);
    }

    fn nodes(&self) -> impl Iterator<Item = (&'t str, Node<'t>)> {
        let (path, report) = (self.path.clone(), self.report);
        self.entries.into_iter().flatten().map(move |(key, value)| {
            let node = Node {
                path: join(&path, key.get_ref()),
                key_place: key.span(),
                place: value.span(),
                value: value.get_ref(),
                report,
            };
            (key.get_ref().as_ref(), node)
        })
    }
}

impl<'t> Node<'t> {
    /// Reports what is wrong with this value; `message` begins with what is wrong and ends with what would be right.
    pub(super) fn wrong(&self, message: impl Into<String>) {
        self.report.wrong(&self.place, &self.path, message);
    }

    /// Reports that this value lacks what stands elsewhere.
    pub(super) fn missing(&self, message: impl Into<String>) {
        self.report.missing(&self.place, &self.path, message);
    }

    pub(super) fn quantity<T: Quantity>(&self, bounds: &RangeInclusive<T>) -> Option<T> {
        let value = T::read(self.value)
            .map_err(|message| self.wrong(message))
            .ok()?;
        if bounds.contains(&value) {
            return Some(value);
        }
        let size = if value < *bounds.start() {
            "small"
        } else {
            "large"
        };
        let (least, most) = (bounds.start().write(), bounds.end().write());
        self.wrong(format!(
            "{} is too {size}; write {least} to {most}",
            value.write()
        ));
        None
    }

    pub(super) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.wrong(format!(
                "{} is not a switch; write true or false, without quotes",
                describe(self.value)
            ));
        }
        flag
    }

    /// `example` completes "write …".
    pub(super) fn text(&self, example: &str) -> Option<&'t str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong(format!(
                "{} is not a text; write {example}",
                describe(self.value)
            ));
        }
        text
    }

    /// The items of a list; `example` completes "write …".
    pub(super) fn list(&self, example: &str) -> Option<Vec<Node<'t>>> {
        let Some(items) = self.value.as_array() else {
            self.wrong(format!(
                "{} is not a list; write {example}",
                describe(self.value)
            ));
            return None;
        };
        let nodes = items.iter().enumerate().map(|(index, item)| Node {
            path: format!("{}[{index}]", self.path),
            key_place: item.span(),
            place: item.span(),
            value: item.get_ref(),
            report: self.report,
        });
        Some(nodes.collect())
    }

    pub(super) fn table(&self, kind: &'static str) -> Option<Table<'t>> {
        let Some(entries) = self.value.as_table() else {
            self.wrong(format!(
                "{} is not a table; write [{kind}] and its keys below",
                describe(self.value)
            ));
            return None;
        };
        Some(Table {
            kind,
            path: self.path.clone(),
            place: self.key_place.clone(),
            report: self.report,
            entries: Some(entries),
            asked: Vec::new(),
        })
    }
}

/// The path of a key, which is quoted unless it can stand in a file without quotes.
pub(super) fn join(path: &str, name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let name = if !name.is_empty() && name.bytes().all(is_bare) {
        name
    } else {
        &quote(name)
    };
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
