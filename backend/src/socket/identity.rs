//! Who a client is: the user of its session, or a guest. Decides from facts; reading cookies and stores is the caller's.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::chat::limits::NAME_BYTES_MAX;
use crate::chat::message::Sender;
use crate::session::Session;

/// Where an application keeps the user in its session, tried in order.
const USER_PATHS: [&[&str]; 2] = [&["user"], &["passport", "user"]];
const ID_KEYS: [&str; 4] = ["id", "_id", "userId", "uid"];
const NAME_KEYS: [&str; 5] = ["displayName", "name", "username", "nickname", "email"];

/// The user that a session record names, if any.
#[must_use]
pub fn user_of(session: &Session) -> Option<Sender> {
    for path in USER_PATHS {
        let user = path
            .iter()
            .try_fold(&Value::Null, |found, key| match found {
                Value::Null => session.0.get(*key),
                Value::Object(fields) => fields.get(*key),
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
            });
        match user {
            Some(Value::Object(fields)) => {
                if let Some(id) = first_text(fields, &ID_KEYS) {
                    let name = first_text(fields, &NAME_KEYS).and_then(|name| clean_name(&name));
                    return Some(Sender {
                        name: name.unwrap_or_else(|| id.clone()),
                        id,
                    });
                }
            }
            // Passport keeps only the id.
            Some(value) => {
                if let Some(id) = as_id(value) {
                    return Some(Sender {
                        name: id.clone(),
                        id,
                    });
                }
            }
            None => {}
        }
    }
    let id = session.0.get("userId").and_then(as_id)?;
    let name = first_text(&session.0, &NAME_KEYS).and_then(|name| clean_name(&name));
    Some(Sender {
        name: name.unwrap_or_else(|| id.clone()),
        id,
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

fn first_text(fields: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| fields.get(*key).and_then(as_id))
}

fn as_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= ID_BYTES_MAX => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

/// Longest user id taken from a session, in bytes. It is kept with every message and is part of an index key.
const ID_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(session: Value, expected: Option<(&str, &str)>) {
        let user = user_of(&Session(session.as_object().unwrap().clone()));
        let user = user
            .as_ref()
            .map(|user| (user.id.as_str(), user.name.as_str()));
        assert_eq!(user, expected);
    }

    #[test]
    fn the_user_is_found_where_applications_keep_it() {
        check(
            json!({"cookie": {}, "user": {"id": "7", "name": "Ann"}}),
            Some(("7", "Ann")),
        );
        check(
            json!({"user": {"_id": 7, "username": "ann"}}),
            Some(("7", "ann")),
        );
        check(json!({"passport": {"user": {"id": "7"}}}), Some(("7", "7")));
        check(json!({"passport": {"user": "7"}}), Some(("7", "7")));
        check(
            json!({"userId": "7", "displayName": " Ann\n"}),
            Some(("7", "Ann")),
        );
        check(json!({"cookie": {}, "views": 3}), None);
        check(json!({"user": {"name": "nobody"}}), None);
        check(json!({"user": [1], "passport": 5, "userId": {}}), None);
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
