//! Opens a connection to one server.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::outcome::Outcome;
use crate::pool::Endpoint;
use crate::socket::Socket;

/// # Errors
/// The outcome of the try, and what the system said (nothing when it said nothing in time).
pub(crate) async fn dial(
    endpoint: &Endpoint,
    connect_timeout: Duration,
) -> Result<Socket, (Outcome, Option<io::Error>)> {
    match timeout(connect_timeout, connect(endpoint)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => Err((Outcome::of_connect(&error), Some(error))),
        Err(_) => Err((Outcome::ConnectTimeout, None)),
    }
}

async fn connect(endpoint: &Endpoint) -> io::Result<Socket> {
    match endpoint {
        Endpoint::Ip(address) => {
            let stream = TcpStream::connect(address).await?;
            // Messages are small and wait for nobody.
            stream.set_nodelay(true)?;
            Ok(Socket::Tcp(stream))
        }
        Endpoint::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path).await?)),
    }
}
