//! Addresses as they stand in the file: where to listen, where a server is, whom to trust. Looks up no name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::quantity::quote;
use super::table::Node;
use crate::settings::{ListenAddress, ServerAddress};

/// What the kernel takes as a socket's path (`sun_path` without its closing zero).
const UNIX_PATH_BYTES_MAX: usize = 107;

/// `IP:PORT` or `unix:/PATH`.
pub(super) fn listen(node: &Node<'_>) -> Option<ListenAddress> {
    let example = "\"0.0.0.0:8080\" or \"unix:/run/berth/proxy.sock\"";
    let text = node.text(example)?;
    told(
        node,
        match text.strip_prefix("unix:") {
            Some(path) => unix_path(path).map(ListenAddress::Unix),
            None => ip_and_port(text, "0.0.0.0", "8080").map(ListenAddress::Tcp),
        },
    )
}

/// `IP:PORT`.
pub(super) fn admin(node: &Node<'_>) -> Option<SocketAddr> {
    let text = node.text("\"127.0.0.1:9090\"")?;
    told(node, ip_and_port(text, "127.0.0.1", "9090"))
}

/// `HOST:PORT`, `IP:PORT` or `unix:/PATH`.
pub(super) fn server(node: &Node<'_>) -> Option<ServerAddress> {
    let text = node.text("\"app1:3000\"")?;
    told(node, server_address(text))
}

/// A network, or one address.
pub(super) fn network(node: &Node<'_>) -> Option<IpNet> {
    let text = node.text("\"10.0.0.0/8\"")?;
    let parsed = match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) if network.trunc() == network => Ok(network),
        (Ok(network), _) => Err(format!(
            "{} has bits set behind its prefix; write \"{}\" for the network or \"{}\" for the one address",
            quote(text),
            network.trunc(),
            network.addr()
        )),
        (_, Ok(address)) => Ok(IpNet::from(address)),
        _ => Err(format!(
            "{} is neither a network nor an IP address; write \"10.0.0.0/8\" or \"10.0.0.7\"",
            quote(text)
        )),
    };
    told(node, parsed)
}

/// Whether the two cannot both be bound: the same address, or one is a port on all addresses of its family.
pub(super) fn collide(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => {
            let any = one.ip().is_unspecified() || other.ip().is_unspecified();
            one.port() != 0
                && one.port() == other.port()
                && (one.ip() == other.ip() || any && one.is_ipv4() == other.is_ipv4())
        }
        (ListenAddress::Unix(one), ListenAddress::Unix(other)) => one == other,
        _ => false,
    }
}

/// A host name as DNS and container engines know it: letters, digits, `-`, `_` and dots; ASCII, so IDN is punycode.
pub(super) fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() <= 253 && host.split('.').all(is_label)
}

fn told<T>(node: &Node<'_>, parsed: Result<T, String>) -> Option<T> {
    parsed.map_err(|message| node.wrong(message)).ok()
}

fn ip_and_port(text: &str, usual_ip: &str, usual_port: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let shown = quote(text);
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let address = SocketAddr::new(ip, 0).to_string();
        let without_port = address.trim_end_matches('0');
        return Err(format!(
            "{shown} has no port; write \"{without_port}{usual_port}\""
        ));
    }
    let bare = text.trim_start_matches("*:").trim_start_matches(':');
    if bare.parse::<u16>().is_ok() {
        return Err(format!(
            "{shown} has no IP address; write \"{usual_ip}:{bare}\""
        ));
    }
    if text.starts_with('/') {
        return Err(format!(
            "{shown} is neither IP:PORT nor marked as a socket; write \"unix:{text}\""
        ));
    }
    Err(format!(
        "{shown} is not IP:PORT (names are not looked up here); write \"{usual_ip}:{usual_port}\""
    ))
}

fn server_address(text: &str) -> Result<ServerAddress, String> {
    let shown = quote(text);
    if text.is_empty() {
        return Err(format!("{shown} is no address; write \"app1:3000\""));
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_path(path).map(ServerAddress::Unix);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let address = rest.split('/').next().unwrap_or(rest);
        return Err(format!(
            "{shown} begins with {scheme}://; write \"{address}\""
        ));
    }
    if text.starts_with('/') {
        return Err(format!(
            "{shown} is neither HOST:PORT nor marked as a socket; write \"unix:{text}\""
        ));
    }
    if let Some((address, _)) = text.split_once('/') {
        return Err(format!(
            "{shown} has a path, which a server cannot have; write \"{address}\""
        ));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return match address.port() {
            0 => Err(format!(
                "{shown} has port 0; write the port that the server listens on"
            )),
            _ => Ok(ServerAddress::Ip(address)),
        };
    }
    if let Ok(ip) = text.parse::<std::net::Ipv6Addr>() {
        return Err(format!("{shown} has no port; write \"[{ip}]:3000\""));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("{shown} has no port; write \"{text}:3000\""));
    };
    if !is_host_name(host) || looks_like_ip(host) {
        return Err(format!(
            "{} is not a host name or IP address; write \"app1:3000\"",
            quote(host)
        ));
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(ServerAddress::Name {
            host: host.to_ascii_lowercase(),
            port,
        }),
        _ => Err(format!(
            "{} is not a port; write 1 to 65535, as in \"{host}:3000\"",
            quote(port)
        )),
    }
}

/// `10.0.0.300` is a valid name to DNS, but nobody means it as one.
fn looks_like_ip(host: &str) -> bool {
    host.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn unix_path(path: &str) -> Result<PathBuf, String> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(format!(
            "{} is not an absolute path; write \"unix:/run/app.sock\"",
            quote(path)
        ));
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        return Err(format!(
            "{} is {} bytes long; a socket's path has at most {UNIX_PATH_BYTES_MAX}",
            quote(path),
            path.len()
        ));
    }
    Ok(PathBuf::from(path))
}
