//! Words that must not stay: promises to come back later, debugging, and the author's machine.

use std::fs;
use std::process::Command;

use berth_tests::repository;

/// In Rust, JavaScript, shell and configuration. Written in two parts, so that this file passes its own test.
const FORBIDDEN: [(&str, &str); 8] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X:"),
    ("dbg", "!("),
    ("console.", "debug("),
    ("/ro", "ot/"),
    ("/wo", "rk/"),
    ("/home/", "user"),
];

/// Committed files that are made by programs.
const GENERATED: [&str; 2] = ["Cargo.lock", "package-lock.json"];

fn committed_files() -> Vec<String> {
    let listing = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(repository())
        .output()
        .expect("git lists the files");
    assert!(listing.status.success(), "git ls-files failed");
    let names = String::from_utf8(listing.stdout).expect("names in UTF-8");
    let files: Vec<String> = names.split_terminator('\0').map(str::to_owned).collect();
    assert!(files.len() > 50, "found only {} files", files.len());
    files
}

#[test]
fn no_leftovers_and_no_machine_paths() {
    let mut found = Vec::new();
    for file in committed_files() {
        if GENERATED.iter().any(|name| file.ends_with(name)) {
            continue;
        }
        // Pictures, and files deleted but not yet committed, have no text to judge.
        let Ok(text) = fs::read_to_string(repository().join(&file)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for (start, end) in FORBIDDEN {
                let word = format!("{start}{end}");
                if line.contains(&word) {
                    found.push(format!("{file}:{}: {word}", number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn lock_files_name_no_registry_but_the_public_ones() {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).expect("Cargo.lock");
    let crates_io = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let sources: Vec<&str> = lock
        .lines()
        .filter(|line| line.starts_with("source = "))
        .collect();
    assert!(sources.len() > 100, "found only {} sources", sources.len());
    let other: Vec<&&str> = sources
        .iter()
        .filter(|source| **source != crates_io)
        .collect();
    assert!(other.is_empty(), "Cargo.lock: {other:?}");

    let lock = fs::read_to_string(repository().join("tests/js/package-lock.json"));
    let lock = lock.expect("tests/js/package-lock.json");
    assert!(
        lock.contains("node_modules/socket.io-client"),
        "the lock is empty"
    );
    assert!(
        !lock.contains("\"resolved\""),
        "package-lock.json names a registry"
    );
}
