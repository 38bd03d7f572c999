//! Whom the swarm talks to, and as whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Plain or TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub path: String,
    /// The Host field, and the name that a certificate must have.
    pub host: String,
    /// How many addresses the clients have: 127.0.0.2, 127.0.1.2 and so on, so that `ip_hash` tells them apart. 0: the system's choice.
    pub sources: u8,
    /// Of a WebSocket's handshake, beside those that it needs.
    pub(crate) fields: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Target {
    #[must_use]
    pub fn new(address: SocketAddr, path: &str) -> Self {
        Self {
            address,
            path: path.to_owned(),
            host: "localhost".to_owned(),
            sources: 20,
            fields: String::new(),
            tls: None,
        }
    }

    #[must_use]
    pub fn with_sources(mut self, sources: u8) -> Self {
        self.sources = sources;
        self
    }

    /// WebSockets are opened with this cookie.
    #[must_use]
    pub fn with_cookie(mut self, cookie: &str) -> Self {
        self.fields = format!("Cookie: {cookie}\r\n");
        self
    }

    /// Over TLS, with full handshakes only, trusting the certificates in this file, and speaking this protocol (as ALPN names it).
    ///
    /// # Errors
    /// When the file holds no certificate.
    pub fn with_tls(mut self, trusted: &Path, protocol: &str) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(trusted)? {
            roots.add(certificate?)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from(self.host.clone()).context("no name for a certificate")?;
        self.tls = Some((TlsConnector::from(Arc::new(config)), name));
        Ok(self)
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) async fn connect(&self, index: usize) -> std::io::Result<Box<dyn Stream>> {
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(source) = self.source(index) {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), stream).await?)),
        }
    }

    /// Only on the loopback does this machine have as many addresses as it likes.
    fn source(&self, index: usize) -> Option<IpAddr> {
        let is_loopback = self.address.is_ipv4() && self.address.ip().is_loopback();
        if !is_loopback || self.sources == 0 {
            return None;
        }
        let network = u8::try_from(index % usize::from(self.sources)).ok()?;
        Some(Ipv4Addr::new(127, 0, network, 2).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_come_from_networks_that_ip_hash_tells_apart() {
        let target = Target::new("127.0.0.1:80".parse().unwrap(), "/").with_sources(3);
        let of = |index| target.source(index).unwrap().to_string();
        assert_eq!(of(0), "127.0.0.2");
        assert_eq!(of(4), "127.0.1.2");
        assert_eq!(of(5), "127.0.2.2");
        let far = Target::new("192.0.2.1:80".parse().unwrap(), "/");
        assert_eq!(far.source(0), None);
    }
}
