//! The session cookie, as express-session reads and writes it.
//!
//! Owns signing (cookie-signature: HMAC-SHA256 over the sid), parsing and writing (the `cookie` package). It does not know records.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::COOKIE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use rand::RngCore;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::date;

#[cfg(test)]
mod tests;

/// express-session's default name.
pub const NAME: &str = "connect.sid";

/// What `encodeURIComponent` leaves alone besides letters and digits.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The secrets that sign cookies: the first signs, all verify. `Debug` does not show them.
#[derive(Clone)]
pub struct Secrets {
    signer: Hmac<Sha256>,
    retired: Vec<Hmac<Sha256>>,
}

/// Why a list of secrets cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecrets {
    #[error("no session secret is given")]
    None,
    #[error("a session secret is empty")]
    Empty,
}

impl Secrets {
    /// # Errors
    /// [`BadSecrets`] when there is none, or one is empty.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, BadSecrets> {
        let mut keys = Vec::new();
        for secret in secrets {
            let secret = secret.as_ref();
            if secret.is_empty() {
                return Err(BadSecrets::Empty);
            }
            keys.push(Hmac::new_from_slice(secret.as_bytes()).map_err(|_| BadSecrets::Empty)?);
        }
        let mut keys = keys.into_iter();
        let signer = keys.next().ok_or(BadSecrets::None)?;
        Ok(Self {
            signer,
            retired: keys.collect(),
        })
    }

    /// The comma list of `SESSION_SECRET`; spaces around the commas do not count.
    ///
    /// # Errors
    /// [`BadSecrets`] when the list is empty, or has an empty place.
    pub fn parse(list: &str) -> Result<Self, BadSecrets> {
        if list.trim().is_empty() {
            return Err(BadSecrets::None);
        }
        Self::new(list.split(',').map(str::trim))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(***)")
    }
}

/// How the cookie is sent, and what a new record's `cookie` object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSettings {
    pub name: String,
    pub path: String,
    pub domain: Option<String>,
    /// Milliseconds from the last request to the end; none = until the browser closes (the record then lives for the keeper's default).
    pub max_age_ms: Option<i64>,
    pub http_only: bool,
    pub secure: bool,
    pub same_site: Option<SameSite>,
}

impl Default for CookieSettings {
    /// express-session's defaults, and `SameSite=Lax`, which browsers assume anyway.
    fn default() -> Self {
        Self {
            name: NAME.to_owned(),
            path: "/".to_owned(),
            domain: None,
            max_age_ms: None,
            http_only: true,
            secure: false,
            same_site: Some(SameSite::Lax),
        }
    }
}

/// The cookie attribute of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Lax,
    Strict,
    None,
}

impl SameSite {
    /// As the record spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "lax",
            Self::Strict => "strict",
            Self::None => "none",
        }
    }

    fn attribute(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// A new session id: 24 random bytes, 32 characters, as uid-safe makes them.
#[must_use]
pub fn new_sid() -> String {
    let mut bytes = [0_u8; 24];
    rand::rng().fill_bytes(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// `sid.signature`, as cookie-signature's `sign` answers.
#[must_use]
pub fn sign(sid: &str, secrets: &Secrets) -> String {
    sign_with(sid, &secrets.signer)
}

/// The sid of `sid.signature`, when one of the secrets made the signature.
#[must_use]
pub fn unsign<'a>(signed: &'a str, secrets: &Secrets) -> Option<&'a str> {
    let (sid, _) = signed.rsplit_once('.')?;
    let made_by = |key| bool::from(sign_with(sid, key).as_bytes().ct_eq(signed.as_bytes()));
    let mut keys = std::iter::once(&secrets.signer).chain(&secrets.retired);
    (!sid.is_empty() && keys.any(made_by)).then_some(sid)
}

fn sign_with(sid: &str, key: &Hmac<Sha256>) -> String {
    let signature = key
        .clone()
        .chain_update(sid.as_bytes())
        .finalize()
        .into_bytes();
    format!("{sid}.{}", STANDARD_NO_PAD.encode(signature))
}

/// The sid a request brings: of the first cookie with that name, when its signature is right. A later cookie never counts.
#[must_use]
pub fn read_cookie(headers: &HeaderMap, name: &str, secrets: &Secrets) -> Option<String> {
    let value = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .find_map(|pair| value_of(pair, name))?;
    let text = decode(value);
    unsign(text.strip_prefix("s:")?, secrets).map(str::to_owned)
}

/// The `Set-Cookie` value that gives a browser its sid. `now_ms` is needed for `Expires`.
#[must_use]
pub fn write_cookie(
    settings: &CookieSettings,
    sid: &str,
    secrets: &Secrets,
    now_ms: i64,
) -> String {
    let signed = format!("s:{}", sign(sid, secrets));
    let value = utf8_percent_encode(&signed, ENCODED);
    let expires = settings.max_age_ms.map(|age| now_ms.saturating_add(age));
    set_cookie(settings, &value.to_string(), expires)
}

/// The `Set-Cookie` value that makes a browser forget its sid.
#[must_use]
pub fn clear_cookie(settings: &CookieSettings) -> String {
    set_cookie(settings, "", Some(0))
}

/// The attributes in the order of the `cookie` package.
fn set_cookie(settings: &CookieSettings, value: &str, expires_ms: Option<i64>) -> String {
    let mut line = format!("{}={value}", settings.name);
    let mut add = |attribute: &str, text: &str| {
        line.push_str("; ");
        line.push_str(attribute);
        line.push_str(text);
    };
    if let Some(domain) = &settings.domain {
        add("Domain=", domain);
    }
    add("Path=", &settings.path);
    if let Some(expires_ms) = expires_ms {
        add("Expires=", &date::to_http(expires_ms));
    }
    if settings.http_only {
        add("HttpOnly", "");
    }
    if settings.secure {
        add("Secure", "");
    }
    if let Some(same_site) = settings.same_site {
        add("SameSite=", same_site.attribute());
    }
    line
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (
        pair.get(..at)?.trim_ascii(),
        pair.get(at + 1..)?.trim_ascii(),
    );
    let bare = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    (key == name.as_bytes()).then_some(bare.unwrap_or(value))
}

/// `decodeURIComponent`, which is all or nothing: a value it refuses is taken as it stands.
fn decode(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let broken_escape = text.split('%').skip(1).any(|rest| {
        let digits = rest.as_bytes().get(..2);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if broken_escape {
        return text.into_owned();
    }
    match percent_decode(value).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => text.into_owned(),
    }
}
