//! `ssl_certificate` and its relatives: which certificates are for whom.
//!
//! The files are not looked at: whoever imports need not be allowed to read keys.

use std::path::Path;

use super::draft::{Certificate, Draft, Entry, quoted};
use super::note::{Notes, Origin};
use super::site::Site;
use super::tree::Directive;

/// One pair for each certificate of a block that is served with TLS. Those of the default block come first, because it
/// answers whoever asks for a name that is nobody's.
pub(super) fn certificates(sites: &[Site<'_>], draft: &mut Draft, notes: &mut Notes) {
    let is_served = |site: &&Site<'_>| {
        let mut listens = site.listens.iter();
        !site.proxied.is_empty() && listens.any(|listen| listen.is_tls && !listen.is_refused)
    };
    let mut served: Vec<&Site<'_>> = sites.iter().filter(is_served).collect();
    served.sort_by_key(|site| !site.is_default);
    // Where there is but one block, its names could only be left out wrongly.
    let are_many = served.len() > 1;
    for site in served {
        let names = if are_many {
            names(site.directive)
        } else {
            Vec::new()
        };
        let keys = site.scope.all("ssl_certificate_key");
        for (index, certificate) in site.scope.all("ssl_certificate").into_iter().enumerate() {
            let Some(key) = keys.get(index) else {
                notes.changes(certificate, "left out: has no ssl_certificate_key");
                continue;
            };
            add(certificate, key, &names, draft, notes);
        }
    }
}

fn add(
    certificate: &Directive,
    key: &Directive,
    names: &[String],
    draft: &mut Draft,
    notes: &mut Notes,
) {
    let (Some(certificate_file), Some(key_file)) =
        (file(certificate, &draft.folder), file(key, &draft.folder))
    else {
        notes.changes(
            certificate,
            "left out: Berth reads certificates and keys from files with fixed names; write them to such",
        );
        return;
    };
    let mut entries = vec![
        Entry::new("certificate", certificate_file, certificate),
        Entry::new("key", key_file, key),
    ];
    let origin = Origin::from(certificate);
    let mut known = draft.certificates.iter_mut();
    if let Some(known) = known.find(|known| known.origin == origin) {
        // It stands in http and several blocks share it, so it is for everything that it says itself.
        known.entries.retain(|entry| entry.key != "names");
        return;
    }
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let names = format!("[{}]", names.join(", "));
        entries.push(Entry::new("names", names, certificate));
    }
    draft.certificates.push(Certificate { entries, origin });
}

/// The path of a file as `config` finds it; `None`: it is no file, or a different one for every client.
fn file(directive: &Directive, folder: &Path) -> Option<String> {
    let path = directive.only()?;
    let is_file = !path.contains('$') && !path.starts_with("data:") && !path.starts_with("engine:");
    is_file.then(|| quoted(&folder.join(path).display().to_string()))
}

/// The names that `config` takes, in lower case.
fn names(server: &Directive) -> Vec<String> {
    let directives = server
        .inner()
        .iter()
        .filter(|inner| inner.name == "server_name");
    let mut names = Vec::new();
    for name in directives.flat_map(|directive| &directive.words) {
        let name = name.to_ascii_lowercase();
        let bare = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
        let host = bare.unwrap_or(&name);
        let is_host = host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
        if !is_host || !host.contains(|c: char| c.is_ascii_alphanumeric()) {
            continue;
        }
        if name.starts_with('.') {
            names.push(host.to_owned());
        }
        names.push(match bare {
            Some(host) => format!("*.{host}"),
            None => name,
        });
    }
    names
}

/// `ssl_protocols`: whether they are those that Berth speaks.
pub(super) fn protocols(directive: &Directive, notes: &mut Notes) {
    let mut words = directive.words.iter().map(String::as_str);
    if words
        .clone()
        .any(|word| !matches!(word, "TLSv1.2" | "TLSv1.3"))
    {
        notes.changes(
            directive,
            "only TLS 1.2 and 1.3 are spoken; clients that know neither are not served",
        );
    } else if !words.any(|word| word == "TLSv1.2") {
        notes.changes(directive, "TLS 1.2 is spoken, too");
    }
}
