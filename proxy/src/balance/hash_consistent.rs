//! A key decides by its place on a ring, bit for bit as nginx's `hash KEY consistent` (and as libketama's clients).
//!
//! Every server has 160 points per weight on the ring, made from its address as it stands in the settings; a key
//! belongs to the first point at or after its own hash. Adding or removing a server moves only the keys of its points,
//! and the order of the servers does not matter. After 20 points that cannot serve, smooth weighted round robin decides.

use super::{MISSES_MAX, round_robin};
use crate::pool::{Group, Pool, Seconds, Server, Tried};

/// Points on the ring for one unit of weight (nginx).
const POINTS_PER_WEIGHT: usize = 160;

/// Where the servers are on the ring; empty unless the pool is balanced by it.
#[derive(Debug, Default)]
pub struct Ring {
    /// By rising hash, each once.
    points: Box<[Point]>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    hash: u32,
    /// The first server with this address; the others behind the same name follow it.
    first: usize,
}

/// Where one request is on the ring; kept while the request is retried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    steps: u32,
    misses: u32,
}

impl Walk {
    /// Whether it walked in vain, so that servers take turns instead.
    pub(crate) fn has_given_up(&self) -> bool {
        self.misses > MISSES_MAX
    }
}

impl Ring {
    /// The ring of the primaries.
    pub fn of<'a>(servers: impl Iterator<Item = (usize, &'a Server)>) -> Self {
        let mut points = Vec::new();
        let mut last = None;
        for (first, server) in servers {
            if last == Some(&server.configured) {
                // One more address behind the same name: the same points.
                continue;
            }
            last = Some(&server.configured);
            let mut hash = 0_u32;
            let base = base(&server.configured);
            for _ in 0..POINTS_PER_WEIGHT * server.weight as usize {
                let mut crc = base.clone();
                crc.update(&hash.to_le_bytes());
                hash = crc.finalize();
                points.push(Point { hash, first });
            }
        }
        // Stable, so that of two servers with the same point the first in the settings has it.
        points.sort_by_key(|point| point.hash);
        points.dedup_by_key(|point| point.hash);
        Self {
            points: points.into_boxed_slice(),
        }
    }

    fn at(&self, hash: u32, walk: &Walk) -> Option<Point> {
        let place = self.points.partition_point(|point| point.hash < hash) + walk.steps as usize;
        self.points
            .get(place.checked_rem(self.points.len())?)
            .copied()
    }
}

/// What all points of one server begin with: `HOST \0 PORT`, or `PATH \0` of a Unix socket.
fn base(configured: &str) -> crc32fast::Hasher {
    let (host, port) = match configured.strip_prefix("unix:") {
        Some(path) => (path, ""),
        None => configured.rsplit_once(':').unwrap_or((configured, "")),
    };
    let mut crc = crc32fast::Hasher::new();
    crc.update(host.as_bytes());
    crc.update(&[0]);
    crc.update(port.as_bytes());
    crc
}

pub fn pick(
    pool: &Pool,
    key: &[u8],
    walk: &mut Walk,
    tried: &Tried,
    now: Seconds,
) -> Option<usize> {
    if pool.primaries() >= 2 && !key.is_empty() {
        let hash = crc32fast::hash(key);
        while walk.misses <= MISSES_MAX
            && let Some(point) = pool.ring().at(hash, walk)
        {
            let picked = round_robin::pick(behind_one_name(pool, point.first), tried, now);
            if picked.is_some() {
                return picked;
            }
            walk.steps += 1;
            walk.misses += 1;
        }
    }
    round_robin::pick(pool.group(Group::Primary), tried, now)
}

