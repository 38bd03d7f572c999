//! A certificate and its key: read from PEM, judged before anybody connects, and found by the name a client asks for.
//!
//! Owns what a usable pair is and which pair a client gets. Reads no file and speaks to nobody: see `tls`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;

/// Whoever renews automatically does it about 30 days before the end; who has two weeks left, does not.
const RENEWAL_DAYS: u64 = 14;
const DAY: Duration = Duration::from_secs(86_400);

/// Why the two files are no pair. Completes a sentence that begins with the file's path; never quotes from a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error(
        "holds no certificate; write the path of a PEM file with -----BEGIN CERTIFICATE----- in it"
    )]
    NoCertificate,
    #[error(
        "cannot be read as a certificate: {0}; write the path of a PEM file, the server's own certificate first"
    )]
    BadCertificate(String),
    #[error(
        "holds no private key; write the path of a PEM file with -----BEGIN PRIVATE KEY----- in it"
    )]
    NoKey,
    #[error(
        "is encrypted, and nobody is there to type a passphrase; write the path of what `openssl pkey -in FILE` prints"
    )]
    EncryptedKey,
    #[error(
        "holds a private key that cannot be used; write the path of an RSA, ECDSA (P-256, P-384) or Ed25519 key"
    )]
    BadKey,
    #[error(
        "is the key of another certificate; write the path of the key that belongs to the first one in certificate"
    )]
    OtherKey,
    #[error(
        "begins with a certificate that the key does not belong to; put the server's own first, then the intermediate ones"
    )]
    WrongOrder,
}

impl Unusable {
    /// Whether it is said of the key's file.
    #[must_use]
    pub fn is_about_key(&self) -> bool {
        matches!(
            self,
            Self::NoKey | Self::EncryptedKey | Self::BadKey | Self::OtherKey
        )
    }
}

/// A certificate, those that lead from it to a root, and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// In lower case; `*.example.com` stands for one more label.
    names: Vec<String>,
    /// What logs and metrics call it.
    label: String,
    not_before: SystemTime,
    not_after: SystemTime,
    pair: Arc<CertifiedKey>,
}

impl PartialEq for Certificate {
    /// The key need not be looked at: it belongs to the certificate.
    fn eq(&self, other: &Self) -> bool {
        (&self.names, &self.label, &self.pair.cert)
            == (&other.names, &other.label, &other.pair.cert)
    }
}

impl Certificate {
    /// Judges the contents of two PEM files. `names`: who asks for these gets it; else what it says itself.
    ///
    /// # Errors
    /// The first thing that makes the pair unusable.
    pub fn from_pem(
        certificate: &[u8],
        key: &[u8],
        names: Option<Vec<String>>,
        provider: &CryptoProvider,
    ) -> Result<Self, Unusable> {
        let chain = chain(certificate)?;
        let own = chain.first().ok_or(Unusable::NoCertificate)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(own)
            .map_err(|error| Unusable::BadCertificate(error.to_string()))?;
        let said = names_of(&parsed);
        let subject = match parsed.subject().to_string() {
            subject if subject.is_empty() => "nobody".to_owned(),
            subject => subject,
        };
        let validity = parsed.validity();
        let (not_before, not_after) = (
            time(validity.not_before.timestamp()),
            time(validity.not_after.timestamp()),
        );
        let key = private_key(key)?;
        let signing = provider.key_provider.load_private_key(key);
        let pair = CertifiedKey::new(chain, signing.map_err(|_| Unusable::BadKey)?);
        match pair.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(other_key(pair)),
            Err(error) => return Err(Unusable::BadCertificate(error.to_string())),
        }
        let names = names.unwrap_or(said);
        Ok(Self {
            label: names.first().cloned().unwrap_or(subject),
            names,
            not_before,
            not_after,
            pair: Arc::new(pair),
        })
    }

    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn not_after_seconds(&self) -> i64 {
        match self.not_after.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
        }
    }

    #[must_use]
    pub fn pair(&self) -> &Arc<CertifiedKey> {
        &self.pair
    }

    /// What its owner should know about its dates. Browsers refuse it on both ends, but a proxy that did would take
    /// the clients down that still accept it.
    #[must_use]
    pub fn concern(&self, now: SystemTime) -> Option<String> {
        let days = |duration: Duration| match duration.as_secs() / DAY.as_secs() {
            0 => "less than a day".to_owned(),
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        if let Ok(early) = self.not_before.duration_since(now)
            && !early.is_zero()
        {
            return Some(format!("is not valid yet, for {}", days(early)));
        }
        match self.not_after.duration_since(now) {
            Err(late) => Some(format!("expired {} ago", days(late.duration()))),
            Ok(left) if left.as_secs() < RENEWAL_DAYS * DAY.as_secs() => {
                Some(format!("expires in {}", days(left)))
            }
            Ok(_) => None,
        }
    }

    fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    fn covers(&self, name: &str) -> bool {
        let Some((_, parent)) = name.split_once('.') else {
            return false;
        };
        self.names
            .iter()
            .filter_map(|known| known.strip_prefix("*."))
            .any(|known| known == parent)
    }
}

/// The pair for a client: by its exact name, then by a wildcard, then the first one, and only such as the client can
/// verify. Two pairs for one name, RSA and ECDSA, serve old and new clients.
pub fn choose<'c>(
    certificates: &'c [Certificate],
    name: Option<&str>,
    can_verify: impl Fn(&Certificate) -> bool,
) -> Option<&'c Certificate> {
    let name = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    let find = |is_meant: &dyn Fn(&Certificate) -> bool| {
        certificates
            .iter()
            .find(|certificate| is_meant(certificate) && can_verify(certificate))
    };
    let named = name.as_deref().and_then(|name| {
        find(&|certificate| certificate.is_named(name))
            .or_else(|| find(&|certificate| certificate.covers(name)))
    });
    named.or_else(|| find(&|_| true))
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Unusable::BadCertificate(error.to_string()))
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Unusable> {
    let has = |words: &[u8]| pem.windows(words.len()).any(|window| window == words);
    // "BEGIN ENCRYPTED PRIVATE KEY" today, "Proc-Type: 4,ENCRYPTED" in older files.
    if has(b"ENCRYPTED") {
        return Err(Unusable::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => Unusable::NoKey,
        _ => Unusable::BadKey,
    })
}

/// Whose key it is instead: a further certificate of the same file is the usual mistake.
fn other_key(pair: CertifiedKey) -> Unusable {
    let CertifiedKey { cert, key, .. } = pair;
    let is_own = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key))
            .keys_match()
            .is_ok()
    };
    if cert.iter().skip(1).any(is_own) {
        Unusable::WrongOrder
    } else {
        Unusable::OtherKey
    }
}

/// The host names that a certificate says it is for.
fn names_of(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternatives.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

/// Dates outside of what this system counts are as good as its ends.
fn time(seconds: i64) -> SystemTime {
    let duration = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(duration)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(duration)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
pub(crate) mod tests;
