//! What `ARCHITECTURE.md` names is there, and it stays short enough to be read.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use berth_tests::repository;

/// Two pages, as `CONTRIBUTING.md` says.
const LINES_MAX: usize = 150;

/// Names in the code map that are no file: a trait, and another project.
const NO_FILES: [&str; 2] = ["Session", "@socket.io/redis-adapter"];

/// `a/{b,c}` is `a/b` and `a/c`; `a/*` is `a`.
fn expanded(name: &str) -> Vec<String> {
    let name = name.trim_end_matches("/*").trim_end_matches(".md");
    let Some((before, rest)) = name.split_once('{') else {
        return vec![name.to_owned()];
    };
    let (inner, after) = rest.split_once('}').unwrap_or((rest, ""));
    inner
        .split(',')
        .map(|one| format!("{before}{one}{after}"))
        .collect()
}

/// Every path below a folder, without endings, and every end of one: `x/src/a/b.rs` is `x/src/a/b`, `src/a/b`, `a/b` and `b`.
fn collect(folder: &Path, inside: &str, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder is read") {
        let path = entry.expect("an entry is read").path();
        let file = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if file.starts_with('.') || ["target", "node_modules"].contains(&file) {
            continue;
        }
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let name = format!("{inside}{stem}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), names);
        }
        let ends = name.match_indices('/').map(|(at, _)| &name[at + 1..]);
        names.extend(ends.map(str::to_owned));
        names.insert(name);
    }
}

#[test]
fn the_architecture_is_two_pages_and_names_what_is_there() {
    let text = fs::read_to_string(repository().join("ARCHITECTURE.md")).expect("it is there");
    let lines = text.lines().count();
    assert!(
        lines <= LINES_MAX,
        "it has {lines} lines; cut or merge some"
    );
    let (_, map) = text.split_once("## Code map").expect("it has a code map");
    let (map, _) = map
        .split_once("Who may import whom")
        .expect("it ends there");
    let mut names = BTreeSet::new();
    collect(&repository(), "", &mut names);
    // Between two backticks.
    let said: Vec<String> = map
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(expanded)
        .collect();
    assert!(said.len() > 100, "found only {} names", said.len());
    let is_missing = |name: &&String| !names.contains(*name) && !NO_FILES.contains(&name.as_str());
    let missing: Vec<&String> = said.iter().filter(is_missing).collect();
    assert!(
        missing.is_empty(),
        "named in ARCHITECTURE.md and not there: {missing:?}"
    );
}
