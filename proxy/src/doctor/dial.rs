//! Connections to the target: each one new, over TLS if it wants that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::doctor::certificate::{self, Noted};
use crate::doctor::seen::{Address, Certificate, Fault};
use crate::doctor::target::Target;

/// More addresses are not tried: a name with many has a proxy behind each.
const ADDRESSES_MAX: usize = 8;

/// Either kind of connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Knows the way.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) patience: Duration,
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    noted: Noted,
}

impl Dialer {
    /// Looks the name up and takes the first address that accepts.
    pub(super) async fn find(
        target: &Target,
        is_insecure: bool,
        patience: Duration,
    ) -> (Address, Result<Self, Fault>) {
        let mut address = Address::default();
        let found = match timeout(patience, lookup_host((target.host.as_str(), target.port))).await
        {
            Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect::<Vec<_>>(),
            Ok(Err(error)) => {
                address.fault = Some(error.to_string());
                Vec::new()
            }
            Err(_) => {
                address.fault = Some("the name servers do not answer".to_owned());
                Vec::new()
            }
        };
        for candidate in found {
            match connect(candidate, patience).await {
                Ok(_connected) => {
                    address.used = Some(candidate);
                    break;
                }
                Err(why) => address.refused.push((candidate, why)),
            }
        }
        let dialer = match address.used {
            Some(used) => Self::to(target, used, is_insecure, patience),
            None => Err(Fault::Unreachable("nobody accepts".to_owned())),
        };
        (address, dialer)
    }

    fn to(
        target: &Target,
        address: SocketAddr,
        is_insecure: bool,
        patience: Duration,
    ) -> Result<Self, Fault> {
        let noted = Noted::default();
        let tls = if target.is_secure {
            let broken = |why: String| Fault::Tls(why);
            let config = certificate::client(is_insecure, noted.clone())
                .map_err(|error| broken(error.to_string()))?;
            let name = ServerName::try_from(target.host.clone())
                .map_err(|error| broken(error.to_string()))?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self {
            patience,
            address,
            tls,
            noted,
        })
    }

    /// What the certificate was like, once there was a connection.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        self.noted.get()
    }

    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, Fault> {
        let stream = connect(self.address, self.patience)
            .await
            .map_err(Fault::Unreachable)?;
        let Some((connector, name)) = &self.tls else {
            return Ok(Box::new(stream));
        };
        match timeout(self.patience, connector.connect(name.clone(), stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(Fault::Tls(error.to_string())),
            Err(_) => Err(Fault::Tls("no answer to the handshake".to_owned())),
        }
    }
}

async fn connect(address: SocketAddr, patience: Duration) -> Result<TcpStream, String> {
    let stream = match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(error.kind().to_string()),
        Err(_) => return Err("no answer".to_owned()),
    };
    // A packet that waits for others would be taken for a slow proxy.
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    Ok(stream)
}
