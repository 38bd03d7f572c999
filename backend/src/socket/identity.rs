//! Who a client is: the user of its session, or a guest. Decides from facts; reading cookies and stores is the caller's.

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::chat::limits::NAME_BYTES_MAX;
use crate::chat::message::Sender;
use crate::session::SessionUser;

/// Longest user id taken from a session, in bytes. It is kept with every message and is part of an index key.
const ID_BYTES_MAX: usize = 128;

/// The sender that a session's user is. `None` when the id cannot be kept: the user is then nobody we know.
#[must_use]
pub fn user(user: &SessionUser) -> Option<Sender> {
    if user.id.is_empty() || user.id.len() > ID_BYTES_MAX {
        return None;
    }
    let name = user.name.as_deref().and_then(clean_name);
    Some(Sender {
        id: user.id.clone(),
        name: name.unwrap_or_else(|| user.id.clone()),
    })
}

/// A guest. With a session the id stays the same across reconnects, so that resending stays safe; `fresh` is for one without.
#[must_use]
pub fn guest(session_id: Option<&str>, wanted_name: Option<&str>, fresh: Uuid) -> Sender {
    let short = match session_id {
        // Not the session id itself: other members see this one.
        Some(sid) => Sha256::digest(format!("guest:{sid}"))
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        None => fresh.simple().to_string(),
    };
    let id = format!("guest-{short}");
    let tail: String = short.chars().rev().take(4).collect();
    Sender {
        name: wanted_name
            .and_then(clean_name)
            .unwrap_or_else(|| format!("Guest-{tail}")),
        id,
    }
}

/// The name that a client asks for in its handshake's `auth`.
#[must_use]
pub fn wanted_name(auth: &Value) -> Option<&str> {
    ["displayName", "name"]
        .iter()
        .find_map(|key| auth.get(key)?.as_str())
}

/// A name fit to be shown: without control characters and edges, and not too long. `None` when nothing is left.
#[must_use]
pub fn clean_name(text: &str) -> Option<String> {
    let mut name: String = text
        .chars()
        .filter(|c| !c.is_control())
        .collect::<String>()
        .trim()
        .to_owned();
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    let name = name.trim_end().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_taken_with_a_clean_name() {
        let of = |id: &str, name: Option<&str>| {
            user(&SessionUser {
                id: id.to_owned(),
                name: name.map(str::to_owned),
                guest: false,
            })
        };
        assert_eq!(of("7", Some(" Ann\n")).unwrap().name, "Ann");
        assert_eq!(of("7", None).unwrap().name, "7");
        assert_eq!(of(&"7".repeat(129), None), None);
        assert_eq!(of("", None), None);
    }

    #[test]
    fn guests_keep_their_id_while_they_keep_their_session() {
        let of = |sid, fresh| guest(sid, None, Uuid::from_u128(fresh));
        assert_eq!(of(Some("s"), 1), of(Some("s"), 2));
        assert_ne!(of(Some("s"), 1).id, of(Some("t"), 1).id);
        assert_ne!(of(None, 1).id, of(None, 2).id);
        assert!(!of(Some("secret"), 1).id.contains("secret"));
    }

    #[test]
    fn names_are_made_fit_to_show() {
        assert_eq!(clean_name("  Ann\u{0}\n ").as_deref(), Some("Ann"));
        assert_eq!(clean_name(" \n"), None);
        assert_eq!(clean_name(&"é".repeat(40)).unwrap().len(), 64);
        assert!(
            guest(None, Some("\n"), Uuid::from_u128(1))
                .name
                .starts_with("Guest-")
        );
    }
}
