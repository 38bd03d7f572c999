//! Tokens (JWT): who a client is, said by somebody we trust, without asking any store.
//!
//! Owns which tokens are believed. Our own are signed with a key made from the session secret, so that every instance with the same
//! secret believes them; those of others by the keys that the settings name. How a token reaches us is the caller's.

mod claims;
mod jwks;
mod keys;
mod ring;
#[cfg(test)]
pub(crate) mod testing;

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};

pub use claims::{Bearer, Claims, SessionDigest};
pub use jwks::Jwks;
pub use keys::{Key, KeyProblem, keys_of_jwks, keys_of_pem, keys_of_secret};

use keys::OwnKeys;

/// Longest token looked at, in bytes: what headers may carry, and far above what issuers make.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Keys tried for one token. More fit only when an issuer names none of its keys.
const KEYS_TRIED_MAX: usize = 16;

/// What tokens of others must fulfil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub algorithms: Vec<Algorithm>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    /// How far the issuer's clock may be from ours.
    pub leeway: Duration,
}

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// The reason is for our log, not for whoever brought it.
    #[error("{0}")]
    Refused(String),
    /// The issuer's keys cannot be had: nothing is said about the token itself.
    #[error("the issuer's keys cannot be had: {0}")]
    KeysUnavailable(String),
}

impl From<jsonwebtoken::errors::Error> for BadToken {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Judges tokens, and makes our own.
pub struct Tokens {
    own: OwnKeys,
    keys: Vec<Key>,
    jwks: Option<Jwks>,
    rules: Rules,
}

impl Tokens {
    /// `secrets` are those of the session cookie: the first signs, all verify.
    ///
    /// # Errors
    /// [`KeyProblem`] when there is no secret.
    pub fn new<S: AsRef<str>>(
        secrets: impl IntoIterator<Item = S>,
        keys: Vec<Key>,
        jwks: Option<Jwks>,
        rules: Rules,
    ) -> Result<Self, KeyProblem> {
        ring::install();
        Ok(Self {
            own: OwnKeys::new(secrets)?,
            keys,
            jwks,
            rules,
        })
    }

    /// A token for sockets that every instance with our secret believes.
    ///
    /// # Errors
    /// [`BadToken::Refused`] when it cannot be written.
    pub fn issue(&self, claims: &Claims) -> Result<String, BadToken> {
        let header = Header {
            kid: Some(keys::OWN_KID.to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        Ok(encode(&header, claims, &self.own.signer)?)
    }

    /// Who the token speaks for, at `now_ms` since the Unix epoch.
    ///
    /// # Errors
    /// [`BadToken`].
    pub async fn verify(&self, token: &str, now_ms: i64) -> Result<Bearer, BadToken> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(BadToken::Refused(format!(
                "it is longer than {TOKEN_BYTES_MAX} bytes"
            )));
        }
        // `none` is no algorithm here, and a token without a signature does not get past this.
        let header = decode_header(token)?;
        if header.kid.as_deref() == Some(keys::OWN_KID) {
            let claims = first_that_fits(token, &self.own.verifiers, &own_validation())?;
            return claims.judge(Duration::ZERO, true, now_ms);
        }
        if !self.rules.algorithms.contains(&header.alg) {
            return Err(BadToken::Refused(format!(
                "{:?} is not among the accepted algorithms",
                header.alg
            )));
        }
        let fetched = match &self.jwks {
            Some(jwks) => jwks.keys_for(header.kid.as_deref()).await?,
            None => std::sync::Arc::default(),
        };
        let fitting: Vec<Key> = self
            .keys
            .iter()
            .chain(fetched.iter())
            .filter(|key| key.fits(header.alg, header.kid.as_deref()))
            .take(KEYS_TRIED_MAX)
            .cloned()
            .collect();
        let claims = first_that_fits(token, &fitting, &self.rules.validation(header.alg))?;
        claims.judge(self.rules.leeway, false, now_ms)
    }
}

impl Rules {
    /// Times are judged by [`Claims::judge`], which is given the time.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        let mut required = vec!["exp", "sub"];
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match &self.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            // Without an audience of our own, a token for anybody is one for us.
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

fn own_validation() -> Validation {
    let rules = Rules {
        algorithms: vec![Algorithm::HS256],
        issuer: Some(keys::OWN_ISSUER.to_owned()),
        audience: Some(keys::OWN_AUDIENCE.to_owned()),
        leeway: Duration::ZERO,
    };
    rules.validation(Algorithm::HS256)
}

fn first_that_fits(token: &str, keys: &[Key], validation: &Validation) -> Result<Claims, BadToken> {
    let mut why = BadToken::Refused("no key fits it".to_owned());
    for key in keys {
        match decode::<Claims>(token, &key.decoding, validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) => why = error.into(),
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests;
