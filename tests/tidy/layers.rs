//! The core decides and the shell does: core modules import no runtime, no proxy framework, and read no clock.

use crate::sources::{Source, sources};

/// The proxy's core, by the names of its files and folders.
const PROXY_CORE: [&str; 14] = [
    "client",
    "route",
    "affinity",
    "pool",
    "balance",
    "choose",
    "headers",
    "refusal",
    "outcome",
    "health",
    "hash_key",
    "handshakes",
    "heartbeat",
    "certificate",
];

/// What would make a core module need more than its arguments.
const SHELL_WORDS: [&str; 6] = [
    "tokio::",
    "pingora::",
    "Instant::now",
    "SystemTime::now",
    "std::env",
    "std::net::Tcp",
];

fn is_core(source: &Source, package: &str, core: &[&str]) -> bool {
    let Some(path) = source.path.strip_prefix(package) else {
        return false;
    };
    let first = path.split(['/', '.']).next().unwrap_or_default();
    core.contains(&first) && !source.is_test()
}

fn shell_words_in(source: &Source) -> Vec<String> {
    let found = SHELL_WORDS
        .iter()
        .filter(|word| source.text.contains(*word));
    found
        .map(|word| format!("{}: {word}", source.path))
        .collect()
}

fn check(package: &str, core: &[&str]) {
    let sources = sources();
    let modules: Vec<&Source> = sources
        .iter()
        .filter(|source| is_core(source, package, core))
        .collect();
    assert!(
        modules.len() >= core.len(),
        "found only {} core modules in {package}",
        modules.len()
    );
    let found: Vec<String> = modules
        .iter()
        .flat_map(|source| shell_words_in(source))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_proxys_core_is_pure() {
    check("proxy/src/", &PROXY_CORE);
}

#[test]
fn the_doctors_judgement_is_pure() {
    let core = ["finding", "jar", "judge", "packet", "seen", "target"];
    check("proxy/src/doctor/", &core);
}

#[test]
fn the_backends_core_is_pure() {
    check("backend/src/", &["chat"]);
    check(
        "backend/src/delivery/",
        &["beacon", "frame", "line", "recent"],
    );
    check(
        "backend/src/webhooks/",
        &["batch", "schedule", "signature", "wants"],
    );
}

#[test]
fn proxy_and_backend_never_import_each_other() {
    let sources = sources();
    assert!(
        sources
            .iter()
            .any(|source| source.path.starts_with("proxy/"))
    );
    let crossing = |source: &&Source| {
        let (from, to) = (&source.path, &source.text);
        (from.starts_with("proxy/") && to.contains("berth_backend"))
            || (from.starts_with("backend/") && to.contains("berth_proxy"))
    };
    let found: Vec<&str> = sources
        .iter()
        .filter(crossing)
        .map(|source| source.path.as_str())
        .collect();
    assert!(found.is_empty(), "{found:?}");
}
