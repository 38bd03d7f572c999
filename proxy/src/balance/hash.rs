//! A key decides, bit for bit as nginx's `hash KEY`.
//!
//! A miss hashes again with the round's number before the key; after 20 misses smooth weighted round robin decides.
//! Static weights only: a server that is down or out keeps its share of the keys. Adding or removing one moves most
//! keys; see `hash_consistent` for the remedy.

use super::{Aim, round_robin};
use crate::pool::{Group, Pool, Seconds, Tried};

pub type Chain = Aim<Rounds>;

/// The rounds of one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rounds {
    sum: u32,
    count: u32,
}

impl Rounds {
    fn advance(&mut self, key: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        if self.count > 0 {
            let mut digits = [0; DIGITS_MAX];
            crc.update(decimal(self.count, &mut digits));
        }
        crc.update(key);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.wrapping_add((crc.finalize() >> 16) & 0x7fff);
        self.sum
    }
}

/// Of a `u32`.
const DIGITS_MAX: usize = 10;

/// The number as text, without allocating.
fn decimal(mut number: u32, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut start = DIGITS_MAX;
    for (index, place) in digits.iter_mut().enumerate().rev() {
        // A digit is less than ten.
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        start = index;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

pub fn pick(
    pool: &Pool,
    key: &[u8],
    chain: &mut Chain,
    tried: &Tried,
    now: Seconds,
) -> Option<usize> {
    if !key.is_empty() {
        let next = |rounds: &mut Rounds| u64::from(rounds.advance(key));
        if let Some((index, _)) = chain.hit(pool, tried, now, next) {
            return Some(index);
        }
    }
    round_robin::pick(pool.group(Group::Primary), tried, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::pool;
    use proptest::prelude::*;

    fn picked(servers: &str, key: &str) -> Option<usize> {
        let mut chain = Chain::default();
        pick(
            &pool(servers),
            key.as_bytes(),
            &mut chain,
            &Tried::default(),
            0,
        )
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 21, 999, u32::MAX] {
            let mut digits = [0; DIGITS_MAX];
            assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
        }
    }

    #[test]
    fn an_empty_key_goes_round() {
        let pool = pool("a b c");
        let next = || pick(&pool, b"", &mut Chain::default(), &Tried::default(), 0);
        assert_eq!([next(), next(), next()], [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn all_down_is_nobody() {
        assert_eq!(picked("a! b!", "key"), None);
    }

    #[test]
    fn the_chain_goes_on_over_retries() {
        let (pool, mut chain, mut tried) = (pool("a b c"), Chain::default(), Tried::default());
        let mut picked = Vec::new();
        while let Some(index) = pick(&pool, b"some key", &mut chain, &tried, 0) {
            tried.insert(index);
            picked.push(index);
        }
        picked.sort_unstable();
        assert_eq!(picked, [0, 1, 2], "every server is tried once, none twice");
    }

    proptest! {
        #[test]
        fn one_server_down_moves_only_its_own_keys(key in "[a-z0-9]{1,20}", down in 0_usize..4) {
            let all = picked("a b=3 c d", &key).unwrap();
            let words: Vec<_> = ["a", "b=3", "c", "d"]
                .iter().enumerate().map(|(index, word)| format!("{word}{}", if index == down { "!" } else { "" }))
                .collect();
            let less = picked(&words.join(" "), &key).unwrap();
            prop_assert_ne!(less, down);
            prop_assert!(all == down || less == all);
        }
    }

    #[test]
    fn keys_are_spread_by_weight() {
        let mut counts = [0_u32; 3];
        for number in 0..4000 {
            counts[picked("a b=2 c", &format!("client {number}")).unwrap()] += 1;
        }
        for (count, expected) in counts.iter().zip([1000_u32, 2000, 1000]) {
            assert!(count.abs_diff(expected) < expected / 5, "{counts:?}");
        }
    }
}
