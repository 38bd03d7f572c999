//! Directives and blocks, with every `include` replaced by what it means.
//!
//! Owns the grammar and the walk through files. Knows no directive but `include`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Files, is_pattern, matching};
use super::lexer::{Lexer, Token};
use super::note::{Notes, Place};

/// nginx itself nests five blocks at most, but `if` and `location` may stand in each other.
const DEPTH_MAX: usize = 32;
/// Files of one configuration, each counted as often as it is included.
const FILES_MAX: usize = 1000;

#[derive(Clone, Debug)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) words: Vec<String>,
    pub(super) place: Place,
    /// `None`: it ends with a semicolon.
    pub(super) block: Option<Vec<Directive>>,
}

impl Directive {
    /// The only word, if there is exactly one.
    pub(super) fn only(&self) -> Option<&str> {
        match self.words.as_slice() {
            [word] => Some(word),
            _ => None,
        }
    }

    pub(super) fn inner(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Why nothing can be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Unreadable {
    pub place: Place,
    pub message: String,
}

/// The whole configuration that begins with the file at `main`.
pub(super) fn read(
    main: &Path,
    files: &impl Files,
    notes: &mut Notes,
) -> Result<Vec<Directive>, Unreadable> {
    let mut reader = Reader {
        files,
        folder: main.parent().unwrap_or(Path::new("")),
        open: Vec::new(),
        count: 0,
        notes,
    };
    let place = Place {
        file: main.display().to_string().into(),
        line: 1,
    };
    let text = files.read(main).map_err(|error| Unreadable {
        place: place.clone(),
        message: format!("cannot be read: {error}; write the path of nginx's main file"),
    })?;
    reader.file(main, &text, 0)
}

struct Reader<'r, F> {
    files: &'r F,
    /// Of the main file: where nginx looks for relative paths, whichever file they stand in.
    folder: &'r Path,
    /// The files that are being read, the main one first.
    open: Vec<PathBuf>,
    count: usize,
    notes: &'r mut Notes,
}

impl<F: Files> Reader<'_, F> {
    fn file(
        &mut self,
        path: &Path,
        text: &str,
        depth: usize,
    ) -> Result<Vec<Directive>, Unreadable> {
        self.open.push(path.to_path_buf());
        let mut source = Source {
            lexer: Lexer::new(text),
            file: path.display().to_string().into(),
        };
        let directives = self.block(&mut source, depth, None);
        self.open.pop();
        directives
    }

    /// Directives up to the end of the block that opened on that line, or of the file.
    fn block(
        &mut self,
        source: &mut Source<'_>,
        depth: usize,
        opened: Option<usize>,
    ) -> Result<Vec<Directive>, Unreadable> {
        let mut directives = Vec::new();
        loop {
            let (name, line) = match (source.next()?, opened) {
                (Some((Token::Word(name), line)), _) => (name, line),
                (Some((Token::Close, _)), Some(_)) | (None, None) => return Ok(directives),
                (None, Some(line)) => {
                    return Err(source.broken(line, "the { is never closed; write a } for it"));
                }
                (Some((Token::Close, line)), None) => {
                    return Err(source.broken(line, "a } closes nothing; take it away"));
                }
                (Some((Token::Open, line)), _) => {
                    return Err(source.broken(line, "a { stands where a directive should begin"));
                }
                (Some((Token::End, line)), _) => {
                    return Err(source.broken(line, "a ; stands where a directive should begin"));
                }
            };
            let (words, opening) = source.words(line)?;
            if let Some(opened) = opening
                && name.ends_with("_by_lua_block")
            {
                source.skip_lua(opened)?;
                directives.push(Directive {
                    name,
                    words,
                    place: source.place(line),
                    block: Some(Vec::new()),
                });
                continue;
            }
            if opening.is_some() && depth >= DEPTH_MAX {
                let message = format!("is nested deeper than {DEPTH_MAX} blocks");
                return Err(source.broken(line, message));
            }
            let block = opening
                .map(|line| self.block(source, depth + 1, Some(line)))
                .transpose()?;
            let directive = Directive {
                name,
                words,
                place: source.place(line),
                block,
            };
            match directive.only() {
                Some(wanted) if directive.name == "include" && directive.block.is_none() => {
                    directives.extend(self.include(wanted, &directive, depth)?);
                }
                _ => directives.push(directive),
            }
        }
    }

    fn include(
        &mut self,
        wanted: &str,
        directive: &Directive,
        depth: usize,
    ) -> Result<Vec<Directive>, Unreadable> {
        let path = self.folder.join(wanted);
        let paths = if is_pattern(wanted) {
            matching(self.files, &path)
        } else {
            vec![path]
        };
        if paths.is_empty() {
            let message = "no file has such a name, so nothing is included here either";
            self.notes.harmless(directive, message);
        }
        let mut directives = Vec::new();
        for path in paths {
            let refuse = |message: &str| {
                Err(Unreadable {
                    place: directive.place.clone(),
                    message: format!("include {}: {message}", path.display()),
                })
            };
            self.count += 1;
            if self.open.contains(&path) {
                return refuse("the file includes itself");
            }
            if self.count > FILES_MAX || self.open.len() > DEPTH_MAX {
                return refuse("there are too many includes");
            }
            match self.files.read(&path) {
                Ok(text) => directives.extend(self.file(&path, &text, depth)?),
                Err(_) if path.ends_with("mime.types") => self.notes.harmless(
                    directive,
                    "not read; Berth serves no files, so it needs no types",
                ),
                Err(error) => self.notes.changes(
                    directive,
                    format!(
                        "{} cannot be read: {error}; what it says is missing here",
                        path.display()
                    ),
                ),
            }
        }
        Ok(directives)
    }
}

/// The rest of one file.
struct Source<'t> {
    lexer: Lexer<'t>,
    file: Arc<str>,
}

impl Source<'_> {
    fn place(&self, line: usize) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line,
        }
    }

    fn broken(&self, line: usize, message: impl Into<String>) -> Unreadable {
        Unreadable {
            place: self.place(line),
            message: message.into(),
        }
    }

    fn next(&mut self) -> Result<Option<(Token, usize)>, Unreadable> {
        let next = self.lexer.next();
        next.map_err(|broken| self.broken(broken.line, broken.message))
    }

    /// Passes over the code of OpenResty's `…_by_lua_block`, up to its `}`.
    fn skip_lua(&mut self, opened: usize) -> Result<(), Unreadable> {
        if self.lexer.skip_lua() {
            return Ok(());
        }
        Err(self.broken(
            opened,
            "the { of the Lua code is never closed; write a } for it",
        ))
    }

    /// What follows a directive's name, and the line of its `{` if it is a block.
    fn words(&mut self, begun: usize) -> Result<(Vec<String>, Option<usize>), Unreadable> {
        let mut words = Vec::new();
        loop {
            match self.next()? {
                Some((Token::Word(word), _)) => words.push(word),
                Some((Token::End, _)) => return Ok((words, None)),
                Some((Token::Open, line)) => return Ok((words, Some(line))),
                Some((Token::Close, line)) => {
                    return Err(
                        self.broken(line, "a } comes before the ; of the directive; write the ;")
                    );
                }
                None => {
                    return Err(self.broken(begun, "the directive has neither ; nor {; write one"));
                }
            }
        }
    }
}
