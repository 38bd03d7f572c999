//! How much a client may do: sizes, counts and the token bucket.
//!
//! The numbers come from the settings; here they are only applied. Time is an argument.

use std::time::{Duration, Instant};

use super::refusal::Refusal;

/// Longest `type` of a message, in bytes. It is a word such as `text`, kept with every message.
pub const TYPE_BYTES_MAX: usize = 64;

/// Longest `clientMsgId`, in bytes. It becomes part of an index key; UUIDs and nanoids are far below.
pub const CLIENT_MSG_ID_BYTES_MAX: usize = 128;

/// Longest emoji of a reaction, in bytes: a family with skin tones has 41, and names such as `party_parrot` are fine as well.
pub const EMOJI_BYTES_MAX: usize = 64;

/// Longest display name, in bytes. It is stored with every message.
pub const NAME_BYTES_MAX: usize = 64;

/// What the core must know of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest message content, in bytes of UTF-8.
    pub content_bytes_max: usize,
    /// How many messages one client may send per second, on average.
    pub messages_per_second_max: u32,
    /// How many messages one client may send at once after a silence.
    pub messages_burst_max: u32,
    /// The same over all connections of one user.
    pub user_messages_per_second_max: u32,
    pub user_messages_burst_max: u32,
    /// How many rooms one socket may be in.
    pub rooms_per_socket_max: usize,
    /// Most messages in one page of history.
    pub page_messages_max: u32,
    /// Messages in the answer to a join that does not say.
    pub join_messages_default: u32,
    /// How long after it was sent a message may be edited.
    pub edit_window: Duration,
    /// Reactions that one message may have, over all users and emojis.
    pub reactions_per_message_max: usize,
    /// Different emojis that one message may have.
    pub emojis_per_message_max: usize,
}

/// How many messages a page has for a client that asks for `wanted`.
///
/// # Errors
/// The refusal to answer. A client that silently got less than it asked for would take it for everything.
pub fn page_limit(wanted: Option<u64>, limits: &Limits) -> Result<u32, Refusal> {
    let Some(wanted) = wanted else {
        return Ok(limits.join_messages_default.min(limits.page_messages_max));
    };
    match u32::try_from(wanted) {
        Ok(limit) if (1..=limits.page_messages_max).contains(&limit) => Ok(limit),
        _ => {
            let message = format!("limit is not from 1 to {}", limits.page_messages_max);
            Err(Refusal::bad_request(message))
        }
    }
}

/// How fast, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: u32,
}

impl Limits {
    /// What one connection may send.
    #[must_use]
    pub fn connection_rate(&self) -> Rate {
        Rate {
            per_second: f64::from(self.messages_per_second_max),
            burst: self.messages_burst_max,
        }
    }

    /// What one user may send over all connections to this server.
    #[must_use]
    pub fn user_rate(&self) -> Rate {
        Rate {
            per_second: f64::from(self.user_messages_per_second_max),
            burst: self.user_messages_burst_max,
        }
    }
}

/// A token bucket: never admits more than `burst + rate × t` over any time `t`.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    tokens: f64,
    counted_at: Instant,
}

impl TokenBucket {
    /// A bucket starts full: a client that just arrived may catch up at once.
    #[must_use]
    pub fn full(rate: Rate, now: Instant) -> Self {
        Self {
            tokens: f64::from(rate.burst),
            counted_at: now,
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long until there is one, when the bucket is empty.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.refill(rate, now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(
            (1.0 - self.tokens) / rate.per_second,
        ))
    }

    /// Puts a token back that was taken in vain.
    pub fn give_back(&mut self, rate: Rate) {
        self.tokens = (self.tokens + 1.0).min(f64::from(rate.burst));
    }

    /// Whether nothing has been taken lately.
    pub fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.tokens >= f64::from(rate.burst)
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let elapsed = now.saturating_duration_since(self.counted_at);
        self.tokens =
            (self.tokens + elapsed.as_secs_f64() * rate.per_second).min(f64::from(rate.burst));
        self.counted_at = self.counted_at.max(now);
    }
}

/// The buckets that a message takes from: its connection's and its user's.
#[derive(Debug)]
pub struct Buckets<'a> {
    pub connection: &'a mut TokenBucket,
    pub user: &'a mut TokenBucket,
}

impl Buckets<'_> {
    /// Takes one token from each, or none.
    ///
    /// # Errors
    /// How long until it is worth trying again.
    pub fn take(&mut self, limits: &Limits, now: Instant) -> Result<(), Duration> {
        self.connection.take(limits.connection_rate(), now)?;
        self.user
            .take(limits.user_rate(), now)
            .inspect_err(|_| self.connection.give_back(limits.connection_rate()))
    }
}

#[cfg(test)]
mod tests;
