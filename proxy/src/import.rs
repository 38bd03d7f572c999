//! From nginx's configuration to ours: what `berth-proxy import-nginx` does.
//!
//! Reads files through `Files` alone, looks up no name and asks no clock. Invariants: **no directive is dropped
//! silently**: each is translated, is what Berth does anyway, or has a `Note` with its file and line; and **what comes
//! out passes `config`**, because `config` itself has judged it.

mod draft;
mod files;
mod forwarding;
mod http;
mod lexer;
mod limits;
mod listen;
mod note;
mod pass;
mod quantity;
mod scope;
mod settle;
mod site;
mod tree;
mod upstream;
mod words;

#[cfg(test)]
mod tests;

use std::path::Path;

use self::draft::{Draft, Entry};
pub use self::files::{Disk, Files};
use self::note::Notes;
pub use self::note::{Note, Origin, Place, Weight};
use self::tree::Directive;
pub use self::tree::Unreadable;
use crate::config::Problems;

/// Longer lines of the heading are folded.
const HEADING_CHARS_MAX: usize = 118;

/// A file of ours that does what the nginx configuration does, as far as that is possible.
#[derive(Clone, Debug)]
pub struct Import {
    pub toml: String,
    /// In the order of the files and lines.
    pub notes: Vec<Note>,
}

/// Why nothing came out.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}\n(nothing was imported)")]
    Unreadable(#[from] Unreadable),
    #[error(
        "{file}: no location passes anything to an http:// server that Berth could take over\n(nothing was imported)"
    )]
    Nothing { file: String, notes: Vec<Note> },
    #[error("{problems}")]
    Problems {
        problems: Problems,
        notes: Vec<Note>,
    },
}

impl Refused {
    /// What was found before nothing came of it.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        match self {
            Self::Unreadable(_) => &[],
            Self::Nothing { notes, .. } | Self::Problems { notes, .. } => notes,
        }
    }
}

impl Import {
    /// What behaves differently from nginx.
    pub fn changes(&self) -> impl Iterator<Item = &Note> {
        self.notes
            .iter()
            .filter(|note| note.weight == Weight::Changes)
    }
}

/// Translates the configuration whose main file is at `main`.
///
/// # Errors
/// When nginx could not read it either, or when it has nothing for us.
pub fn import(main: &Path, files: &impl Files) -> Result<Import, Refused> {
    let mut notes = Notes::default();
    let tree = tree::read(main, files, &mut notes)?;
    let mut draft = Draft::default();
    for directive in &tree {
        report(directive, &mut notes);
    }
    for http in tree.iter().filter(|directive| directive.name == "http") {
        http::translate(http, &mut draft, &mut notes);
    }
    draft.server.extend(threads(&tree));
    let file = main.display().to_string();
    if draft.upstreams.is_empty() {
        let notes = notes.sorted();
        return Err(Refused::Nothing { file, notes });
    }
    match settle::settle(&mut draft, &mut notes) {
        Ok(()) => {
            let notes = notes.sorted();
            let toml = heading(&file, &notes) + &draft.text();
            Ok(Import { toml, notes })
        }
        Err(_) if draft.upstreams.is_empty() => {
            let notes = notes.sorted();
            Err(Refused::Nothing { file, notes })
        }
        Err(problems) => {
            let notes = notes.sorted();
            Err(Refused::Problems { problems, notes })
        }
    }
}

/// Says what becomes of a directive, and of those inside it, that the translation does not look at.
fn report(directive: &Directive, notes: &mut Notes) {
    match directive.name.as_str() {
        "http" | "server" | "location" | "events" => {
            directive
                .inner()
                .iter()
                .for_each(|inner| report(inner, notes));
        }
        "proxy_set_header" => forwarding::header(directive, notes),
        "proxy_http_version"
        | "proxy_buffering"
        | "proxy_request_buffering"
        | "tcp_nodelay"
        | "proxy_redirect" => {
            forwarding::switch(directive, notes);
        }
        "proxy_next_upstream" => forwarding::next_upstream(directive, notes),
        "map" if forwarding::is_upgrade_map(directive) => {}
        name if words::TRANSLATED.contains(&name) => {}
        name => match words::verdict(name) {
            (Weight::Changes, message) => notes.changes(directive, message),
            (Weight::Harmless, message) => notes.harmless(directive, message),
        },
    }
}

fn threads(tree: &[Directive]) -> Option<Entry> {
    let directive = tree
        .iter()
        .find(|directive| directive.name == "worker_processes")?;
    match directive.only() {
        Some("auto") | None => None,
        Some(count) => Some(Entry::new("threads", upstream::number(count), directive)),
    }
}

fn heading(file: &str, notes: &[Note]) -> String {
    let mut text = format!(
        "# Made from {file} by berth-proxy import-nginx. What the keys mean: config/proxy.toml.\n"
    );
    for (weight, title) in [
        (Weight::Changes, "Not as in nginx:"),
        (Weight::Harmless, "Left out or different, without harm:"),
    ] {
        let mut told = notes.iter().filter(|note| note.weight == weight).peekable();
        if told.peek().is_some() {
            text.push_str(&format!("#\n# {title}\n"));
        }
        for note in told {
            fold(&note.to_string(), &mut text);
        }
    }
    text
}

/// Writes the note as a comment, in lines that fit on a screen.
fn fold(note: &str, text: &mut String) {
    let mut width = 0;
    for word in note.split_whitespace() {
        if width > 0 && width + 1 + word.chars().count() > HEADING_CHARS_MAX {
            text.push_str("\n#    ");
            width = 5;
        } else if width == 0 {
            text.push_str("#  ");
            width = 3;
        }
        text.push(' ');
        // TOML allows no control characters in comments.
        text.extend(word.chars().filter(|c| !c.is_control()));
        width += 1 + word.chars().count();
    }
    text.push('\n');
}
