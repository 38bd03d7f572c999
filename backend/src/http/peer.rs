//! Where a request comes from: the other end of its connection, or whom a trusted proxy speaks for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Extension;
use axum::http::HeaderMap;
use ipnet::IpNet;

/// The other end of the connection. Every request carries it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The client's address: what `X-Real-IP` says, when the peer is trusted to say it.
pub(super) fn client_address(
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
    trusted: &[IpNet],
) -> IpAddr {
    let peer = peer.map_or(
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        |Extension(Peer(address))| address.ip().to_canonical(),
    );
    if !trusted.iter().any(|network| network.contains(&peer)) {
        return peer;
    }
    let told = headers
        .get("x-real-ip")
        .and_then(|value| value.to_str().ok());
    told.and_then(|text| text.trim().parse().ok())
        .unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_peer_speaks_for_others() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let address = |peer: &str, told: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(told) = told {
                headers.insert("x-real-ip", told.parse().unwrap());
            }
            let peer = Some(Extension(Peer(peer.parse().unwrap())));
            client_address(peer, &headers, &trusted).to_string()
        };
        assert_eq!(address("10.1.2.3:1", Some("192.0.2.7")), "192.0.2.7");
        assert_eq!(
            address("[::ffff:10.1.2.3]:1", Some("192.0.2.7")),
            "192.0.2.7"
        );
        assert_eq!(address("192.0.2.9:1", Some("192.0.2.7")), "192.0.2.9");
        assert_eq!(address("10.1.2.3:1", Some("nonsense")), "10.1.2.3");
        assert_eq!(address("10.1.2.3:1", None), "10.1.2.3");
    }
}
