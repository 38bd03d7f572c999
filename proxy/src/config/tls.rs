//! `[[server.tls]]`: certificates with their keys, and the host names that get them.
//!
//! Reads the files, so that a bad one is known before anything starts. What is in them is judged by `certificate`; a
//! problem never quotes from one.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::address::is_host_name;
use super::keys;
use super::quantity::quote;
use super::table::{Node, Table};
use crate::certificate::Certificate;
use crate::tls;

/// Every pair, in the file's order. Without a folder they are not read, so there are none.
pub(super) fn certificates(
    server: &mut Table<'_>,
    has_tls: bool,
    folder: Option<&Path>,
) -> Vec<Certificate> {
    let Some(node) = server.get("tls") else {
        return Vec::new();
    };
    let items = node
        .list("[[server.tls]] with certificate and key below")
        .unwrap_or_default();
    if items.is_empty() && node.value.is_array() {
        node.wrong("is empty; write a [[server.tls]] with certificate and key, or leave it out");
    }
    if !items.is_empty() && !has_tls {
        node.wrong(
            "is used by no listener; write listen = [{ address = \"0.0.0.0:8443\", tls = true }]",
        );
    }
    if let Some(first_too_many) = items.get(keys::CERTIFICATES_MAX) {
        first_too_many.wrong(format!(
            "is one certificate too many; write at most {}",
            keys::CERTIFICATES_MAX
        ));
    }
    items.iter().filter_map(|item| one(item, folder)).collect()
}

fn one(node: &Node<'_>, folder: Option<&Path>) -> Option<Certificate> {
    let mut table = node.table("server.tls")?;
    let certificate = file(&mut table, "certificate", "chat.example.com.pem");
    let key = file(&mut table, "key", "chat.example.com.key");
    let names = names(&mut table);
    table.finish();
    let ((certificate, certificate_path), (key, key_path)) = (certificate?, key?);
    let certificate_pem = read(&certificate, certificate_path, folder);
    let key_pem = read(&key, key_path, folder);
    let made = Certificate::from_pem(&certificate_pem?, &key_pem?, names, &tls::provider());
    made.map_err(|unusable| {
        let (node, path) = if unusable.is_about_key() {
            (&key, key_path)
        } else {
            (&certificate, certificate_path)
        };
        node.wrong(format!("{} {unusable}", quote(path)));
    })
    .ok()
}

fn file<'t>(
    table: &mut Table<'t>,
    name: &'static str,
    example: &str,
) -> Option<(Node<'t>, &'t str)> {
    let example = format!("\"/etc/berth/tls/{example}\"");
    let Some(node) = table.get(name) else {
        table.missing(name, format!("is missing; write {name} = {example}"));
        return None;
    };
    let path = node.text(&example)?;
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        node.wrong(format!(
            "{} is not the path of a file; write {example}",
            quote(path)
        ));
        return None;
    }
    Some((node, path))
}

fn read(node: &Node<'_>, path: &str, folder: Option<&Path>) -> Option<Vec<u8>> {
    let found = folder?.join(path);
    let mut bytes = Vec::new();
    let read = File::open(&found).and_then(|open| {
        open.take(keys::PEM_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > keys::PEM_BYTES_MAX {
            return Err(io::Error::other(format!(
                "it is longer than {} bytes",
                keys::PEM_BYTES_MAX
            )));
        }
        Ok(())
    });
    match read {
        Ok(()) => Some(bytes),
        Err(error) => {
            node.wrong(format!(
                "{} cannot be read: {error}; write the path of a PEM file, from / or from the folder of this file",
                quote(path)
            ));
            None
        }
    }
}

/// `None`: those that stand in the certificate.
fn names(table: &mut Table<'_>) -> Option<Vec<String>> {
    let example = "[\"chat.example.com\", \"*.example.org\"]";
    let node = table.get("names")?;
    let items = node.list(example)?;
    if items.is_empty() {
        node.wrong(format!(
            "is empty; write {example}, or leave it out for the names in the certificate"
        ));
    }
    let name = |item: &Node<'_>| {
        let name = item.text("\"chat.example.com\"")?;
        let host = name.strip_prefix("*.").unwrap_or(name);
        if is_host_name(host) {
            return Some(name.trim_end_matches('.').to_ascii_lowercase());
        }
        item.wrong(format!(
            "{} is not a host name; write \"chat.example.com\" or \"*.example.com\"",
            quote(name)
        ));
        None
    };
    Some(items.iter().filter_map(name).collect())
}
