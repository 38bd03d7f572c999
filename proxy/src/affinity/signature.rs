//! Signs what clients carry for the proxy, so that none of it can be made up, and verifies it when it comes back.
//!
//! Owns the keys, their rotation and the form of a signature. What is signed is the callers' business: `sid`, `cookie`.
//! Invariants: **a signature is of use where it was made for alone** (the purpose is signed with it); **verifying
//! allocates nothing and takes the same time for every wrong signature**.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::settings;

/// Half of the HMAC-SHA256, the shortest that RFC 2104 §5 advises.
const SIGNATURE_BYTES: usize = 16;
/// So many characters of base64url are a signature.
pub const SIGNATURE_CHARACTERS: usize = (SIGNATURE_BYTES * 8).div_ceil(6);

/// The keys of one purpose: the first signs, all verify.
#[derive(Clone)]
pub struct Keys(Vec<Hmac<Sha256>>);

/// Which key it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The one that signs now.
    Current,
    /// One that is being replaced.
    Old,
}

/// Characters that can stand in a cookie, in a URL and in JSON as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature([u8; SIGNATURE_CHARACTERS]);

impl Keys {
    /// Each part of `purpose` is text without a NUL, or one purpose could be read as another.
    #[must_use]
    pub fn new(keys: &[settings::Key], purpose: &[&str]) -> Self {
        let key = |key: &settings::Key| {
            // HMAC takes keys of any length (RFC 2104 §2).
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
            for part in purpose {
                mac.update(part.as_bytes());
                mac.update(&[0]);
            }
            Some(mac)
        };
        Self(keys.iter().filter_map(key).collect())
    }

    /// Nothing is signed, and nothing is verified.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `None`: there is no key.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Option<Signature> {
        let mac = fed(self.0.first()?, parts).finalize().into_bytes();
        let mut text = [0; SIGNATURE_CHARACTERS];
        let written = URL_SAFE_NO_PAD.encode_slice(mac.get(..SIGNATURE_BYTES)?, &mut text);
        written.ok().map(|_| Signature(text))
    }

    /// Which of the keys made this signature of these parts; `None`: none of them.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], signature: &[u8]) -> Option<Signer> {
        // Decoding is strict, so there is one spelling of each signature. The buffer has room for what the decoder
        // reckons with before it looks.
        let mut bytes = [0; SIGNATURE_BYTES + 2];
        let count = URL_SAFE_NO_PAD.decode_slice(signature, &mut bytes).ok()?;
        let bytes = bytes.get(..count)?;
        if bytes.len() != SIGNATURE_BYTES {
            return None;
        }
        let is_maker = |key: &Hmac<Sha256>| fed(key, parts).verify_truncated_left(bytes).is_ok();
        match self.0.iter().position(is_maker)? {
            0 => Some(Signer::Current),
            _ => Some(Signer::Old),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Keys({})", self.0.len())
    }
}

impl Signature {
    #[must_use]
    pub fn as_str(&self) -> &str {
        // base64url is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn fed(key: &Hmac<Sha256>, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW: &str = "0123456789abcdef0123456789abcdef";
    const OLD: &str = "fedcba9876543210fedcba9876543210";

    fn keys(keys: &[&str], purpose: &[&str]) -> Keys {
        let keys: Vec<_> = keys.iter().copied().map(settings::Key::new).collect();
        Keys::new(&keys, purpose)
    }

    fn signed(by: &[&str], text: &str) -> String {
        let signature = keys(by, &["test"]).sign(&[text.as_bytes()]).unwrap();
        signature.as_str().to_owned()
    }

    #[track_caller]
    fn check(by: &[&str], text: &str, signature: &str, signer: Option<Signer>) {
        let found = keys(by, &["test"]).verify(&[text.as_bytes()], signature.as_bytes());
        assert_eq!(found, signer, "{signature}");
    }

    #[test]
    fn the_signature_is_half_an_hmac() {
        // printf 'test\0a' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | head -c 16 | base64
        assert_eq!(signed(&[NEW], "a"), "Po_5ztIJ1kaglGGbchfDAA");
    }

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let signature = signed(&[OLD], "a");
        check(&[OLD], "a", &signature, Some(Signer::Current));
        check(&[OLD, NEW], "a", &signature, Some(Signer::Current));
        check(&[NEW, OLD], "a", &signature, Some(Signer::Old));
        check(&[NEW], "a", &signature, None);
        check(&[], "a", &signature, None);
        assert_ne!(signed(&[NEW, OLD], "a"), signature);
    }

    #[test]
    fn another_length_or_spelling_is_no_signature() {
        let signature = signed(&[NEW], "a");
        let longer = format!("{signature}A");
        let padded = format!("{signature}==");
        // The last character holds four bits that no byte needs.
        let last = signature.chars().last().unwrap();
        let next = char::from_u32(u32::from(last) + 1).unwrap();
        let other_spelling = format!("{}{next}", &signature[..signature.len() - 1]);
        for wrong in ["", &signature[1..], &longer, &padded, &other_spelling] {
            check(&[NEW], "a", wrong, None);
        }
        check(&[NEW], "b", &signature, None);
    }

    #[test]
    fn a_signature_is_of_no_use_elsewhere() {
        let purposes: [&[&str]; 5] = [
            &["cookie", "app", "id"],
            &["cookie", "ap", "pid"],
            &["cookie", "app", "i"],
            &["cookie", "other", "id"],
            &["sid"],
        ];
        for one in purposes {
            let signature = keys(&[NEW], one).sign(&[b"a"]).unwrap();
            for other in purposes {
                let found = keys(&[NEW], other).verify(&[b"a"], signature.as_str().as_bytes());
                assert_eq!(found.is_some(), one == other, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let shown = format!("{:?}", keys(&[NEW, OLD], &["test"]));
        assert_eq!(shown, "Keys(2)");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_changed_byte_is_no_signature(text in ".{0,40}", at in 0..SIGNATURE_CHARACTERS, byte in any::<u8>()) {
            let mut signature = signed(&[NEW], &text).into_bytes();
            prop_assume!(signature[at] != byte);
            signature[at] = byte;
            prop_assert_eq!(keys(&[NEW, OLD], &["test"]).verify(&[text.as_bytes()], &signature), None);
        }

        #[test]
        fn any_bytes_are_verified_without_a_fault(signature in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(keys(&[NEW, OLD], &["test"]).verify(&[b"a"], &signature), None);
        }
    }
}
