//! Handshakes with clients, and the certificates that they are shown.
//!
//! Owns what is spoken (TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2), session tickets, and the swap of certificates by a reload. Does not
//! judge certificates (`certificate`, `config`). Invariant: **a handshake never outlasts its deadline**.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{Error, HandshakeKind, ServerConfig};

use crate::certificate::{self, Certificate};
use crate::clock;
use crate::settings::{Limits, Settings};
use crate::shared::Shared;
use crate::socket::{ALPN_H2, Socket, TlsSocket};

/// Encrypted bytes that wait for a slow client: two whole records. More waits where it came from.
const BUFFER_BYTES_MAX: usize = 32 * 1024;
/// How often a running proxy looks at the dates of its certificates.
const DATES_INTERVAL: Duration = Duration::from_secs(86_400);

/// What a handshake came to; the metric's label and the log's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Full,
    Resumed,
    /// The client went away, which is also how a load balancer's TCP check looks.
    Closed,
    Timeout,
    PlainHttp,
    /// No version, cipher, signature or protocol (ALPN) in common.
    Incompatible,
    /// The client sent an alert: it does not trust the certificate, for example.
    Rejected,
    Malformed,
}

impl Handshake {
    #[must_use]
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::PlainHttp => "plain_http",
            Self::Incompatible => "incompatible",
            Self::Rejected => "rejected",
            Self::Malformed => "malformed",
        }
    }
}

/// Why there is nobody to serve.
pub(crate) struct Failed {
    pub(crate) handshake: Handshake,
    pub(crate) error: Option<io::Error>,
    /// Whoever spoke HTTP can still be told.
    pub(crate) socket: Option<Socket>,
}

impl Failed {
    fn new(handshake: Handshake, error: Option<io::Error>) -> Self {
        Self {
            handshake,
            error,
            socket: None,
        }
    }
}

/// Shakes hands for all listeners of one proxy.
#[derive(Debug)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    /// The same without HTTP/2.
    config_without_h2: Arc<ServerConfig>,
    shown: Arc<Shown>,
}

/// What clients are shown at this moment.
#[derive(Debug)]
struct Shown(ArcSwap<Vec<Certificate>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.0.load();
        let schemes = hello.signature_schemes();
        let chosen = certificate::choose(&certificates, hello.server_name(), |certificate| {
            certificate.pair().key.choose_scheme(schemes).is_some()
        });
        chosen.map(|certificate| Arc::clone(certificate.pair()))
    }
}

impl Tls {
    /// # Errors
    /// When the system has no randomness for the tickets' keys.
    pub(crate) fn new(certificates: &[Certificate]) -> anyhow::Result<Self> {
        let shown = Arc::new(Shown(ArcSwap::from_pointee(certificates.to_vec())));
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .context("cannot speak TLS")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Shown>::clone(&shown));
        config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec()];
        // Who comes back resumes by a ticket that it holds itself, so nothing is kept here for those that do not. The
        // keys change every six hours and live in this process: other proxies do not take the tickets.
        config.ticketer = ring::Ticketer::new().context("cannot make keys for session tickets")?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let mut config_without_h2 = config.clone();
        config_without_h2
            .alpn_protocols
            .retain(|name| name != ALPN_H2);
        Ok(Self {
            config: Arc::new(config),
            config_without_h2: Arc::new(config_without_h2),
            shown,
        })
    }

    /// Shows other certificates from now on; what is open is not touched.
    pub(crate) fn replace(&self, certificates: &[Certificate]) {
        self.shown.0.store(Arc::new(certificates.to_vec()));
    }

    /// Makes of a plain socket one that is encrypted.
    pub(crate) async fn accept(
        &self,
        socket: Socket,
        limits: &Limits,
    ) -> Result<(Socket, Handshake), Failed> {
        let config = if limits.http2 {
            &self.config
        } else {
            &self.config_without_h2
        };
        let handshake = shake_hands(socket, Arc::clone(config));
        match timeout(limits.tls_handshake_timeout, handshake).await {
            Ok(done) => done,
            Err(_) => Err(Failed::new(Handshake::Timeout, None)),
        }
    }
}

