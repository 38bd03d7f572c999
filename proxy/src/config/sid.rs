//! `[upstream.NAME.sid]`: how a client is kept on its server by its Engine.IO session id.

use super::signature;
use super::table::Node;
use crate::settings::Sid;

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
        keys: signature::keys(&mut table),
        answer_gone: answer_gone.unwrap_or(true),
    };
    table.finish();
    Some(sid)
}
