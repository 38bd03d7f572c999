//! One signed request to a receiver, and what its answer means.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};

use super::batch::Batch;
use super::{Webhook, signature};
use crate::clock;

/// What is read of an answer's body so that the connection can be used again; nobody looks at it.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Connecting; the whole request has `webhooks.timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const USER_AGENT: &str = concat!("berth-backend/", env!("CARGO_PKG_VERSION"));

/// Makes the requests of all webhooks of a server.
#[derive(Clone, Debug)]
pub(super) struct Post(reqwest::Client);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// 2xx: the receiver has it.
    Taken,
    Failed {
        why: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
        /// 410: there is nobody any more.
        is_gone: bool,
    },
}

impl Post {
    /// Redirects are failures: what was signed for one receiver is sent to no other.
    ///
    /// # Errors
    /// When the system has no certificates to judge receivers by.
    pub(super) fn new(timeout: Duration) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(USER_AGENT)
            .build();
        client.map(Self)
    }

    pub(super) async fn tell(&self, webhook: &Webhook, batch: &Batch, body: String) -> Answer {
        let timestamp_s = clock::unix_ms() / 1_000;
        let secrets = &webhook.secrets;
        let signature = signature::sign(secrets, &batch.id, timestamp_s, body.as_bytes());
        let request = self
            .0
            .post(webhook.url.reveal())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &batch.id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", signature)
            .body(body);
        match request.send().await {
            Ok(mut response) => {
                let (status, retry_after) = (response.status(), retry_after(response.headers()));
                let mut bytes = 0;
                while bytes < ANSWER_BYTES_MAX
                    && let Ok(Some(chunk)) = response.chunk().await
                {
                    bytes += chunk.len();
                }
                judged(status, retry_after)
            }
            Err(error) => Answer::Failed {
                why: reason(&error),
                retry_after: None,
                is_gone: false,
            },
        }
    }
}

fn judged(status: StatusCode, retry_after: Option<Duration>) -> Answer {
    if status.is_success() {
        return Answer::Taken;
    }
    Answer::Failed {
        why: format!("answered {}", status.as_u16()),
        retry_after,
        is_gone: status == StatusCode::GONE,
    }
}

/// Seconds; a date is not understood, and the usual pause is made.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// In words that hold no URL: that may have a token in it.
fn reason(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "did not answer in time"
    } else if error.is_connect() {
        "cannot be reached"
    } else {
        "broke off"
    };
    let mut source = std::error::Error::source(error);
    while let Some(deeper) = source.and_then(std::error::Error::source) {
        source = Some(deeper);
    }
    match source {
        Some(cause) => format!("{kind}: {cause}"),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_taken() {
        for (status, is_taken) in [
            (200, true),
            (204, true),
            (301, false),
            (404, false),
            (500, false),
        ] {
            let answer = judged(StatusCode::from_u16(status).unwrap(), None);
            assert_eq!(answer == Answer::Taken, is_taken, "{status}");
        }
        let gone = judged(StatusCode::GONE, None);
        assert!(matches!(gone, Answer::Failed { is_gone: true, .. }));
    }

    #[test]
    fn a_receiver_says_how_long_to_leave_it_alone() {
        let asked = |value: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers)
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Sat, 28 Nov 2026 22:00:00 GMT"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