/// The servers that share the address of the one at `first`: usually that one alone.
fn behind_one_name(pool: &Pool, first: usize) -> impl Iterator<Item = (usize, &Server)> {
    let configured = pool.get(first).map(|server| &server.configured);
    let from_here = pool.servers().iter().enumerate().skip(first);
    from_here
        .map(|(index, server)| (index, &**server))
        .take_while(move |(index, server)| {
            *index < pool.primaries() && Some(&server.configured) == configured
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::tests::servers;
    use proptest::prelude::*;

    fn ring(words: &str) -> Pool {
        Pool::with_ring(servers(words))
    }

    fn picked<'p>(pool: &'p Pool, key: &str) -> &'p str {
        let mut walk = Walk::default();
        let index = pick(pool, key.as_bytes(), &mut walk, &Tried::default(), 0).unwrap();
        &pool.servers()[index].name
    }

    #[test]
    fn an_empty_key_goes_round() {
        let pool = ring("a b");
        assert_eq!([picked(&pool, ""), picked(&pool, "")], ["a", "b"]);
    }

    #[test]
    fn names_with_several_addresses_are_one_place_on_the_ring() {
        let twins = |configured: &str| {
            let mut two: Vec<_> = servers("a b").collect();
            for server in &mut two {
                server.configured = configured.into();
            }
            two
        };
        let pool = Pool::with_ring(twins("app:1").into_iter().chain(servers("c d")));
        assert_eq!(pool.ring().points.len(), 3 * POINTS_PER_WEIGHT);
        let key = (0..)
            .map(|number: u32| number.to_string())
            .find(|key| picked(&pool, key) <= "b");
        let turns: Vec<_> = (0..4)
            .map(|_| picked(&pool, key.as_deref().unwrap()))
            .collect();
        assert!(
            turns == ["a", "b", "a", "b"] || turns == ["b", "a", "b", "a"],
            "{turns:?}"
        );
    }

    #[test]
    fn the_walk_goes_on_over_retries() {
        let (pool, mut walk, mut tried) = (ring("a b c"), Walk::default(), Tried::default());
        let mut picked = Vec::new();
        while let Some(index) = pick(&pool, b"some key", &mut walk, &tried, 0) {
            tried.insert(index);
            picked.push(index);
        }
        picked.sort_unstable();
        assert_eq!(picked, [0, 1, 2], "every server is tried once, none twice");
    }

    #[test]
    fn all_down_is_nobody() {
        let pool = ring("a! b!");
        let picked = pick(&pool, b"key", &mut Walk::default(), &Tried::default(), 0);
        assert_eq!(picked, None);
    }

    #[test]
    fn keys_are_spread_by_weight() {
        let (pool, mut counts) = (ring("a b=2 c"), [0_u32; 3]);
        for number in 0..8000 {
            match picked(&pool, &format!("client {number}")) {
                "a" => counts[0] += 1,
                "b" => counts[1] += 1,
                _ => counts[2] += 1,
            }
        }
        for (count, expected) in counts.iter().zip([2000_u32, 4000, 2000]) {
            assert!(count.abs_diff(expected) < expected / 4, "{counts:?}");
        }
    }

    proptest! {
        #[test]
        fn removing_a_server_moves_only_its_own_keys(
            weights in prop::collection::vec(1_u32..4, 2..8),
            removed in any::<prop::sample::Index>(),
            keys in prop::collection::vec("[a-z0-9.]{1,30}", 1..100),
        ) {
            let mut words: Vec<_> = weights.iter().zip('a'..).map(|(weight, name)| format!("{name}={weight}")).collect();
            let before = ring(&words.join(" "));
            let removed = words.remove(removed.index(weights.len()));
            let after = ring(&words.join(" "));
            for key in keys {
                let owner = picked(&before, &key);
                prop_assert!(removed.starts_with(owner) || picked(&after, &key) == owner, "{}", key);
            }
        }

        #[test]
        fn a_server_that_is_down_loses_only_its_own_keys(key in "[a-z0-9.]{1,30}", down in 0_usize..4) {
            let names = ["a", "b", "c", "d"];
            let words: Vec<_> = names.iter().enumerate()
                .map(|(index, name)| format!("{name}{}", if index == down { "!" } else { "" })).collect();
            let (before, after) = (ring(&names.join(" ")), ring(&words.join(" ")));
            let (owner, heir) = (picked(&before, &key), picked(&after, &key));
            prop_assert_ne!(heir, names[down]);
            prop_assert!(owner == names[down] || heir == owner);
        }

        #[test]
        fn the_order_does_not_matter(key in "[a-z0-9.]{1,30}", words in Just(["a", "b=2", "c", "d"]).prop_shuffle()) {
            let (pool, shuffled) = (ring("a b=2 c d"), ring(&words.join(" ")));
            prop_assert_eq!(picked(&pool, &key), picked(&shuffled, &key));
        }
    }
}
