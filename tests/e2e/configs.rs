//! Every file we ship is good, and every bad one is refused with the message it deserves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use berth_tests::{binary, repository};

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return files;
    };
    for entry in entries {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() {
            files.extend(toml_files(&path));
        } else if path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn check(file: &Path) -> Output {
    Command::new(binary("berth-proxy"))
        .args(["check", "-c"])
        .arg(file)
        .output()
        .expect("berth-proxy check")
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

/// The proxy's files that we ship: the reference, and whatever the deployments bring.
fn shipped() -> Vec<PathBuf> {
    let is_proxys = |file: &PathBuf| {
        let text = fs::read_to_string(file).expect("a file");
        text.lines().any(|line| line.starts_with("[upstream."))
    };
    let folders = ["config", "deploy", "tests/fixtures/config/good"];
    let files = folders
        .iter()
        .flat_map(|folder| toml_files(&repository().join(folder)));
    files.filter(is_proxys).collect()
}

#[test]
fn every_shipped_proxy_file_passes() {
    let files = shipped();
    assert!(files.contains(&repository().join("config/proxy.toml")));
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let output = check(&file);
        let text = text(&output);
        assert!(output.status.success(), "{}: {text}", file.display());
        assert!(
            text.contains("test is successful"),
            "{}: {text}",
            file.display()
        );
    }
}

#[test]
fn the_short_flag_checks_like_nginx() {
    let output = Command::new(binary("berth-proxy"))
        .args(["-t", "-c"])
        .arg(repository().join("config/proxy.toml"))
        .output()
        .expect("berth-proxy -t");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn the_shipped_backend_file_is_understood() {
    let output = Command::new(binary("berth-backend"))
        .env_clear()
        .args(["run", "--print-config", "--config"])
        .arg(repository().join("config/backend.toml"))
        .output()
        .expect("berth-backend --print-config");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn every_bad_file_gets_its_message() {
    let files = toml_files(&repository().join("tests/fixtures/config/bad"));
    assert!(files.len() >= 8, "only {} bad files", files.len());
    for file in files {
        let source = fs::read_to_string(&file).expect("a file");
        let expected: Vec<&str> = source
            .lines()
            .map_while(|line| line.strip_prefix("# "))
            .map(str::trim)
            .collect();
        assert!(
            !expected.is_empty(),
            "{} does not say what to expect",
            file.display()
        );
        let output = check(&file);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{}: {text}", file.display());
        assert!(
            text.contains(&file.display().to_string()),
            "{}: {text}",
            file.display()
        );
        for line in expected {
            assert!(
                text.contains(line),
                "{}: no {line:?} in {text}",
                file.display()
            );
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let output = check(Path::new("/nonexistent/proxy.toml"));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("/nonexistent/proxy.toml"));
}

#[test]
fn unknown_flags_are_usage_errors() {
    for name in ["berth-proxy", "berth-backend", "berth"] {
        let output = Command::new(binary(name))
            .arg("--no-such-flag")
            .output()
            .expect(name);
        assert_eq!(output.status.code(), Some(2), "{name}");
    }
}
