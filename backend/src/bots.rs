//! Programs that come with a key: whom a key speaks for. Decides from facts; settings and headers are others' business.
//!
//! **The key itself is nowhere here**, only its SHA-256: whoever reads a server's settings cannot speak for its bots. A plain hash is enough,
//! unlike for passwords, because keys are long and random: there is nothing to guess from.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::chat::message::Sender;

/// Longest name, in bytes. It is shown as the sender of what the bot says.
const NAME_BYTES_MAX: usize = 64;

/// Shorter keys might be guessed from their hash.
pub const KEY_BYTES_MIN: usize = 32;

/// One key of one bot. There may be several of one name, so that a key can be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bot {
    pub name: BotName,
    pub key: KeyHash,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotName(String);

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl BotName {
    /// # Errors
    /// What would be a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_word) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "\"{text}\" is not a bot's name; use up to {NAME_BYTES_MAX} letters, digits, dots, dashes and underscores"
        ))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyHash {
    /// # Errors
    /// How one is made. What was there instead is not repeated: it may be the key, by mistake.
    pub fn parse(digits: &str) -> Result<Self, String> {
        let wrong = || {
            "is not the SHA-256 of a key; printf %s \"$KEY\" | sha256sum writes its 64 digits"
                .to_owned()
        };
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// All whom this server knows.
#[derive(Clone, Debug, Default)]
pub struct Bots(Vec<Bot>);

impl Bots {
    #[must_use]
    pub fn new(bots: Vec<Bot>) -> Self {
        Self(bots)
    }

    /// The bot with this key. Hashes are compared, each whole and all of them, so that the time it takes says nothing about any.
    #[must_use]
    pub fn known_by(&self, key: &[u8]) -> Option<Sender> {
        let given = Sha256::digest(key);
        let mut found = None;
        for bot in &self.0 {
            if bool::from(given.as_slice().ct_eq(bot.key.0.as_slice())) {
                found = Some(&bot.name);
            }
        }
        let name = found.filter(|_| key.len() >= KEY_BYTES_MIN)?;
        Some(Sender {
            id: format!("bot:{}", name.as_str()),
            name: name.as_str().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(key: &str) -> String {
        let hash = Sha256::digest(key);
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn bot(name: &str, key: &str) -> Bot {
        Bot {
            name: BotName::parse(name).unwrap(),
            key: KeyHash::parse(&hash_of(key)).unwrap(),
        }
    }

    const KEY: &str = "a key with more than thirty-two bytes";

    #[test]
    fn a_key_speaks_for_one_bot_and_a_bot_may_have_several() {
        let (new, other) = (KEY.to_uppercase(), KEY.replace('a', "b"));
        let bots = Bots::new(vec![
            bot("ci", &other),
            bot("deploy", KEY),
            bot("deploy", &new),
        ]);
        let id = |key: &str| bots.known_by(key.as_bytes()).map(|sender| sender.id);
        assert_eq!(id(KEY).as_deref(), Some("bot:deploy"));
        assert_eq!(id(&new).as_deref(), Some("bot:deploy"));
        assert_eq!(id(&other).as_deref(), Some("bot:ci"));
        for wrong in ["", &KEY[1..], &format!("{KEY} "), &hash_of(KEY)] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
        assert_eq!(Bots::default().known_by(KEY.as_bytes()), None);
    }

    #[test]
    fn a_short_key_is_worth_nothing() {
        let bots = |key: &str| Bots::new(vec![bot("deploy", key)]);
        let enough = &KEY[..KEY_BYTES_MIN];
        assert!(bots(enough).known_by(enough.as_bytes()).is_some());
        let short = &KEY[..KEY_BYTES_MIN - 1];
        assert!(bots(short).known_by(short.as_bytes()).is_none());
    }

    #[test]
    fn what_is_no_name_and_no_hash_is_refused_and_a_hash_never_shown() {
        for name in ["", "a b", "ann@example.com", &"x".repeat(65)] {
            assert!(BotName::parse(name).is_err(), "{name}");
        }
        let sixty_four = "hunter2!".repeat(8);
        for hash in ["", "hunter2", &sixty_four, &hash_of(KEY)[1..]] {
            let why = KeyHash::parse(hash).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        let shown = format!("{:?}", bot("deploy", KEY));
        assert!(shown.contains("***") && !shown.contains(&hash_of(KEY)[..8]));
    }
}
