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
    let is_fit =
        (1..=ID_BYTES_MAX).contains(&user.id.len()) && !user.id.chars().any(char::is_control);
    if !is_fit {
        return None;
    }
    let name = user.name.as_deref().and_then(clean_name);
    Some(Sender {
        id: user.id.clone(),
        name: name.unwrap_or_else(|| user.id.clone()),
    })
}

/// Shortest `device` that makes a guest, in bytes. It works like a password: who knows it is that guest.
const DEVICE_BYTES_MIN: usize = 16;

/// What a guest is recognised by when it comes again. A resent message is the same message only from the same sender.
#[derive(Clone, Copy, Debug)]
pub enum KnownBy<'a> {
    Session(&'a str),
    /// A secret that the client made up and keeps, from its handshake's `auth`.
    Device(&'a str),
    /// Nothing: it is somebody new each time.
    Nothing(Uuid),
}

/// A guest. The id is no way back to what the guest is known by: other members see it.
#[must_use]
pub fn guest(known_by: KnownBy<'_>, wanted_name: Option<&str>) -> Sender {
    let short = match known_by {
        KnownBy::Session(sid) => digest("guest", sid),
        KnownBy::Device(device) => digest("device", device),
        KnownBy::Nothing(fresh) => fresh.simple().to_string(),
    };
    let id = format!("guest-{short}");
    let tail = &short[short.len() - 4..];
    let name = wanted_name.and_then(clean_name);
    Sender {
        name: name.unwrap_or_else(|| format!("Guest-{tail}")),
        id,
    }
}

fn digest(what: &str, secret: &str) -> String {
    let hash = Sha256::digest(format!("{what}:{secret}"));
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The device that a client names in its handshake's `auth`, when it is hard enough to guess.
#[must_use]
pub fn device(auth: &Value) -> Option<&str> {
    let device = auth.get("device")?.as_str()?;
    (DEVICE_BYTES_MIN..=ID_BYTES_MAX)
        .contains(&device.len())
        .then_some(device)
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
        assert_eq!(of("7\n", None), None);
    }

    #[test]
    fn guests_stay_who_they_are_while_they_can_be_known() {
        let of = |known_by| guest(known_by, None);
        assert_eq!(of(KnownBy::Session("s")), of(KnownBy::Session("s")));
        assert_ne!(of(KnownBy::Session("s")).id, of(KnownBy::Session("t")).id);
        assert_ne!(of(KnownBy::Session("s")).id, of(KnownBy::Device("s")).id);
        let nothing = |fresh| of(KnownBy::Nothing(Uuid::from_u128(fresh)));
        assert_ne!(nothing(1).id, nothing(2).id);
        assert!(!of(KnownBy::Session("secret")).id.contains("secret"));
    }

    #[test]
    fn a_device_is_taken_when_it_is_hard_to_guess() {
        let of = |device: Value| super::device(&serde_json::json!({ "device": device })).is_some();
        assert!(of("0123456789abcdef".into()));
        assert!(!of("short".into()) && !of("x".repeat(129).into()) && !of(7.into()));
    }

    #[test]
    fn names_are_made_fit_to_show() {
        assert_eq!(clean_name("  Ann\u{0}\n ").as_deref(), Some("Ann"));
        assert_eq!(clean_name(" \n"), None);
        assert_eq!(clean_name(&"é".repeat(40)).unwrap().len(), 64);
        assert!(
            guest(KnownBy::Nothing(Uuid::from_u128(1)), Some("\n"))
                .name
                .starts_with("Guest-")
        );
    }
}
