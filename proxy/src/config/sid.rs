//! `[upstream.NAME.sid]`: how a client is kept on its server by its Engine.IO session id.

use super::keys;
use super::table::{Node, Table};
use crate::settings::{Key, Sid};

/// What `sticky = ["sid"]` means without a table.
pub(super) fn default() -> Sid {
    Sid {
        keys: Vec::new(),
        answer_gone: true,
    }
}

pub(super) fn read(node: &Node<'_>) -> Option<Sid> {
    let mut table = node.table("upstream.NAME.sid")?;
    let answer_gone = table.get("answer_gone").and_then(|node| node.flag());
    let sid = Sid {
        keys: keys(&mut table),
        answer_gone: answer_gone.unwrap_or(true),
    };
    table.finish();
    Some(sid)
}

fn keys(table: &mut Table<'_>) -> Vec<Key> {
    let Some(node) = table.get("keys") else {
        return Vec::new();
    };
    let items = node
        .list("[\"…\"], each what `openssl rand -hex 32` prints")
        .unwrap_or_default();
    if let Some(first_too_many) = items.get(keys::SID_KEYS_MAX) {
        first_too_many.wrong(format!(
            "is one key too many; write at most {}: one that signs and those that it replaced",
            keys::SID_KEYS_MAX
        ));
    }
    items.iter().filter_map(key).collect()
}

/// Never quotes it: problems end in logs.
fn key(node: &Node<'_>) -> Option<Key> {
    let key = node.value.as_str();
    let is_good = key.is_some_and(|key| keys::SID_KEY_BYTES.contains(&key.len()));
    if !is_good {
        node.wrong(format!(
            "is not a key of {} to {} characters; write what `openssl rand -hex 32` prints",
            keys::SID_KEY_BYTES.start(),
            keys::SID_KEY_BYTES.end()
        ));
    }
    key.map(Key::new)
}
