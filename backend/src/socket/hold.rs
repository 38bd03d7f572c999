//! What a connection's identity rests on, and what is to be done about it now. Decides from facts; the time is one of them.

use crate::http::auth::Credential;
use crate::token::{Bearer, SessionDigest};

/// How long before a token's end its client is told.
const WARNING_MS: i64 = 60_000;

/// What a connection's identity rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Nothing that could end: a guest without a session, a bot.
    Nothing,
    /// A session, which may end at any time.
    Session { sid: String },
    /// A token, which ends when it says.
    Token {
        ends_ms: i64,
        session: Option<SessionDigest>,
        told: Told,
    },
}

/// What its client has been told about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    ItEndsSoon,
    ItHasEnded,
}

/// What to do about a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Ask whether the session is still there.
    AskFor {
        sid: String,
    },
    /// Tell the client when its token ends.
    Warn {
        ends_ms: i64,
    },
    /// Its time is over: tell the client.
    End,
    /// The client has had the time to hear of it: close its connection.
    Close,
}

impl Hold {
    /// The session it stands or falls with.
    pub(super) fn session(&self) -> Option<SessionDigest> {
        match self {
            Self::Nothing => None,
            Self::Session { sid } => Some(SessionDigest::of(sid)),
            Self::Token { session, .. } => *session,
        }
    }

    /// What is due at `now_ms`. A warning is given once.
    pub(super) fn due(&mut self, now_ms: i64) -> Due {
        match self {
            Self::Nothing => Due::Nothing,
            Self::Session { sid } => Due::AskFor { sid: sid.clone() },
            Self::Token { ends_ms, told, .. } => {
                let is_soon = ends_ms.saturating_sub(WARNING_MS) <= now_ms;
                match (*ends_ms <= now_ms, *told) {
                    (true, Told::ItHasEnded) => Due::Close,
                    (true, Told::Nothing | Told::ItEndsSoon) => {
                        *told = Told::ItHasEnded;
                        Due::End
                    }
                    (false, Told::Nothing) if is_soon => {
                        *told = Told::ItEndsSoon;
                        Due::Warn { ends_ms: *ends_ms }
                    }
                    (false, _) => Due::Nothing,
                }
            }
        }
    }

    /// Milliseconds until it must be looked at again, at most `interval_ms`; none when never.
    pub(super) fn next_look_ms(&self, interval_ms: i64, now_ms: i64) -> Option<i64> {
        match self {
            Self::Nothing => None,
            Self::Session { .. } => Some(interval_ms),
            Self::Token { ends_ms, told, .. } => {
                let warning_ms = match told {
                    Told::Nothing => WARNING_MS,
                    Told::ItEndsSoon | Told::ItHasEnded => 0,
                };
                let until_ms = ends_ms.saturating_sub(warning_ms).saturating_sub(now_ms);
                Some(until_ms.clamp(0, interval_ms))
            }
        }
    }
}

impl From<&Bearer> for Hold {
    fn from(bearer: &Bearer) -> Self {
        Self::Token {
            ends_ms: bearer.ends_ms,
            session: bearer.session,
            told: Told::Nothing,
        }
    }
}

impl From<&Credential> for Hold {
    fn from(credential: &Credential) -> Self {
        match credential {
            Credential::Session { sid, .. } => Self::Session { sid: sid.clone() },
            Credential::Token(bearer) => Self::from(bearer),
            // A key is taken back by a restart, which ends every connection.
            Credential::Key => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_339_157_084;
    const HOUR_MS: i64 = 3_600_000;

    fn token(ends_ms: i64) -> Hold {
        Hold::Token {
            ends_ms,
            session: None,
            told: Told::Nothing,
        }
    }

    #[test]
    fn a_token_warns_once_and_then_ends() {
        let ends_ms = NOW_MS + HOUR_MS;
        let mut hold = token(ends_ms);
        let look = |hold: &Hold, now_ms| hold.next_look_ms(60_000, now_ms).unwrap();
        assert_eq!(hold.due(NOW_MS), Due::Nothing);
        assert_eq!(look(&hold, NOW_MS), 60_000, "never later than the interval");
        assert_eq!(look(&hold, ends_ms - 90_000), 30_000);
        assert_eq!(hold.due(ends_ms - 60_001), Due::Nothing);
        assert_eq!(hold.due(ends_ms - 60_000), Due::Warn { ends_ms });
        assert_eq!(hold.due(ends_ms - 60_000), Due::Nothing);
        assert_eq!(look(&hold, ends_ms - 60_000), 60_000);
        assert_eq!(hold.due(ends_ms - 1), Due::Nothing);
        assert_eq!(hold.due(ends_ms), Due::End);
        assert_eq!(look(&hold, ends_ms), 0);
        assert_eq!(hold.due(ends_ms + 500), Due::Close);
    }

    #[test]
    fn a_short_token_warns_at_once() {
        let mut hold = token(NOW_MS + 1_000);
        assert_eq!(hold.next_look_ms(60_000, NOW_MS), Some(0));
        assert!(matches!(hold.due(NOW_MS), Due::Warn { .. }));
        assert_eq!(hold.next_look_ms(60_000, NOW_MS), Some(1_000));
    }

    #[test]
    fn a_session_is_asked_for_every_time() {
        let sid = "sid".to_owned();
        let mut hold = Hold::Session { sid: sid.clone() };
        assert_eq!(hold.session(), Some(SessionDigest::of("sid")));
        assert_eq!(hold.due(NOW_MS), Due::AskFor { sid });
        assert_eq!(hold.next_look_ms(60_000, NOW_MS), Some(60_000));
        assert_eq!(Hold::Nothing.next_look_ms(60_000, NOW_MS), None);
    }
}
