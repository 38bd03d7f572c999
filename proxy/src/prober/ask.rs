//! One check of one server: a connection, and over it one `GET` if the settings name a path.

use std::io;

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, timeout};

use crate::dial::dial;
use crate::outcome::Outcome;
use crate::pool::{Endpoint, Server};
use crate::settings::{HealthCheck, HealthRequest};
use crate::socket::Socket;

/// A status line is shorter.
const STATUS_LINE_BYTES_MAX: usize = 1024;
/// Of the rest of an answer, what is read before the connection is closed: closing with unread bytes would be a reset,
/// which some servers log. More, or later, is not waited for: the status is all that counts.
const REST_BYTES_MAX: usize = 64 * 1024;
const REST_TIMEOUT: Duration = Duration::from_millis(100);

/// Why a check did not pass.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Theirs(String),
    #[error("{0}")]
    Ours(String),
}

impl Trouble {
    fn theirs(why: impl Into<String>) -> Self {
        Self::Theirs(why.into())
    }
}

/// # Errors
/// When the server did not do in time what the check wants of it, or when this machine could not ask.
pub(super) async fn ask(server: &Server, check: &HealthCheck) -> Result<(), Trouble> {
    let exchange = async {
        let mut socket = connect(&server.endpoint, check.timeout).await?;
        let Some(request) = &check.request else {
            return Ok(());
        };
        let status = status(&mut socket, &head(server, request)).await?;
        if request.status.contains(&status) {
            Ok(())
        } else {
            Err(Trouble::Theirs(format!("status {status}")))
        }
    };
    timeout(check.timeout, exchange)
        .await
        .unwrap_or_else(|_| Err(Trouble::theirs("timeout")))
}

async fn connect(endpoint: &Endpoint, connect_timeout: Duration) -> Result<Socket, Trouble> {
    dial(endpoint, connect_timeout)
        .await
        .map_err(|(outcome, error)| {
            let why = error.map_or_else(|| outcome.label().to_owned(), |error| error.to_string());
            match outcome {
                Outcome::Local => Trouble::Ours(why),
                _ => Trouble::Theirs(why),
            }
        })
}

fn head(server: &Server, HealthRequest { path, host, .. }: &HealthRequest) -> String {
    let host = host.as_deref().unwrap_or_else(|| authority(server));
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: berth-proxy/{version} (health check)\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
}

/// What the settings call the server: a name with several addresses has the address behind it.
fn authority(server: &Server) -> &str {
    match server.endpoint {
        Endpoint::Ip(_) => server
            .name
            .split_once(' ')
            .map_or(&*server.name, |(name, _address)| name),
        Endpoint::Unix(_) => "localhost",
    }
}

async fn status(socket: &mut Socket, head: &str) -> Result<u16, Trouble> {
    let broken = |error: io::Error| Trouble::Theirs(error.to_string());
    socket.write_all(head.as_bytes()).await.map_err(broken)?;
    let mut answer = BytesMut::new();
    while !answer.contains(&b'\n') && answer.len() < STATUS_LINE_BYTES_MAX {
        if socket.read_buf(&mut answer).await.map_err(broken)? == 0 {
            return Err(Trouble::theirs("closed without an answer"));
        }
    }
    let status = parse_status(&answer).ok_or_else(|| Trouble::theirs("no HTTP answer"))?;
    let rest = async {
        while answer.len() < REST_BYTES_MAX && matches!(socket.read_buf(&mut answer).await, Ok(1..))
        {
        }
    };
    match timeout(REST_TIMEOUT, rest).await {
        // Whether the rest came changes nothing.
        Ok(()) | Err(_) => Ok(status),
    }
}

/// The status of an answer that begins with these bytes (RFC 9112 §4).
fn parse_status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (version, rest) = line.split_once(' ')?;
    let digits = rest.split(' ').next()?;
    let is_http = matches!(version, "HTTP/1.0" | "HTTP/1.1");
    let is_status = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_http && is_status).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::parse_status;

    #[test]
    fn only_an_http_status_line_has_a_status() {
        for (answer, status) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n", Some(200)),
            ("HTTP/1.0 503\n", Some(503)),
            ("HTTP/1.1 204 \r\n", Some(204)),
            ("HTTP/2 200\r\n", None),
            ("HTTP/1.1 2000 OK\r\n", None),
            ("HTTP/1.1 +20 OK\r\n", None),
            ("SSH-2.0-OpenSSH\r\n", None),
            ("", None),
        ] {
            assert_eq!(parse_status(answer.as_bytes()), status, "{answer:?}");
        }
    }
}
