//! The signature by which a receiver knows that a request is ours: Standard Webhooks 1.0.0 (standardwebhooks.com), HMAC-SHA256 over
//! `id.timestamp.body`, so that receivers have libraries for it. Pure: secrets are made of bytes that the caller draws.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Begins a secret as people see it.
const PREFIX: &str = "whsec_";

/// The specification's bounds of a secret, in bytes.
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;

/// What a webhook's requests are signed with. Debug does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// From `whsec_` and base64, or base64 alone.
    ///
    /// # Errors
    /// What would be right; the text is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = BASE64_STANDARD.decode(encoded);
        match bytes {
            Ok(bytes) if (BYTES_MIN..=BYTES_MAX).contains(&bytes.len()) => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(format!(
                "is no secret; write \"whsec_\" and {BYTES_MIN} to {BYTES_MAX} random bytes in base64 (openssl rand -base64 32)"
            )),
        }
    }

    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(random.to_vec())
    }

    /// The secret itself, for the receiver and for keeping.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64_STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The value of `webhook-signature`: one signature for each secret.
#[must_use]
pub fn sign(secrets: &[SigningSecret], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let signature = |secret: &SigningSecret| {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).ok()?;
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        let digest = mac.finalize().into_bytes();
        Some(format!("v1,{}", BASE64_STANDARD.encode(digest)))
    };
    let signatures: Vec<String> = secrets.iter().filter_map(signature).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(text).unwrap()
    }

    /// The vector that the specification's own libraries test with.
    #[test]
    fn it_is_the_signature_of_the_specification() {
        let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            sign(&[secret], id, 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let (old, new) = (SigningSecret::new([1; 32]), SigningSecret::new([2; 32]));
        let both = sign(&[new.clone(), old.clone()], "msg_1", 1, b"{}");
        let each = [new, old].map(|secret| sign(&[secret], "msg_1", 1, b"{}"));
        assert_eq!(both, each.join(" "));
    }

    #[test]
    fn a_secret_is_long_random_and_never_shown() {
        let made = SigningSecret::new([7; 32]);
        assert_eq!(secret(&made.reveal()), made);
        assert_eq!(format!("{made:?}"), "***");
        for text in [
            "",
            "whsec_",
            "hunter2",
            "whsec_hunter2",
            &BASE64_STANDARD.encode([1; 23]),
            &BASE64_STANDARD.encode([1; 65]),
        ] {
            let refusal = SigningSecret::parse(text).unwrap_err();
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_secret_or_none_and_a_secret_stays_one(text in any::<String>(), bytes in any::<[u8; 32]>()) {
            drop(SigningSecret::parse(&text));
            let secret = SigningSecret::new(bytes);
            prop_assert_eq!(SigningSecret::parse(&secret.reveal()), Ok(secret));
        }
    }
}
