//! The sticky cookie: finds the server's mark in a request and writes it into a response.
//!
//! Owns the cookie's name, value and attributes (nginx's `sticky cookie`, wire order included). Never reads or
//! writes any other cookie. The value is the mark, as nginx has it; with keys it is `MARK.SIGNATURE`, which only this
//! upstream's proxies can make. Invariant: **a mark is only ever compared with those of servers that exist, and with
//! keys only after its signature was verified**, so a forged, stale or ambiguous one is the same as none.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use md5::{Digest as _, Md5};

use super::signature::{Keys, Signer};
use crate::settings;

/// What a request carries of the cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// No cookie of our name.
    Absent,
    /// More than one: nobody knows which is ours.
    Ambiguous,
    /// None of the keys signed it.
    Forged,
    Mark {
        mark: Box<[u8]>,
        signer: Signer,
    },
}

impl Reading {
    /// What names a server; an empty one is nobody's. `None`: nothing that could.
    #[must_use]
    pub fn mark(&self) -> Option<&[u8]> {
        match self {
            Self::Absent => None,
            Self::Ambiguous | Self::Forged => Some(b""),
            Self::Mark { mark, .. } => Some(mark),
        }
    }

    /// The client holds what it would be given for the server of this mark.
    #[must_use]
    pub fn is_good_for(&self, server: &str) -> bool {
        matches!(self, Self::Mark { mark, signer: Signer::Current } if **mark == *server.as_bytes())
    }
}

/// The values of our cookie, of which there should be one. `cookies` are the values of all `Cookie` headers.
fn values<'a>(
    cookies: impl Iterator<Item = &'a [u8]>,
    name: &str,
) -> impl Iterator<Item = &'a [u8]> {
    cookies
        .flat_map(|header| header.split(|byte| *byte == b';'))
        .filter_map(|pair| {
            pair.trim_ascii_start()
                .strip_prefix(name.as_bytes())?
                .strip_prefix(b"=")
        })
        .map(<[u8]>::trim_ascii_end)
}

/// The mark of a server that was given no `route`: the hex MD5 of its address text, as nginx.
#[must_use]
pub fn mark_of(address: &str) -> String {
    let mut text = String::with_capacity(32);
    for byte in Md5::digest(address) {
        // Writing to a String cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

/// A cookie ready to be read and set.
#[derive(Clone, Debug)]
pub struct StickyCookie {
    name: String,
    keys: Keys,
    expires: Option<Duration>,
    /// Everything after `max-age`.
    attributes: String,
}

impl StickyCookie {
    /// For the upstream of this name.
    #[must_use]
    pub fn new(cookie: &settings::Cookie, upstream: &str) -> Self {
        let mut attributes = String::new();
        let mut add = |name: &str, value: Option<&str>| {
            attributes.push_str("; ");
            attributes.push_str(name);
            if let Some(value) = value {
                attributes.push('=');
                attributes.push_str(value);
            }
        };
        if let Some(domain) = &cookie.domain {
            add("domain", Some(domain));
        }
        if cookie.httponly {
            add("httponly", None);
        }
        if cookie.secure {
            add("secure", None);
        }
        if let Some(samesite) = cookie.samesite {
            add("samesite", Some(samesite_text(samesite)));
        }
        if let Some(path) = &cookie.path {
            add("path", Some(path));
        }
        if cookie.partitioned {
            add("partitioned", None);
        }
        Self {
            name: cookie.name.clone(),
            keys: Keys::new(&cookie.keys, &["cookie", upstream, &cookie.name]),
            expires: cookie.expires,
            attributes,
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads the cookie from the values of all `Cookie` headers.
    #[must_use]
    pub fn read<'a>(&self, cookies: impl Iterator<Item = &'a [u8]>) -> Reading {
        let mut values = values(cookies, &self.name);
        let Some(value) = values.next() else {
            return Reading::Absent;
        };
        if values.next().is_some() {
            return Reading::Ambiguous;
        }
        match self.verify(value) {
            Some((mark, signer)) => Reading::Mark {
                mark: mark.into(),
                signer,
            },
            None => Reading::Forged,
        }
    }

    /// The mark in a value and who signed it. Without keys every value is taken as it is.
    fn verify<'a>(&self, value: &'a [u8]) -> Option<(&'a [u8], Signer)> {
        if self.keys.is_empty() {
            return Some((value, Signer::Current));
        }
        // A mark may have dots of its own, a signature has none.
        let dot = value.iter().rposition(|byte| *byte == b'.')?;
        let (mark, signature) = (value.get(..dot)?, value.get(dot + 1..)?);
        let signer = self.keys.verify(&[mark], signature)?;
        Some((mark, signer))
    }

    /// The value of a `Set-Cookie` that binds the client to `mark`'s server.
    #[must_use]
    pub fn set(&self, mark: &str, now: SystemTime) -> String {
        let mut value = format!("{}={mark}", self.name);
        if let Some(signature) = self.keys.sign(&[mark.as_bytes()]) {
            value.push('.');
            value.push_str(signature.as_str());
        }
        if let Some(expires) = self.expires {
            let until = httpdate::fmt_http_date(now + expires);
            // Writing to a String cannot fail.
            let _written = write!(value, "; expires={until}; max-age={}", expires.as_secs());
        }
        value.push_str(&self.attributes);
        value
    }
}

fn samesite_text(samesite: settings::SameSite) -> &'static str {
    match samesite {
        settings::SameSite::Strict => "strict",
        settings::SameSite::Lax => "lax",
        settings::SameSite::None => "none",
    }
}

#[cfg(test)]
mod tests;
