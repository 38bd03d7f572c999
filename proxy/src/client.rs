//! Who is asking, seen through the hops that are trusted.
//!
//! Owns: the client's address and scheme, and what the next hop is told about them. Does not own which peers are
//! trusted (`settings`). Invariant: **a header from a peer that is not trusted never changes who the client is**.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The asking client, as decided here; everything downstream believes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// `None`: it came over a Unix socket and no trusted hop named anyone.
    pub ip: Option<IpAddr>,
    pub scheme: Scheme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Who is at the other end of the connection, trusted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `None`: a Unix socket, which only local programs reach, so it is trusted.
    pub ip: Option<IpAddr>,
    /// What it speaks to us.
    pub scheme: Scheme,
}

impl From<Option<IpAddr>> for Peer {
    /// A peer without TLS.
    fn from(ip: Option<IpAddr>) -> Self {
        Self {
            ip,
            scheme: Scheme::Http,
        }
    }
}

impl Client {
    /// The client behind `peer`.
    ///
    /// `forwarded_for` are the values of `X-Forwarded-For` in the order of the request; as nginx's
    /// `real_ip_recursive on`, they are read from the right and the first address that is not trusted is the client.
    pub fn behind<'a>(
        peer: impl Into<Peer>,
        trusted: &[IpNet],
        forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
        forwarded_proto: Option<&[u8]>,
    ) -> Self {
        let Peer { ip: peer, scheme } = peer.into();
        let peer = peer.map(canonical);
        if !is_trusted(peer, trusted) {
            return Self { ip: peer, scheme };
        }
        let mut ip = peer;
        for hop in forwarded_for.rev().flat_map(hops_from_the_right) {
            // What cannot be read ends the trusted part of the chain.
            let Some(address) = parse_hop(hop) else { break };
            ip = Some(address);
            if !is_trusted(ip, trusted) {
                break;
            }
        }
        let scheme = match forwarded_proto {
            None => scheme,
            Some(proto) if proto.trim_ascii().eq_ignore_ascii_case(b"https") => Scheme::Https,
            Some(_) => Scheme::Http,
        };
        Self { ip, scheme }
    }

    /// The bytes that nginx's `ip_hash` hashes: three of an IPv4 address, all of an IPv6 address, zeros for neither.
    #[must_use]
    pub fn hash_bytes(&self) -> HashBytes {
        match self.ip {
            Some(IpAddr::V4(v4)) => {
                let [a, b, c, _] = v4.octets();
                HashBytes::Three([a, b, c])
            }
            Some(IpAddr::V6(v6)) => HashBytes::Sixteen(v6.octets()),
            None => HashBytes::Three([0; 3]),
        }
    }

    /// As nginx's `$remote_addr`.
    #[must_use]
    pub fn address_text(&self) -> String {
        match self.ip {
            Some(IpAddr::V6(ip)) if is_dotted(ip) => {
                let [.., a, b, c, d] = ip.octets();
                format!("::{a}.{b}.{c}.{d}")
            }
            Some(IpAddr::V4(ip)) => dotted(ip),
            Some(ip) => ip.to_string(),
            None => "unix:".to_owned(),
        }
    }
}

/// As `to_string`, which takes some 1300 instructions, a tenth of what a request costs.
fn dotted(ip: Ipv4Addr) -> String {
    let mut text = String::with_capacity("255.255.255.255".len());
    for octet in ip.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(itoa::Buffer::new().format(octet));
    }
    text
}

/// What `ip_hash` reads of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashBytes {
    Three([u8; 3]),
    Sixteen([u8; 16]),
}

impl HashBytes {
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Three(bytes) => bytes,
            Self::Sixteen(bytes) => bytes,
        }
    }
}

/// An IPv4 address that a dual-stack socket shows as `::ffff:a.b.c.d` is that IPv4 address.
#[must_use]
pub fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// Whether nginx writes the address as `::a.b.c.d`, as the obsolete IPv4-compatible ones were written.
fn is_dotted(ip: Ipv6Addr) -> bool {
    let [.., high, low] = ip.octets();
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, _] => high != 0 && low != 1,
        [0, 0, 0, 0, 0, 0, _, _] => true,
        _ => false,
    }
}

fn is_trusted(ip: Option<IpAddr>, trusted: &[IpNet]) -> bool {
    ip.is_none_or(|ip| trusted.iter().any(|net| net.contains(&ip)))
}

/// The hops in one value, the last one first. As in nginx commas and blanks part them, several count as one, and what
/// begins with one has nobody there: an empty hop.
fn hops_from_the_right(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let mut value = rest.take()?;
        while let Some((last, before)) = value.split_last()
            && is_separator(*last)
        {
            value = before;
        }
        let separator = value.iter().rposition(|byte| is_separator(*byte));
        rest = separator.and_then(|at| value.get(..at));
        value.get(separator.map_or(0, |at| at + 1)..)
    })
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'\t')
}

