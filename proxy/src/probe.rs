//! Asks a running proxy whether it lives, or how its servers are: one HTTP request to its admin listener, also for health
//! checks in containers that have no curl.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Less than the usual patience of a container engine's health check, so that it sees our message.
const TIMEOUT: Duration = Duration::from_secs(2);

/// More than the status of 256 upstreams with 1024 servers each in a hundred bytes; keeps a wrong address from filling memory.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// # Errors
/// When nobody answers in time, or the answer is not 200.
pub(crate) fn liveness(admin: SocketAddr) -> anyhow::Result<()> {
    ask(admin, "/health/liveness").map(drop)
}

/// What the proxy says about itself.
///
/// # Errors
/// As for `liveness`.
pub(crate) fn status(admin: SocketAddr) -> anyhow::Result<String> {
    ask(admin, "/status")
}

/// The body of the answer.
fn ask(admin: SocketAddr, path: &str) -> anyhow::Result<String> {
    let address = reachable(admin);
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)
        .with_context(|| format!("admin listener {address} does not accept"))?;
    let answer = exchange(&mut stream, address, path)
        .with_context(|| format!("admin listener {address} does not answer"))?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default();
    let mut words = status.split_ascii_whitespace();
    let is_http = words
        .next()
        .is_some_and(|version| version.starts_with("HTTP/1."));
    ensure!(
        is_http && words.next() == Some("200"),
        "admin listener {address} answered {status:?}"
    );
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(body.unwrap_or_default().to_owned())
}

/// Everything until the other side closes, which it does after one answer.
fn exchange(stream: &mut TcpStream, address: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// "All addresses" is where a listener waits, not where one can be reached.
fn reachable(admin: SocketAddr) -> SocketAddr {
    let ip = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, admin.port())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::{liveness, reachable};

    /// What the probe says of an admin listener that answers so.
    fn check(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let admin = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            assert!(request.starts_with(b"GET /health/liveness HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let result = liveness(address).map_err(|error| error.to_string());
        admin.join().unwrap();
        result
    }

    #[test]
    fn only_200_is_alive() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        check("HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap_err();
        check("SSH-2.0-200 200\r\n").unwrap_err();
        check("").unwrap_err();
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        assert_eq!(
            reachable("0.0.0.0:9090".parse().unwrap()).to_string(),
            "127.0.0.1:9090"
        );
        assert_eq!(
            reachable("[::]:9090".parse().unwrap()).to_string(),
            "[::1]:9090"
        );
        assert_eq!(
            reachable("10.0.0.1:9090".parse().unwrap()).to_string(),
            "10.0.0.1:9090"
        );
    }
}
