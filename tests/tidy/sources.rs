//! The files of the workspace, and what every one of them must have.

use std::fs;
use std::path::{Path, PathBuf};

use berth_tests::repository;

/// Outside tests: what is longer has two concerns.
const LINES_MAX: usize = 400;

/// The packages, and the folders of sources in each.
const FOLDERS: [&str; 10] = [
    "adapter/src",
    "backend/src",
    "bench/src",
    "bench/tests",
    "proxy/src",
    "stack/src",
    "tests/chatcheck",
    "tests/src",
    "tests/e2e",
    "tests/tidy",
];

pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("/contract.rs")
    }

    /// The lines before an inline `#[cfg(test)] mod tests {`.
    pub(crate) fn lines_outside_tests(&self) -> usize {
        let inline = "#[cfg(test)]\nmod tests {";
        let end = self.text.find(inline).unwrap_or(self.text.len());
        self.text[..end].lines().count()
    }
}

/// Every Rust file of the workspace.
pub(crate) fn sources() -> Vec<Source> {
    let root = repository();
    let files: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| files_in(&root.join(folder)))
        .collect();
    let rust = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let sources: Vec<Source> = rust.map(|path| read(&root, &path)).collect();
    assert!(sources.len() > 20, "found only {} files", sources.len());
    sources
}

/// All files below a folder. A folder that is not there has none.
pub(crate) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() {
            files.extend(files_in(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn read(root: &Path, path: &Path) -> Source {
    Source {
        path: path
            .strip_prefix(root)
            .expect("below the root")
            .display()
            .to_string(),
        text: fs::read_to_string(path).expect("a source file"),
    }
}

#[test]
fn no_module_is_longer_than_a_reader_can_hold() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_test() && source.lines_outside_tests() > LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path, source.lines_outside_tests()))
        .collect();
    assert!(
        long.is_empty(),
        "more than {LINES_MAX} lines:\n{}",
        long.join("\n")
    );
}

#[test]
fn every_module_says_what_it_is_about() {
    // The tests of a module are about that module.
    let is_its_tests =
        |source: &&Source| source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
    let silent: Vec<String> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//!") && !is_its_tests(source))
        .map(|source| source.path.clone())
        .collect();
    assert!(silent.is_empty(), "no `//!` header:\n{}", silent.join("\n"));
}
