//! From nginx's configuration to ours: what `berth-proxy import-nginx` does.
//!
//! Reads files through `Files` alone, looks up no name and asks no clock. Invariants: **no directive is dropped
//! silently**: each is translated, is what Berth does anyway, or has a `Note` with its file and line; and **what comes
//! out passes `config`**, because `config` itself has judged it.

mod draft;
mod files;
mod foreign;
mod forwarding;
mod http;
mod leftover;
mod lexer;
mod limits;
mod listen;
mod note;
mod pass;
mod quantity;
mod scope;
mod settle;
mod site;
mod tls;
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
        "{file}: this looks like {owner}; import-nginx reads nginx's main file\n(nothing was imported)"
    )]
    Foreign { file: String, owner: &'static str },
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
            Self::Unreadable(_) | Self::Foreign { .. } => &[],
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
    let file = main.display().to_string();
    if let Some(owner) = files.read(main).ok().as_deref().and_then(foreign::owner) {
        return Err(Refused::Foreign { file, owner });
    }
    let tree = in_http(tree::read(main, files, &mut notes)?, &mut notes);
    let mut draft = Draft {
        folder: main.parent().unwrap_or(Path::new("")).to_path_buf(),
        ..Draft::default()
    };
    for http in tree.iter().filter(|directive| directive.name == "http") {
        http::translate(http, &mut draft, &mut notes);
    }
    draft.server.extend(threads(&tree, &mut notes));
    let upgrades = forwarding::upgrade_variables(&tree);
    for directive in &tree {
        report(directive, &upgrades, &mut notes);
    }
    if draft.upstreams.is_empty() {
        let notes = notes.sorted();
        return Err(Refused::Nothing { file, notes });
    }
    let settled = settle::settle(&mut draft, &mut notes);
    leftover::tell(&tree, &draft, &mut notes);
    match settled {
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

/// A file that nginx would include in its `http` block, such as one of `sites-enabled`, is read as if it stood there.
fn in_http(tree: Vec<Directive>, notes: &mut Notes) -> Vec<Directive> {
    let is_site = |directive: &Directive| {
        matches!(directive.name.as_str(), "server" | "upstream") && directive.block.is_some()
    };
    let has_http = tree.iter().any(|directive| directive.name == "http");
    let Some(site) = tree.iter().find(|directive| is_site(directive)) else {
        return tree;
    };
    if has_http {
        return tree;
    }
    notes.changes(
        site,
        "stands outside of http, so this is taken for a file that nginx's main file includes; give that one to have its settings too",
    );
    let place = site.place.clone();
    vec![Directive {
        name: "http".to_owned(),
        words: Vec::new(),
        place,
        block: Some(tree),
    }]
}

/// Says what becomes of a directive, and of those inside it, that the translation does not look at.
fn report(directive: &Directive, upgrades: &[&str], notes: &mut Notes) {
    match directive.name.as_str() {
        "http" | "server" | "location" | "events" => {
            directive
                .inner()
                .iter()
                .for_each(|inner| report(inner, upgrades, notes));
        }
        "proxy_set_header" => forwarding::header(directive, upgrades, notes),
        "proxy_http_version"
        | "proxy_buffering"
        | "proxy_request_buffering"
        | "tcp_nodelay"
        | "proxy_redirect" => {
            forwarding::switch(directive, notes);
        }
        "ssl_protocols" => tls::protocols(directive, notes),
        "proxy_next_upstream" => forwarding::next_upstream(directive, notes),
        "map" if forwarding::is_upgrade_map(directive) => {}
        name if words::TRANSLATED.contains(&name) => {}
        "set" if notes.is_same(directive) => {}
        name => match words::verdict(name) {
            (Weight::Changes, message) => notes.changes(directive, message),
            (Weight::Harmless, message) => notes.harmless(directive, message),
        },
    }
}

fn threads(tree: &[Directive], notes: &mut Notes) -> Option<Entry> {
    let directive = tree
        .iter()
        .find(|directive| directive.name == "worker_processes")?;
    match directive.only() {
        Some("auto") => {
            notes.same(directive);
            None
        }
        None => None,
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
