//! The keys that tokens are believed by: made from texts once, when the settings are read or a key set is fetched.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use sha2::Sha256;

/// What our own tokens say about themselves.
pub(super) const OWN_KID: &str = "berth";
pub(super) const OWN_ISSUER: &str = "berth";
pub(super) const OWN_AUDIENCE: &str = "berth-socket";

/// Separates this use of the session secret from the cookie's.
const DERIVATION: &[u8] = b"berth socket token 1";

/// Keys taken from one set. Issuers have a handful.
const SET_KEYS_MAX: usize = 64;

/// Shortest secret for HS256, in bytes: a shorter one can be guessed from any token (RFC 7518 §3.2 asks for 32).
const SECRET_BYTES_MIN: usize = 32;

/// A key that verifies signatures of one algorithm.
#[derive(Clone)]
pub struct Key {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyProblem(pub String);

impl Key {
    /// Whether a token with that header may be signed by it. A token or a key that names no `kid` leaves it open.
    pub(super) fn fits(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        let is_named = match (kid, &self.kid) {
            (Some(wanted), Some(own)) => wanted == own,
            _ => true,
        };
        self.algorithm == algorithm && is_named
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// The keys of our own tokens, one for each session secret.
pub(super) struct OwnKeys {
    pub(super) signer: EncodingKey,
    pub(super) verifiers: Vec<Key>,
}

impl OwnKeys {
    pub(super) fn new<S: AsRef<str>>(
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, KeyProblem> {
        let problem = |why: &str| KeyProblem(why.to_owned());
        let mut signer = None;
        let mut verifiers = Vec::new();
        for secret in secrets {
            let derived = derive(secret.as_ref()).ok_or_else(|| problem("a secret is empty"))?;
            let encoding = EncodingKey::from_secret(&derived);
            let decoding = DecodingKey::from_secret(&derived);
            let (Ok(encoding), Ok(decoding)) = (encoding, decoding) else {
                return Err(problem("a secret cannot be used"));
            };
            signer.get_or_insert(encoding);
            verifiers.push(Key {
                kid: Some(OWN_KID.to_owned()),
                algorithm: Algorithm::HS256,
                decoding,
            });
        }
        let signer = signer.ok_or_else(|| problem("there is no session secret"))?;
        Ok(Self { signer, verifiers })
    }
}

fn derive(secret: &str) -> Option<Vec<u8>> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    let derived = mac.chain_update(DERIVATION).finalize().into_bytes();
    (!secret.is_empty()).then(|| derived.to_vec())
}

/// The key of a secret shared with an issuer.
///
/// # Errors
/// [`KeyProblem`] when it is too short.
pub fn keys_of_secret(secret: &str) -> Result<Key, KeyProblem> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(KeyProblem(format!(
            "a secret for HS256 has fewer than {SECRET_BYTES_MIN} bytes; make one with `openssl rand -base64 48`"
        )));
    }
    let decoding = DecodingKey::from_secret(secret.as_bytes())
        .map_err(|error| KeyProblem(error.to_string()))?;
    Ok(Key {
        kid: None,
        algorithm: Algorithm::HS256,
        decoding,
    })
}

/// The public key of a PEM text: RSA for RS256, Ed25519 for EdDSA.
///
/// # Errors
/// [`KeyProblem`] when it is neither.
pub fn keys_of_pem(pem: &[u8]) -> Result<Key, KeyProblem> {
    let (algorithm, decoding) = if let Ok(decoding) = DecodingKey::from_rsa_pem(pem) {
        (Algorithm::RS256, decoding)
    } else if let Ok(decoding) = DecodingKey::from_ed_pem(pem) {
        (Algorithm::EdDSA, decoding)
    } else {
        return Err(KeyProblem(
            "is not the PEM of an RSA or Ed25519 public key".to_owned(),
        ));
    };
    Ok(Key {
        kid: None,
        algorithm,
        decoding,
    })
}

/// The keys of a JSON Web Key Set that we can use; others are left out, as RFC 7517 §5 asks. A set never brings shared secrets: it is
/// public.
///
/// # Errors
/// [`KeyProblem`] when it is no key set, or has no key that we can use.
pub fn keys_of_jwks(text: &[u8]) -> Result<Vec<Key>, KeyProblem> {
    let set: JwkSet =
        serde_json::from_slice(text).map_err(|error| KeyProblem(format!("no key set: {error}")))?;
    let keys: Vec<Key> = set
        .keys
        .iter()
        .filter_map(usable)
        .take(SET_KEYS_MAX)
        .collect();
    if keys.is_empty() {
        return Err(KeyProblem(
            "the key set has no RSA or Ed25519 key for signatures".to_owned(),
        ));
    }
    Ok(keys)
}

fn usable(jwk: &Jwk) -> Option<Key> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    Some(Key {
        kid: jwk.common.key_id.clone(),
        algorithm,
        decoding: DecodingKey::from_jwk(jwk).ok()?,
    })
}
