//! How often somebody may try to log in: per user name and per client address, within a bounded memory. Time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::chat::limits::{Rate, TokenBucket};

/// Names and addresses remembered at once; the quiet ones are forgotten first, for they have no debt.
const KEYS_MAX: usize = 10_000;

/// What was tried, and by whom.
pub struct Attempts {
    by_user: Tries<String>,
    by_client: Tries<IpAddr>,
}

struct Tries<K> {
    rate: Rate,
    buckets: HashMap<K, TokenBucket>,
}

impl Attempts {
    /// As many per minute, and as many at once.
    #[must_use]
    pub fn new(user_per_minute: u32, client_per_minute: u32) -> Self {
        Self {
            by_user: Tries::new(user_per_minute),
            by_client: Tries::new(client_per_minute),
        }
    }

    /// Counts an attempt on `user`, if it is about one, from `client`.
    ///
    /// # Errors
    /// How long until the next one is allowed.
    pub fn begin(
        &mut self,
        user: Option<&str>,
        client: IpAddr,
        now: Instant,
    ) -> Result<(), Duration> {
        self.by_client.take(network(client), now)?;
        if let Some(user) = user {
            self.by_user.take(user.to_owned(), now)?;
        }
        Ok(())
    }

    /// It was who it said: takes the attempt back.
    pub fn succeeded(&mut self, user: &str, client: IpAddr) {
        self.by_client.give_back(&network(client));
        self.by_user.give_back(&user.to_owned());
    }
}

/// Whoever has one IPv6 address has all of its /64.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl<K: Hash + Eq> Tries<K> {
    fn new(per_minute: u32) -> Self {
        Self {
            rate: Rate {
                per_second: f64::from(per_minute) / 60.0,
                burst: per_minute,
            },
            buckets: HashMap::new(),
        }
    }

    fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        let rate = self.rate;
        if self.buckets.len() >= KEYS_MAX && !self.buckets.contains_key(&key) {
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
            if self.buckets.len() >= KEYS_MAX {
                // Ten thousand are being tried at once: nobody new until that calms down.
                return Err(Duration::from_secs(60));
            }
        }
        let bucket = self.buckets.entry(key);
        bucket
            .or_insert_with(|| TokenBucket::full(rate, now))
            .take(rate, now)
    }

    fn give_back(&mut self, key: &K) {
        if let Some(bucket) = self.buckets.get_mut(key) {
            bucket.give_back(self.rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_user_and_a_client_are_counted_each() {
        let now = clock::monotonic();
        let mut attempts = Attempts::new(3, 5);
        for _ in 0..3 {
            assert_eq!(attempts.begin(Some("ann"), HERE, now), Ok(()));
        }
        assert!(attempts.begin(Some("ann"), HERE, now).is_err());
        let wait = attempts
            .begin(Some("ann"), "192.0.2.1".parse().unwrap(), now)
            .unwrap_err();
        assert!(wait > Duration::from_secs(19) && wait <= Duration::from_secs(20));
        assert_eq!(attempts.begin(Some("ben"), HERE, now), Ok(()));
        assert!(attempts.begin(Some("cal"), HERE, now).is_err());
        let later = now + Duration::from_secs(20);
        assert_eq!(attempts.begin(Some("ann"), HERE, later), Ok(()));
    }

    #[test]
    fn a_success_costs_nothing() {
        let now = clock::monotonic();
        let mut attempts = Attempts::new(2, 2);
        for _ in 0..10 {
            assert_eq!(attempts.begin(Some("ann"), HERE, now), Ok(()));
            attempts.succeeded("ann", HERE);
        }
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn memory_is_bounded() {
        let now = clock::monotonic();
        let mut tries = Tries::new(1);
        for key in 0..KEYS_MAX {
            assert_eq!(tries.take(key, now), Ok(()));
        }
        assert!(tries.take(KEYS_MAX, now).is_err());
        let later = now + Duration::from_secs(60);
        assert_eq!(tries.take(KEYS_MAX, later), Ok(()));
        assert_eq!(tries.buckets.len(), 1);
    }
}
