//! TLS that accepts every certificate and remembers what is wrong with it: an examination goes on where a client would stop.
//!
//! Nothing secret is ever sent over such a connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::doctor::seen::Certificate;

/// Public certificates are usually renewed a month before their end.
const SOON: Duration = Duration::from_hours(14 * 24);

/// What the handshakes have shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted(Arc<Mutex<Option<Certificate>>>);

impl Noted {
    pub(super) fn get(&self) -> Option<Certificate> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, certificate: Certificate) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }
}

/// # Errors
/// When TLS cannot be set up at all.
pub(super) fn client(is_insecure: bool, noted: Noted) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let judge = if is_insecure {
        Judge::Nobody("--insecure".to_owned())
    } else {
        judge(&provider)
    };
    let witness = Witness {
        provider: Arc::clone(&provider),
        judge,
        noted,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(witness))
        .with_no_client_auth();
    // WebSockets are asked for over HTTP/1.1, so everything is.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Who says whether a certificate is good.
#[derive(Debug)]
enum Judge {
    Roots(Arc<WebPkiServerVerifier>),
    Nobody(String),
}

fn judge(provider: &Arc<CryptoProvider>) -> Judge {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (good, _broken) = roots.add_parsable_certificates(found.certs);
    if good == 0 {
        return Judge::Nobody("this machine has no trusted certificates".to_owned());
    }
    match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()
    {
        Ok(verifier) => Judge::Roots(verifier),
        Err(error) => Judge::Nobody(error.to_string()),
    }
}

#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    judge: Judge,
    noted: Noted,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = match &self.judge {
            Judge::Nobody(why) => Certificate::NotChecked(why.clone()),
            Judge::Roots(roots) => {
                let verify = |at| {
                    roots.verify_server_cert(
                        end_entity,
                        intermediates,
                        server_name,
                        ocsp_response,
                        at,
                    )
                };
                let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
                match (verify(now), verify(soon)) {
                    (Ok(_), Ok(_)) => Certificate::Good,
                    (Ok(_), Err(_)) => Certificate::ExpiresSoon,
                    (Err(error), _) => name(error),
                }
            }
        };
        self.noted.set(certificate);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn name(error: Error) -> Certificate {
    let Error::InvalidCertificate(why) = error else {
        return Certificate::Other(error.to_string());
    };
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Certificate::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Certificate::NotYetValid
        }
        CertificateError::NotValidForName => Certificate::WrongName(Vec::new()),
        CertificateError::NotValidForNameContext { presented, .. } => {
            Certificate::WrongName(presented.iter().map(|name| plain(name)).collect())
        }
        CertificateError::UnknownIssuer => Certificate::Untrusted,
        // A certificate that signed itself, as `openssl req -x509` makes them, is one of an authority.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => Certificate::Untrusted,
        other => Certificate::Other(other.to_string()),
    }
}

/// `DnsName("a.b")` as `a.b`.
fn plain(name: &str) -> String {
    let inner = name.split('"').nth(1).unwrap_or(name);
    inner.to_owned()
}
