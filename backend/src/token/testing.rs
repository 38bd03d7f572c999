//! Issuers for tests: they sign what they are told, as any issuer's library would.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

pub(crate) const RSA_PEM: &[u8] = include_bytes!("testing/rsa.pub.pem");
pub(crate) const ED25519_PEM: &[u8] = include_bytes!("testing/ed25519.pub.pem");

fn rsa() -> RsaKeyPair {
    RsaKeyPair::from_der(include_bytes!("testing/rsa.der")).unwrap()
}

fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(include_bytes!("testing/ed25519.pk8")).unwrap()
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with that header and those claims, signed by whatever `sign` is.
pub(crate) fn signed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!(
        "{}.{}",
        encoded(header.to_string()),
        encoded(claims.to_string())
    );
    let proof = encoded(sign(message.as_bytes()));
    format!("{message}.{proof}")
}

pub(crate) fn hs256(secret: &str, claims: &Value) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    signed(&json!({"alg": "HS256", "typ": "JWT"}), claims, |message| {
        ring::hmac::sign(&key, message).as_ref().to_vec()
    })
}

pub(crate) fn rs256(kid: Option<&str>, claims: &Value) -> String {
    let key = rsa();
    signed(&json!({"alg": "RS256", "kid": kid}), claims, |message| {
        let mut proof = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut proof)
            .unwrap();
        proof
    })
}

pub(crate) fn eddsa(kid: Option<&str>, claims: &Value) -> String {
    let key = ed25519();
    signed(&json!({"alg": "EdDSA", "kid": kid}), claims, |message| {
        key.sign(message).as_ref().to_vec()
    })
}

/// The public halves as a key set, the Ed25519 key under `kid`.
pub(crate) fn key_set(kid: &str) -> String {
    let rsa = ring::signature::RsaPublicKeyComponents::<Vec<u8>>::from(rsa().public());
    let keys = json!({"keys": [
        {"kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": encoded(rsa.n), "e": encoded(rsa.e)},
        {"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": encoded(ed25519().public_key())},
        {"kty": "oct", "kid": "shared", "k": encoded("a shared secret has no business in a public set")},
        {"kty": "EC", "kid": "unused", "crv": "P-256", "x": encoded([1; 32]), "y": encoded([2; 32])},
    ]});
    keys.to_string()
}
