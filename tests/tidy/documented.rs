//! What an operator can set or read is written down where operators look.

use std::fs;

use berth_tests::repository;

/// The reference files: a comment for every key.
const REFERENCES: [&str; 2] = ["config/proxy.toml", "config/backend.toml"];

/// The key of a `key = value` line, also of one that is shown but commented out.
fn key(line: &str) -> Option<&str> {
    let line = line.trim_start().trim_start_matches('#').trim_start();
    let (key, _value) = line.split_once(" = ")?;
    let is_word = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_word.then_some(key)
}

fn is_prose(line: &str) -> bool {
    line.trim_start().starts_with('#') && key(line).is_none() && line.trim_start().len() > 3
}

#[test]
fn every_key_of_the_reference_files_has_its_reason() {
    let mut keys = 0;
    let mut bare = Vec::new();
    for file in REFERENCES {
        let text = fs::read_to_string(repository().join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        // A comment explains the line it stands on, or the lines below it up to the next empty line.
        let mut is_explained = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('[') {
                is_explained = false;
            } else if is_prose(line) {
                is_explained = true;
            } else if let Some(key) = key(line) {
                keys += 1;
                let has_note = line.trim_start_matches(['#', ' ']).contains(" #");
                if !is_explained && !has_note {
                    bare.push(format!("{file}:{}: {key}", number + 1));
                }
            }
        }
    }
    assert!(keys > 20, "found only {keys} keys");
    assert!(
        bare.is_empty(),
        "no comment says what for:\n{}",
        bare.join("\n")
    );
}
