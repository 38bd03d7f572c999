//! Asks a running server how it is: for container health checks, where there is no curl.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Per step: connect, write, read. Below the usual timeout of a health check.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);

/// Succeeds when `url`, plain HTTP, answers 200.
///
/// # Errors
/// What went wrong, with the URL.
pub fn ask(url: &str) -> anyhow::Result<()> {
    let status = status_of(url).with_context(|| format!("{url} does not answer"))?;
    if status == 200 {
        return Ok(());
    }
    bail!("{url} answers {status}")
}

fn status_of(url: &str) -> anyhow::Result<u16> {
    let rest = url
        .strip_prefix("http://")
        .context("only http:// can be asked")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let has_port = authority
        .rsplit(']')
        .next()
        .is_some_and(|tail| tail.contains(':'));
    let target = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let address = target
        .to_socket_addrs()?
        .next()
        .context("the name has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, STEP_TIMEOUT)?;
    stream.set_read_timeout(Some(STEP_TIMEOUT))?;
    stream.set_write_timeout(Some(STEP_TIMEOUT))?;
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    )?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let status = line.split(' ').nth(1).context("that is not HTTP")?;
    status.parse().context("that is not HTTP")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[track_caller]
    fn check(answer: &'static str, is_well: bool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health/liveness", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            request
        });
        assert_eq!(ask(&url).is_ok(), is_well, "{answer}");
        assert_eq!(server.join().unwrap(), "GET /health/liveness HTTP/1.1\r\n");
    }

    #[test]
    fn only_200_is_well() {
        check("HTTP/1.1 200 OK\r\n\r\n", true);
        check("HTTP/1.1 503 Service Unavailable\r\n\r\n", false);
        check("SSH-2.0-OpenSSH\r\n", false);
        check("", false);
    }

    #[test]
    fn what_cannot_be_asked_is_said() {
        assert!(ask("https://127.0.0.1/").is_err());
        assert!(ask("http://").is_err());
    }
}
