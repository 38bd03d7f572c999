//! What a token says, and whether that is enough. Decides from facts; the time is one of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BadToken;
use super::keys::{OWN_AUDIENCE, OWN_ISSUER};
use crate::chat::message::Sender;
use crate::session::SessionUser;
use crate::socket::identity;

/// The part of a token that we read. Unknown claims are ignored.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Claims {
    sub: String,
    /// Seconds since the Unix epoch; issuers write fractions, too.
    exp: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guest: Option<bool>,
    /// The session that one of our own tokens was made from: it ends with that session.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        rename = "berthSession"
    )]
    session: Option<SessionDigest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// A text or a list of texts; jsonwebtoken has judged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<serde_json::Value>,
}

/// Names a session to other instances and in tokens without giving it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionDigest([u8; 16]);

impl SessionDigest {
    #[must_use]
    pub fn of(sid: &str) -> Self {
        let hash = Sha256::digest(format!("session:{sid}"));
        let mut digest = [0; 16];
        for (into, from) in digest.iter_mut().zip(hash) {
            *into = from;
        }
        Self(digest)
    }

    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut digest = [0; 16];
        for (index, into) in digest.iter_mut().enumerate() {
            *into = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(digest))
    }
}

impl Serialize for SessionDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for SessionDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not a session digest"))
    }
}

/// Somebody who brought a good token.
#[derive(Clone, Debug, PartialEq)]
pub struct Bearer {
    pub sender: Sender,
    pub is_guest: bool,
    /// When the token ends, milliseconds since the Unix epoch.
    pub ends_ms: i64,
    pub session: Option<SessionDigest>,
}

impl Claims {
    /// What one of our own tokens says.
    #[must_use]
    pub fn own(sender: &Sender, is_guest: bool, session: SessionDigest, ends_ms: i64) -> Self {
        Self {
            sub: sender.id.clone(),
            exp: seconds(ends_ms),
            nbf: None,
            name: Some(sender.name.clone()),
            preferred_username: None,
            guest: is_guest.then_some(true),
            session: Some(session),
            iss: Some(OWN_ISSUER.to_owned()),
            aud: Some(OWN_AUDIENCE.into()),
        }
    }

    /// Who it is, when the token is in force. Only our own tokens may speak of sessions of ours and of guests.
    ///
    /// # Errors
    /// [`BadToken::Refused`] when its time has passed or not come, or its user's id cannot be kept.
    pub(super) fn judge(
        self,
        leeway: Duration,
        is_own: bool,
        now_ms: i64,
    ) -> Result<Bearer, BadToken> {
        let leeway_ms = i64::try_from(leeway.as_millis()).unwrap_or(i64::MAX);
        let ends_ms = milliseconds(self.exp);
        if ends_ms.saturating_add(leeway_ms) <= now_ms {
            return Err(BadToken::Refused("it has expired".to_owned()));
        }
        let begins_ms = self.nbf.map_or(i64::MIN, milliseconds);
        if begins_ms > now_ms.saturating_add(leeway_ms) {
            return Err(BadToken::Refused("it is not valid yet".to_owned()));
        }
        let user = SessionUser {
            id: self.sub,
            name: self.name.or(self.preferred_username),
            guest: is_own && self.guest == Some(true),
        };
        let sender = identity::user(&user).ok_or_else(|| {
            BadToken::Refused("its sub is empty, too long or has control characters".to_owned())
        })?;
        Ok(Bearer {
            sender,
            is_guest: user.guest,
            ends_ms,
            session: self.session.filter(|_| is_own),
        })
    }
}

fn seconds(ms: i64) -> f64 {
    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds of our time have less than 53 bits"
    )]
    let ms = ms as f64;
    ms / 1000.0
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a float beyond the range saturates, which is wanted"
)]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
