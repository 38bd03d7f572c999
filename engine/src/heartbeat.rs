//! When a session is pinged, and when it is dead.
//!
//! Pure: `now` is an argument.
//! ([protocol](https://socket.io/docs/v4/engine-io-protocol/#heartbeat): the server pings, the client answers)

use std::time::{Duration, Instant};

/// One session's heartbeat.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    /// The last ping, or the beginning.
    last: Instant,
    is_answered: bool,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    /// The last ping was not answered in time.
    Dead,
}

impl Heartbeat {
    pub(crate) fn new(interval: Duration, timeout: Duration, now: Instant) -> Self {
        Self {
            interval,
            timeout,
            last: now,
            is_answered: true,
        }
    }

    /// The client answered, or pinged by itself: it is there.
    pub(crate) fn answered(&mut self) {
        self.is_answered = true;
    }

    /// What is due now. A ping that is due counts as sent.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        let since = now.saturating_duration_since(self.last);
        match self.is_answered {
            false if since >= self.timeout => Due::Dead,
            true if since >= self.interval => {
                (self.last, self.is_answered) = (now, false);
                Due::Ping
            }
            _ => Due::Nothing,
        }
    }

    /// When to ask again.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let (ping, death) = (self.last + self.interval, self.last + self.timeout);
        match self.is_answered {
            true => ping,
            // An answer may come meanwhile, and then the next ping is due.
            false if ping > now => ping.min(death),
            false => death,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(25);
    const TIMEOUT: Duration = Duration::from_secs(60);

    #[test]
    fn who_answers_is_pinged_at_the_interval() {
        let begin = crate::clock::now();
        let mut heartbeat = Heartbeat::new(INTERVAL, TIMEOUT, begin);
        assert_eq!(heartbeat.due(begin + INTERVAL / 2), Due::Nothing);
        for round in 1..=3 {
            let now = heartbeat.next(begin);
            assert_eq!(now, begin + INTERVAL * round);
            assert_eq!(heartbeat.due(now), Due::Ping);
            assert_eq!(heartbeat.due(now), Due::Nothing);
            heartbeat.answered();
        }
    }

    #[test]
    fn who_does_not_answer_is_dead_after_the_timeout() {
        let begin = crate::clock::now();
        for (interval, timeout) in [(INTERVAL, TIMEOUT), (TIMEOUT, INTERVAL)] {
            let mut heartbeat = Heartbeat::new(interval, timeout, begin);
            let mut now = begin;
            let mut looks = 0;
            loop {
                now = heartbeat.next(now);
                looks += 1;
                assert!(looks < 5, "it is looked at for ever");
                if heartbeat.due(now) == Due::Dead {
                    break;
                }
            }
            assert_eq!(now, begin + interval + timeout);
        }
    }

    #[test]
    fn a_late_answer_is_followed_by_a_ping_at_once() {
        let begin = crate::clock::now();
        let mut heartbeat = Heartbeat::new(INTERVAL, TIMEOUT, begin);
        let pinged = begin + INTERVAL;
        assert_eq!(heartbeat.due(pinged), Due::Ping);
        let late = pinged + INTERVAL * 2;
        assert_eq!(heartbeat.due(late), Due::Nothing);
        assert_eq!(heartbeat.next(late), pinged + TIMEOUT);
        heartbeat.answered();
        assert_eq!(heartbeat.due(late), Due::Ping);
    }
}
