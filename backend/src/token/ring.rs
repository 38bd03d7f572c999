//! The cryptography of tokens, by ring, which the tree has for TLS: HS256, RS256 and EdDSA, and nothing else.
//!
//! jsonwebtoken asks for its cryptography through traits; its own choices would bring a second library.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use ring::{hmac, signature as asymmetric};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory,
    verifier_factory,
    // Asked for only when keys are written out as JWKs, which nobody does here.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this the process's choice. Every instance in a process makes the same.
pub(super) fn install() {
    if PROVIDER.install_default().is_err() {
        tracing::trace!("the cryptography of tokens is in place");
    }
}

fn refused(kind: ErrorKind) -> Error {
    Error::from(kind)
}

fn signer_factory(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if *algorithm != Algorithm::HS256 || key.family() != AlgorithmFamily::Hmac {
        return Err(refused(ErrorKind::UnsupportedAlgorithm));
    }
    Ok(Box::new(Hs256(hmac::Key::new(
        hmac::HMAC_SHA256,
        key.as_bytes(),
    ))))
}

/// A key only ever verifies the algorithm of its family: a public key is never taken for a shared secret.
fn verifier_factory(
    algorithm: &Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, Error> {
    Ok(match (*algorithm, key.family()) {
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.try_get_as_bytes()?);
            Box::new(Hs256(key))
        }
        (Algorithm::RS256, AlgorithmFamily::Rsa) => Box::new(Rs256(key.clone())),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => Box::new(Ed25519(key.clone())),
        _ => return Err(refused(ErrorKind::UnsupportedAlgorithm)),
    })
}

struct Hs256(hmac::Key);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, tag).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

struct Rs256(DecodingKey);

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], proof: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match self.0.kind() {
            DecodingKeyKind::SecretOrDer(der) => {
                asymmetric::UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der)
                    .verify(message, proof)
            }
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, proof)
            }
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

struct Ed25519(DecodingKey);

impl Verifier<Vec<u8>> for Ed25519 {
    fn verify(&self, message: &[u8], proof: &Vec<u8>) -> Result<(), signature::Error> {
        let key = self
            .0
            .try_get_as_bytes()
            .map_err(|_| signature::Error::new())?;
        asymmetric::UnparsedPublicKey::new(&ED25519, key)
            .verify(message, proof)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}
