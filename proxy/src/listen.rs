//! Binds addresses and accepts connections.
//!
//! The proxy's own accept loops, not Pingora's: an address that cannot be bound is an error at the start and not a
//! panic in a task, port 0 tells its port, and a stop needs no fixed sleep.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nix::errno::Errno;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::lifecycle::{Life, Open, Phase};
use crate::metrics::Metrics;
use crate::settings::{Listen, ListenAddress};
use crate::shared::Shared;
use crate::socket::Socket;

/// Connections the kernel holds for us until they are accepted; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: u32 = 4096;
/// Out of files, accepting again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Without a failure for so long, a success means that the trouble is over.
const CALM: Duration = Duration::from_secs(1);
/// Scrapers, probes and people at once; each may stay for seconds.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// A bound address.
#[derive(Debug)]
pub(crate) struct Listener {
    bound: Bound,
    is_tls: bool,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// # Errors
    /// When the address is taken or not ours; the message names it.
    ///
    /// `is_shared`: there will be others on the same address, made by `share`.
    pub(crate) async fn bind(listen: &Listen, is_shared: bool) -> anyhow::Result<Self> {
        let bound = match &listen.address {
            ListenAddress::Tcp(address) if is_shared => Bound::Tcp(bind_shared(*address)?),
            ListenAddress::Tcp(address) => Bound::Tcp(bind_tcp(*address)?),
            ListenAddress::Unix(path) => {
                remove_stale(path)
                    .await
                    .with_context(|| format!("cannot listen on unix:{}", path.display()))?;
                let listener = UnixListener::bind(path)
                    .with_context(|| format!("cannot listen on unix:{}", path.display()))?;
                Bound::Unix(listener, path.clone())
            }
        };
        Ok(Self {
            bound,
            is_tls: listen.tls,
        })
    }

    /// Another one on the same address, for the runtime that this is called in. Of TCP listeners each has clients of
    /// its own, a Unix socket's take turns.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn share(&self) -> anyhow::Result<Self> {
        let bound = match &self.bound {
            Bound::Tcp(listener) => Bound::Tcp(listen_tcp(listener.local_addr()?, true)?),
            Bound::Unix(listener, path) => {
                let twin = StdUnixListener::from(listener.as_fd().try_clone_to_owned()?);
                Bound::Unix(UnixListener::from_std(twin)?, path.clone())
            }
        };
        Ok(Self {
            bound,
            is_tls: self.is_tls,
        })
    }

    /// Whether clients are to be met with a handshake.
    #[must_use]
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    #[must_use]
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.bound {
            Bound::Tcp(listener) => listener.local_addr().ok(),
            Bound::Unix(..) => None,
        }
    }

    /// Gives every connection to `serve`, in a task of its own, until the proxy drains.
    pub(crate) async fn accept<F>(
        self,
        life: Life,
        shared: Arc<Shared>,
        serve: impl Fn(Socket, Option<IpAddr>, Open) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        // A stop waits for this loop, so that what it accepted last is waited for as well.
        let _open = life.open();
        let mut trouble = Trouble::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = life.reached(Phase::Draining) => break,
                accepted = self.accept_one() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => {
                    trouble.accepted();
                    tokio::spawn(serve(socket, peer, life.open()));
                }
                Err(error) => trouble.pause(&error, &shared.metrics).await,
            }
        }
        // The other workers' loops may have been quicker.
        if let Bound::Unix(_, path) = &self.bound
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(%error, "the socket file was gone already");
        }
    }

    async fn accept_one(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match &self.bound {
            Bound::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Socket::Tcp(stream), Some(peer.ip())))
            }
            Bound::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), None))
            }
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bound {
            Bound::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(formatter),
                Err(error) => error.fmt(formatter),
            },
            Bound::Unix(_, path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// # Errors
/// When the address is taken or not ours; the message names it.
pub(crate) fn bind_tcp(address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen_tcp(address, false).with_context(|| format!("cannot listen on {address}"))
}

/// The first of several listeners on one address.
///
/// Sockets that share an address ask nobody whether they are of one program, so a second proxy could take half of the
/// first one's clients. Who else listens there is found out by a socket that does not share.
fn bind_shared(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bind = || {
        let alone = tcp_socket(address, false)?;
        let address = alone.local_addr()?;
        drop(alone);
        listen_tcp(address, true)
    };
    bind().with_context(|| format!("cannot listen on {address}"))
}

fn listen_tcp(address: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    tcp_socket(address, is_shared)?.listen(BACKLOG)
}

/// A bound socket that does not listen yet.
fn tcp_socket(address: SocketAddr, is_shared: bool) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(is_shared)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts on the admin listener until the end of the process: health is asked for while draining, too.
pub(crate) async fn accept_admin<F>(
    listener: TcpListener,
    shared: Arc<Shared>,
    serve: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    let mut trouble = Trouble::default();
    loop {
        // Closed it never is; without a place, who waits in the backlog waits on.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                trouble.accepted();
                let served = serve(stream);
                tokio::spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) => trouble.pause(&error, &shared.metrics).await,
        }
    }
}

/// Whether connections can be accepted at all, of which each change is logged once.
#[derive(Debug, Default)]
struct Trouble(Option<Instant>);

impl Trouble {
    /// Accepting failed. Waits, unless it was the client.
    async fn pause(&mut self, error: &io::Error, metrics: &Metrics) {
        let reason = reason(error);
        metrics.accept_failed(reason);
        if reason == CLIENT_LEFT {
            return;
        }
        if self.0.replace(Instant::now()).is_none() {
            tracing::error!(%error, "cannot accept connections");
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    fn accepted(&mut self) {
        // One that got the place of another that has just left is not the end of it.
        if self.0.is_some_and(|last| last.elapsed() >= CALM) {
            self.0 = None;
            tracing::info!("connections can be accepted again");
        }
    }
}

const CLIENT_LEFT: &str = "client_left";

/// The metric's label.
fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        // Before it was accepted, or just after.
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::NotConnected => CLIENT_LEFT,
        _ => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE) => "no_descriptors",
            Some(Errno::ENOBUFS | Errno::ENOMEM) => "no_memory",
            _ => "other",
        },
    }
}

/// A socket file that nobody listens on any more is in the way; one that somebody listens on is theirs.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trouble_is_over_when_it_has_been_calm() {
        let metrics = Metrics::new().unwrap();
        let mut trouble = Trouble::default();
        let began = Instant::now();
        for _ in 0..3 {
            trouble.pause(&Errno::EMFILE.into(), &metrics).await;
            trouble.accepted();
            assert!(trouble.0.is_some());
        }
        assert_eq!(began.elapsed(), 3 * ACCEPT_PAUSE);
        tokio::time::advance(CALM).await;
        trouble.accepted();
        assert!(trouble.0.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_left_is_no_trouble() {
        let (began, mut trouble) = (Instant::now(), Trouble::default());
        let metrics = Metrics::new().unwrap();
        trouble.pause(&Errno::ECONNABORTED.into(), &metrics).await;
        assert_eq!((began.elapsed(), trouble.0), (Duration::ZERO, None));
        assert_eq!(reason(&Errno::EMFILE.into()), "no_descriptors");
        assert_eq!(reason(&Errno::ENOBUFS.into()), "no_memory");
        assert_eq!(reason(&Errno::EPERM.into()), "other");
    }
}
