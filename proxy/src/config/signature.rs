//! `keys` of a sticky method: what the proxy signs with, and what it replaced.
//!
//! Nothing here quotes a key, or what may be one: problems end in logs.

use super::keys;
use super::table::{Node, Table};
use crate::settings::Key;

pub(super) fn keys(table: &mut Table<'_>) -> Vec<Key> {
    let Some(node) = table.get("keys") else {
        return Vec::new();
    };
    let items = if node.value.is_array() {
        node.list("").unwrap_or_default()
    } else {
        node.wrong("is not a list; write [\"…\"], each what `openssl rand -hex 32` prints");
        Vec::new()
    };
    if let Some(first_too_many) = items.get(keys::SIGNING_KEYS_MAX) {
        first_too_many.wrong(format!(
            "is one key too many; write at most {}: one that signs and those that it replaced",
            keys::SIGNING_KEYS_MAX
        ));
    }
    let mut read: Vec<Key> = Vec::with_capacity(items.len());
    for item in &items {
        let Some(key) = key(item) else { continue };
        if read.contains(&key) {
            item.wrong("is listed twice, so it replaces nothing; leave one of the two out");
        }
        read.push(key);
    }
    read
}

fn key(node: &Node<'_>) -> Option<Key> {
    let key = node.value.as_str();
    let is_good = key.is_some_and(|key| keys::SIGNING_KEY_BYTES.contains(&key.len()));
    if !is_good {
        node.wrong(format!(
            "is not a key of {} to {} characters; write what `openssl rand -hex 32` prints",
            keys::SIGNING_KEY_BYTES.start(),
            keys::SIGNING_KEY_BYTES.end()
        ));
    }
    key.map(Key::new)
}
