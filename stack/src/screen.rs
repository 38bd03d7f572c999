//! The one screen that `berth up` prints: where to look, where the data lies, how to stop.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Everything the screen tells.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) proxy: SocketAddr,
    /// Name and address of each backend, in order.
    pub(crate) backends: Vec<(String, SocketAddr)>,
    /// The folder with messages and sessions.
    pub(crate) data: PathBuf,
    /// Whether a token opens the operator's page.
    pub(crate) has_operator: bool,
}

impl fmt::Display for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        writeln!(f, "  Berth {} is up.", env!("CARGO_PKG_VERSION"))?;
        writeln!(f)?;
        writeln!(f, "  Open       http://{}/", reachable(self.proxy))?;
        writeln!(
            f,
            "             Two windows there land on different backends and chat with each other."
        )?;
        if self.has_operator {
            writeln!(f, "  Operator   http://{}/admin", reachable(self.proxy))?;
        }
        writeln!(f)?;
        for (number, (name, address)) in self.backends.iter().enumerate() {
            let label = if number == 0 { "Backends" } else { "" };
            writeln!(f, "  {label:<10} {name:<8} {address}")?;
        }
        writeln!(f)?;
        writeln!(f, "  Data       {}", self.data.display())?;
        writeln!(f, "  Stop       Ctrl-C")
    }
}

/// A wildcard address is where a server listens, not where a browser can go.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_an_address_a_browser_can_open_each_backend_and_the_data() {
        let screen = Screen {
            proxy: "0.0.0.0:8080".parse().unwrap(),
            backends: vec![
                ("berth-1".to_owned(), "127.0.0.1:8081".parse().unwrap()),
                ("berth-2".to_owned(), "127.0.0.1:8082".parse().unwrap()),
            ],
            data: PathBuf::from("/srv/berth"),
            has_operator: true,
        };

        let text = screen.to_string();

        for fact in [
            "http://127.0.0.1:8080/",
            "127.0.0.1:8081",
            "127.0.0.1:8082",
            "/srv/berth",
            "http://127.0.0.1:8080/admin",
            "Ctrl-C",
        ] {
            assert!(text.contains(fact), "{fact} is missing from:\n{text}");
        }
    }
}