/// One hop as proxies write it: an address, with or without a port, IPv6 with or without brackets.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let with_port = || {
        let socket = text.parse::<std::net::SocketAddr>().ok()?;
        (socket.port() > 0).then_some(socket.ip())
    };
    let in_brackets = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let address = text.parse::<IpAddr>().ok();
    address
        .or_else(with_port)
        .or_else(in_brackets)
        .map(canonical)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[track_caller]
    fn check(peer: &str, trusted: &[&str], forwarded: &[&str], client: &str) {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let seen = Client::behind(
            Some(peer.parse().unwrap()),
            &trusted,
            forwarded.iter().map(|value| value.as_bytes()),
            None,
        );
        assert_eq!(seen.address_text(), client);
    }

    #[test]
    fn nobody_is_believed_by_default() {
        check("203.0.113.7", &[], &["10.0.0.1"], "203.0.113.7");
    }

    #[test]
    fn a_trusted_hop_names_the_client() {
        check("10.0.0.2", &["10.0.0.0/8"], &["203.0.113.7"], "203.0.113.7");
        check(
            "10.0.0.2",
            &["10.0.0.0/8"],
            &["203.0.113.7:1234"],
            "203.0.113.7",
        );
        check(
            "10.0.0.2",
            &["10.0.0.0/8"],
            &["[2001:db8::1]:80"],
            "2001:db8::1",
        );
        check(
            "10.0.0.2",
            &["10.0.0.0/8"],
            &["[2001:db8::1]"],
            "2001:db8::1",
        );
    }

    #[test]
    fn the_chain_is_read_from_the_right_until_somebody_unknown() {
        check(
            "10.0.0.2",
            &["10.0.0.0/8"],
            &["1.1.1.1, 203.0.113.7, 10.0.0.3"],
            "203.0.113.7",
        );
        check(
            "10.0.0.2",
            &["10.0.0.0/8"],
            &["1.1.1.1", "203.0.113.7", "10.0.0.3"],
            "203.0.113.7",
        );
    }

    #[test]
    fn a_chain_of_trusted_hops_ends_at_its_left_end() {
        check(
            "10.0.0.2",
            &["10.0.0.0/8"],
            &["10.0.0.4, 10.0.0.3"],
            "10.0.0.4",
        );
    }

    #[test]
    fn nonsense_ends_the_chain() {
        check(
            "10.0.0.2",
            &["10.0.0.0/8"],
            &["203.0.113.7, unknown, 10.0.0.3"],
            "10.0.0.3",
        );
        check("10.0.0.2", &["10.0.0.0/8"], &[""], "10.0.0.2");
        check(
            "10.0.0.2",
            &["10.0.0.0/8"],
            &["203.0.113.7:0", "10.0.0.3"],
            "10.0.0.3",
        );
    }

    #[test]
    fn commas_and_blanks_part_the_hops() {
        for chain in [
            "203.0.113.7,10.0.0.3",
            "203.0.113.7 10.0.0.3",
            "1.1.1.1, 203.0.113.7\t,, 10.0.0.3 , ",
        ] {
            check("10.0.0.2", &["10.0.0.0/8"], &[chain], "203.0.113.7");
        }
        check(
            "10.0.0.2",
            &["10.0.0.0/8"],
            &["203.0.113.7", ", 10.0.0.3"],
            "10.0.0.3",
        );
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        check("::ffff:10.0.0.1", &[], &[], "10.0.0.1");
        check(
            "::ffff:10.0.0.1",
            &["10.0.0.0/8"],
            &["::ffff:8.8.8.8"],
            "8.8.8.8",
        );
    }

    #[test]
    fn addresses_are_written_as_nginx_writes_them() {
        for text in [
            "::",
            "::1",
            "::12",
            "::54.43.138.131",
            "::0.0.18.52",
            "::1201",
            "1:0:2:3:4:5:6:7",
            "::1:2:3",
        ] {
            check(text, &[], &[], text);
        }
    }

    #[test]
    fn the_scheme_is_believed_from_trusted_hops_only() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let scheme = |peer: &str| {
            let none = std::iter::empty::<&[u8]>();
            Client::behind(Some(peer.parse().unwrap()), &trusted, none, Some(b"HTTPS")).scheme
        };
        assert_eq!(scheme("10.0.0.1"), Scheme::Https);
        assert_eq!(scheme("8.8.8.8"), Scheme::Http);
    }

    #[test]
    fn the_scheme_of_the_connection_is_that_of_the_client_unless_a_trusted_hop_says_otherwise() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let scheme = |peer: &str, proto: Option<&[u8]>| {
            let peer = Peer {
                ip: Some(peer.parse().unwrap()),
                scheme: Scheme::Https,
            };
            Client::behind(peer, &trusted, std::iter::empty(), proto).scheme
        };
        assert_eq!(scheme("8.8.8.8", None), Scheme::Https);
        assert_eq!(scheme("8.8.8.8", Some(b"http")), Scheme::Https);
        assert_eq!(scheme("10.0.0.1", None), Scheme::Https);
        assert_eq!(scheme("10.0.0.1", Some(b"http")), Scheme::Http);
    }

    #[test]
    fn an_address_is_written_as_the_standard_library_does() {
        for octet in 0..=255_u8 {
            for ip in [
                Ipv4Addr::new(octet, 0, 255, octet.wrapping_mul(7)),
                Ipv4Addr::new(1, octet, 99, 100),
            ] {
                assert_eq!(dotted(ip), ip.to_string());
            }
        }
    }

    proptest! {
        /// What a trusted peer passes on may be anything. Of a peer that is not trusted, nothing is believed.
        #[test]
        fn any_header_names_a_client_or_nobody(
            values in vec(vec(any::<u8>(), 0..60), 0..4),
            hops in vec("[0-9a-f.:,\\[\\] ]{0,30}", 0..4),
            proto in vec(any::<u8>(), 0..10),
        ) {
            let mut values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            values.extend(hops.iter().map(String::as_bytes));
            let peer = Some(IpAddr::from([10, 0, 0, 1]));
            let everybody: Vec<IpNet> = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
            let seen = Client::behind(peer, &everybody, values.iter().copied(), Some(&proto));
            prop_assert!(!seen.address_text().is_empty());
            let untrusted = Client::behind(peer, &[], values.into_iter(), Some(&proto));
            prop_assert_eq!(untrusted.ip, peer);
            prop_assert_eq!(untrusted.scheme, Scheme::Http);
        }
    }
}
