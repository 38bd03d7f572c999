//! An issuer's key set behind a URL: fetched when it is first needed, again when it is old, and when a token names a key that is not
//! in it, but never in a storm of bad tokens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::BadToken;
use super::keys::{Key, KeyProblem, keys_of_jwks};
use crate::clock;

/// Keys older than this are fetched again: a key that an issuer withdraws is believed no longer than that.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// At most one attempt per this long, whatever tokens come.
const PAUSE: Duration = Duration::from_secs(15);

/// Connecting, asking and reading together: a handshake waits for it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest key set, in bytes.
const SET_BYTES_MAX: usize = 256 * 1024;

/// The keys behind one URL.
pub struct Jwks {
    url: reqwest::Url,
    client: reqwest::Client,
    state: Mutex<State>,
    /// Held by whoever fetches; the others wait for the outcome.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    keys: Arc<Vec<Key>>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl State {
    fn should_fetch(&self, kid: Option<&str>, now: Instant) -> bool {
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        if since(self.tried_at).is_some_and(|ago| ago < PAUSE) {
            return false;
        }
        let is_fresh = since(self.fetched_at).is_some_and(|age| age < AGE_MAX);
        let is_known =
            kid.is_none_or(|kid| self.keys.iter().any(|key| key.kid.as_deref() == Some(kid)));
        !is_fresh || !is_known
    }
}

impl Jwks {
    /// Fetches nothing yet.
    ///
    /// # Errors
    /// [`KeyProblem`] when the text is no `http(s)` URL.
    pub fn at(url: &str) -> Result<Self, KeyProblem> {
        let problem = |why: String| KeyProblem(why);
        let url = reqwest::Url::parse(url).map_err(|error| problem(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(problem("is not an http or https URL".to_owned()));
        }
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| problem(error.to_string()))?;
        Ok(Self {
            url,
            client,
            state: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// The keys, which have the wanted one if the issuer has it.
    ///
    /// # Errors
    /// [`BadToken::KeysUnavailable`] while the issuer has never answered. Once it has, its last keys serve until it answers again.
    pub(super) async fn keys_for(&self, kid: Option<&str>) -> Result<Arc<Vec<Key>>, BadToken> {
        if self.snapshot().should_fetch(kid, clock::monotonic()) {
            let _fetching = self.fetching.lock().await;
            // Somebody else may have done it meanwhile.
            if self.snapshot().should_fetch(kid, clock::monotonic()) {
                self.fetch().await;
            }
        }
        let state = self.snapshot();
        match state.fetched_at {
            Some(_) => Ok(state.keys),
            None => Err(BadToken::KeysUnavailable(
                "the issuer has not answered yet".to_owned(),
            )),
        }
    }

    async fn fetch(&self) {
        let result = self.ask().await;
        let now = clock::monotonic();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tried_at = Some(now);
        match result {
            Ok(keys) => {
                state.keys = Arc::new(keys);
                state.fetched_at = Some(now);
            }
            Err(problem) => tracing::warn!(%problem, "the key set of jwt.jwks_url was not fetched"),
        }
    }

    async fn ask(&self) -> Result<Vec<Key>, KeyProblem> {
        let problem = |error: reqwest::Error| KeyProblem(error.without_url().to_string());
        let asked = self.client.get(self.url.clone()).send().await;
        let mut answer = asked
            .and_then(reqwest::Response::error_for_status)
            .map_err(problem)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(problem)? {
            body.extend_from_slice(&chunk);
            if body.len() > SET_BYTES_MAX {
                return Err(KeyProblem(format!(
                    "it is longer than {SET_BYTES_MAX} bytes"
                )));
            }
        }
        keys_of_jwks(&body)
    }

    fn snapshot(&self) -> State {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fetched_when_needed_and_not_in_a_storm() {
        let start = clock::monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut state = State::default();
        assert!(state.should_fetch(None, at(0)), "never fetched");
        state.tried_at = Some(at(0));
        assert!(!state.should_fetch(None, at(14)), "just failed");
        assert!(state.should_fetch(None, at(15)));
        (state.tried_at, state.fetched_at) = (Some(at(15)), Some(at(15)));
        assert!(!state.should_fetch(Some("new"), at(16)), "just fetched");
        assert!(state.should_fetch(Some("new"), at(30)), "an unknown key");
        assert!(!state.should_fetch(None, at(30)), "no key is named");
        assert!(state.should_fetch(None, at(15 + 600)), "old");
    }

    #[test]
    fn only_web_addresses_are_asked() {
        for url in ["", "file:///etc/passwd", "ftp://a/", "jwks.json"] {
            assert!(Jwks::at(url).is_err(), "{url}");
        }
    }
}