async fn shake_hands(
    socket: Socket,
    config: Arc<ServerConfig>,
) -> Result<(Socket, Handshake), Failed> {
    match first_byte(&socket).await {
        // TLS begins with 22, HTTP with a method.
        Ok(Some(byte)) if byte.is_ascii_uppercase() => {
            return Err(Failed {
                handshake: Handshake::PlainHttp,
                error: None,
                socket: Some(socket),
            });
        }
        Ok(_) => {}
        Err(error) => return Err(Failed::new(Handshake::Closed, Some(error))),
    }
    let acceptor = TlsAcceptor::from(config);
    let accepted = acceptor.accept_with(socket, |connection| {
        connection.set_buffer_limit(Some(BUFFER_BYTES_MAX));
    });
    match accepted.await {
        Ok(stream) => {
            let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            let handshake = if is_resumed {
                Handshake::Resumed
            } else {
                Handshake::Full
            };
            Ok((Socket::Tls(Box::new(TlsSocket::new(stream))), handshake))
        }
        Err(error) => Err(Failed::new(classify(&error), Some(error))),
    }
}

/// The cryptography that is used, here and where certificates are judged.
#[must_use]
pub(crate) fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// What the owner of the certificates should know about their dates, now.
#[must_use]
pub fn concerns(settings: &Settings) -> Vec<String> {
    let now = clock::wall();
    let concerns = settings.certificates.iter().filter_map(|certificate| {
        let concern = certificate.concern(now)?;
        Some(format!(
            "the certificate of {} {concern}",
            certificate.label()
        ))
    });
    concerns.collect()
}

/// Says so in the log, and publishes the dates.
pub(crate) fn tell_dates(settings: &Settings, shared: &Shared) {
    shared.metrics.show_certificates(&settings.certificates);
    for concern in concerns(settings) {
        tracing::warn!("{concern}");
    }
}

/// Says so again every day, for a proxy that is never reloaded is one whose certificates nobody renews.
pub(crate) async fn watch_dates(shared: Arc<Shared>) {
    loop {
        sleep(DATES_INTERVAL).await;
        tell_dates(&shared.registry.settings(), &shared);
    }
}

/// Looks at the first byte and leaves it there. A Unix socket does not show it.
async fn first_byte(socket: &Socket) -> io::Result<Option<u8>> {
    let mut byte = [0];
    match socket {
        Socket::Tcp(stream) => match stream.peek(&mut byte).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(byte.first().copied()),
        },
        Socket::Unix(_) | Socket::Tls(_) => Ok(None),
    }
}

fn classify(error: &io::Error) -> Handshake {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        None => Handshake::Closed,
        Some(Error::AlertReceived(_)) => Handshake::Rejected,
        Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol | Error::General(_)) => {
            Handshake::Incompatible
        }
        Some(_) => Handshake::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;
    use crate::certificate::tests::Made;
    use crate::registry::tests::settings;

    #[tokio::test(start_paused = true)]
    async fn whoever_stays_silent_in_a_handshake_is_cut_at_the_deadline() {
        let tls = Tls::new(&[Made::new(&["a"]).judged()]).unwrap();
        let limits = settings(&[]).limits;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // One says nothing at all, one begins.
        for beginning in [&b""[..], b"\x16\x03\x01"] {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await;
            let client = client.unwrap();
            client.try_write(beginning).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let began = Instant::now();
            let accepted = tls.accept(Socket::Tcp(stream), &limits);
            let failed = accepted.await.err().unwrap();
            assert_eq!(failed.handshake, Handshake::Timeout);
            assert_eq!(began.elapsed(), limits.tls_handshake_timeout);
        }
    }

    #[test]
    fn an_expired_certificate_is_used_and_told() {
        let mut settings = settings(&[]);
        settings.certificates = vec![
            Made::until(&["old.example.com"], 2021).judged(),
            Made::new(&["good.example.com"]).judged(),
        ];
        let told = concerns(&settings);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("the certificate of old.example.com expired "));
    }

    #[test]
    fn a_plain_socket_stays_small() {
        // The stream of rustls is on the heap.
        let spare = size_of::<Socket>() - size_of::<TcpStream>();
        assert!(spare <= size_of::<usize>(), "{spare}");
    }
}
