//! The client's address decides, bit for bit as nginx's `ip_hash`.
//!
//! The hash chain continues over misses and over retries of the same request; after 20 misses smooth weighted round
//! robin decides. Static weights only: a failed server keeps its share of the addresses, so they return to it.

use super::{Aim, round_robin};
use crate::client::HashBytes;
use crate::pool::{Group, Pool, Seconds, Tried};

pub type Chain = Aim<Hash>;

/// The chain of one request.
#[derive(Clone, Copy, Debug)]
pub struct Hash(u32);

impl Default for Hash {
    fn default() -> Self {
        Self(89)
    }
}

impl Hash {
    fn advance(&mut self, address: HashBytes) -> u32 {
        for byte in address.as_slice() {
            self.0 = (self.0 * 113 + u32::from(*byte)) % 6271;
        }
        self.0
    }
}

pub fn pick(
    pool: &Pool,
    address: HashBytes,
    chain: &mut Chain,
    tried: &Tried,
    now: Seconds,
) -> Option<usize> {
    let next = |hash: &mut Hash| u64::from(hash.advance(address));
    if let Some((index, _)) = chain.hit(pool, tried, now, next) {
        return Some(index);
    }
    round_robin::pick(pool.group(Group::Primary), tried, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::pool::tests::pool;
    use proptest::prelude::*;

    fn bytes(ip: &str) -> HashBytes {
        Client::behind(Some(ip.parse().unwrap()), &[], std::iter::empty(), None).hash_bytes()
    }

    #[track_caller]
    fn check(ip: &str, servers: &str, picked: usize) {
        let index = pick(
            &pool(servers),
            bytes(ip),
            &mut Chain::default(),
            &Tried::default(),
            0,
        );
        assert_eq!(index, Some(picked), "{ip} among {servers}");
    }

    /// Computed from nginx's text and compared with a real nginx 1.22.1 on 1800 addresses.
    const VECTORS: &[(&str, u32, [usize; 4])] = &[
        ("127.0.0.1", 4040, [0, 2, 0, 0]),
        ("10.0.0.1", 2565, [1, 0, 1, 0]),
        ("10.0.0.254", 2565, [1, 0, 1, 0]),
        ("192.168.1.10", 154, [0, 1, 2, 0]),
        ("192.168.2.10", 155, [1, 2, 3, 0]),
        ("203.0.113.7", 2592, [0, 0, 0, 0]),
        ("8.8.8.8", 3023, [1, 2, 3, 2]),
        ("1.1.1.1", 636, [0, 0, 0, 2]),
        ("198.51.100.23", 936, [0, 0, 0, 1]),
        ("2001:db8::1", 2600, [0, 2, 0, 0]),
        ("2001:db8::2", 2601, [1, 0, 1, 0]),
        ("::1", 5945, [1, 2, 1, 0]),
    ];

    #[test]
    fn nginx_vectors() {
        for (ip, hash, picked) in VECTORS {
            assert_eq!(Hash::default().advance(bytes(ip)), *hash, "{ip}");
            for (servers, picked) in ["a b", "a b c", "a b c d", "a=5 b c"].iter().zip(picked) {
                check(ip, servers, *picked);
            }
        }
    }

    #[test]
    fn a_mapped_address_hashes_as_ipv4() {
        assert_eq!(bytes("::ffff:10.0.0.1"), bytes("10.0.0.1"));
    }

    #[test]
    fn clients_of_a_server_that_is_down_rehash() {
        check("10.0.0.1", "a! b c", 1);
        check("192.168.1.10", "a b! c", 2);
        check("203.0.113.7", "a! b c", 2);
    }

    #[test]
    fn the_chain_goes_on_over_retries() {
        let (pool, mut chain, mut tried) = (pool("a b c"), Chain::default(), Tried::default());
        let address = bytes("203.0.113.7");
        let mut picked = Vec::new();
        while let Some(index) = pick(&pool, address, &mut chain, &tried, 0) {
            tried.insert(index);
            picked.push(index);
        }
        assert_eq!(picked[..2], [0, 2]);
        assert_eq!(picked.len(), 3, "every server is tried once, none twice");
    }

    #[test]
    fn all_down_is_nobody() {
        let index = pick(
            &pool("a! b!"),
            bytes("::1"),
            &mut Chain::default(),
            &Tried::default(),
            0,
        );
        assert_eq!(index, None);
    }

    proptest! {
        #[test]
        fn one_server_down_moves_only_its_own_clients(ip in any::<[u8; 4]>(), down in 0_usize..4) {
            let address = HashBytes::Three([ip[0], ip[1], ip[2]]);
            let all = pick(&pool("a b c d"), address, &mut Chain::default(), &Tried::default(), 0).unwrap();
            let words: Vec<_> = ["a", "b", "c", "d"]
                .iter().enumerate().map(|(index, name)| if index == down { format!("{name}!") } else { (*name).to_owned() })
                .collect();
            let less = pick(&pool(&words.join(" ")), address, &mut Chain::default(), &Tried::default(), 0).unwrap();
            prop_assert_ne!(less, down);
            prop_assert!(all == down || less == all);
        }
    }
}
