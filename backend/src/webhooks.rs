//! Tells other programs what is said: every entry of the logs, at least once, in the order of each room, by signed HTTP requests.
//!
//! The log is the queue. A webhook has a cursor in every room, kept here, behind which its entries are read from the store; so nothing is
//! lost that is in the log, nothing is held in memory for a receiver that is away, and no receiver is waited for by a chat.
//! This module has the words and the port. Core: `wants`, `signature`, `schedule`, `batch`. Shell: `pump` finds out what is to be told and
//! which webhooks are this server's, `courier` tells it, by `errand`s of one `post` each.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::chat::room::RoomId;

pub mod batch;
#[cfg(test)]
mod contract;
mod courier;
mod errand;
mod feed;
pub mod memory;
pub mod mongodb;
mod post;
mod pump;
mod registry;
pub mod schedule;
pub mod signature;
pub mod sqlite;
pub mod wants;

pub use feed::Feed;
pub use pump::{Pump, run};
pub use registry::{NotRemoved, Registry, Shown};
pub use signature::SigningSecret;
pub use wants::Wants;

/// Longest id, in bytes.
const ID_BYTES_MAX: usize = 64;

/// Names a webhook, and with it its place in every log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookId(String);

impl WebhookId {
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "\"{text}\" cannot name a webhook; use 1 to {ID_BYTES_MAX} letters, digits, dashes and underscores"
        ))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    pub url: Receiver,
    /// Each signs: while a secret is replaced there are two.
    pub secrets: Vec<SigningSecret>,
    pub wants: Wants,
    /// Milliseconds since the Unix epoch; 0 for one of the settings.
    pub created_ms: i64,
}

/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// Where a webhook's requests go. Debug and Display leave out the query, where people put tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Receiver(String);

impl Receiver {
    /// # Errors
    /// What would be right. The text is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(text).map_err(|why| format!("is no URL: {why}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("is not an http or https URL".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            let why = "has a user name or password in it; what comes is known by its signature";
            return Err(why.to_owned());
        }
        if text.len() > URL_BYTES_MAX {
            return Err(format!("is longer than {URL_BYTES_MAX} bytes"));
        }
        Ok(Self(url.into()))
    }

    /// The whole URL, for the request, for keeping, and for whoever has the admin token.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('?') {
            Some((url, _)) => write!(f, "{url}?***"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Up to where a webhook was told of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub seq: u64,
    /// Names the log that the seq is of. In another one everything is news.
    pub epoch: String,
}

/// How it goes with a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub state: State,
    /// Since when nothing was delivered that was tried.
    pub failing_since_ms: Option<i64>,
    /// Tries that failed since then.
    pub failures: u64,
    /// What the last of them died of.
    pub error: Option<String>,
    /// When something was last delivered.
    pub delivered_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Ok,
    /// The last try failed.
    Failing,
    /// It has failed for so long that it is hardly tried any more. Nothing is forgotten.
    Paused,
}

impl State {
    pub const ALL: [Self; 3] = [Self::Ok, Self::Failing, Self::Paused];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Paused => "paused",
        }
    }

    fn parse(text: &str) -> Self {
        let is_it = |state: &Self| state.as_str() == text;
        Self::ALL.into_iter().find(is_it).unwrap_or_default()
    }
}

/// What is on record of a webhook beside its registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub id: WebhookId,
    /// Whether its places in the logs that were there before it are on record.
    pub is_begun: bool,
    /// The server that tells it, while its lease lasts.
    pub holder: Option<String>,
    pub standing: Standing,
    /// When somebody last asked to have it tried again at once; 0 = never.
    pub resumed_ms: i64,
}

/// Why webhooks could not be asked. `Display` is for logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhooksError {
    #[error("webhooks unavailable: {0}")]
    Unavailable(String),
    /// Trying again does not help.
    #[error("webhooks broken: {0}")]
    Broken(String),
}

/// Where webhooks, their places in the logs and the leases on them live. Several servers share them.
///
/// Guarantees, for each implementation and with any number of processes on the same data:
/// - A webhook that was created is listed to everybody until it is removed, and a crash does not lose it. Removing takes along all that is
///   kept of it.
/// - A cursor only moves forward within an epoch, whoever moves it; one of another epoch takes its place.
/// - At most one holder has a webhook at a time. A lease ends by itself, by a clock that all holders share, and is then anybody's.
#[async_trait]
pub trait Webhooks: Send + Sync + 'static {
    async fn create(&self, webhook: &Webhook) -> Result<(), WebhooksError>;

    /// False: there is no such webhook.
    async fn remove(&self, id: &WebhookId) -> Result<bool, WebhooksError>;

    /// Those that were created, in the order of their ids.
    async fn list(&self) -> Result<Vec<Webhook>, WebhooksError>;

    /// What is on record of webhooks, created or of the settings, in the order of their ids.
    async fn records(&self) -> Result<Vec<Record>, WebhooksError>;

    /// Puts cursors where a webhook has none.
    async fn begin(&self, id: &WebhookId, places: &[(RoomId, Cursor)])
    -> Result<(), WebhooksError>;

    /// All cursors are there from which a webhook begins.
    async fn set_begun(&self, id: &WebhookId) -> Result<(), WebhooksError>;

    /// Where a webhook is in these rooms, in their order; none: it was never told of the room.
    async fn cursors(
        &self,
        id: &WebhookId,
        rooms: &[RoomId],
    ) -> Result<Vec<Option<Cursor>>, WebhooksError>;

    async fn move_cursor(
        &self,
        id: &WebhookId,
        room: &RoomId,
        cursor: &Cursor,
    ) -> Result<(), WebhooksError>;

    /// Takes those of these webhooks that are free or already `holder`'s, for as long as `lease`. Answers which.
    async fn claim(
        &self,
        ids: &[WebhookId],
        holder: &str,
        lease: Duration,
    ) -> Result<Vec<WebhookId>, WebhooksError>;

    /// Gives a webhook back, if it is `holder`'s.
    async fn release(&self, id: &WebhookId, holder: &str) -> Result<(), WebhooksError>;

    async fn set_standing(&self, id: &WebhookId, standing: &Standing) -> Result<(), WebhooksError>;

    /// Somebody wants it tried again at once.
    async fn resume(&self, id: &WebhookId, now_ms: i64) -> Result<(), WebhooksError>;
}

#[cfg(test)]
mod tests {
    use super::{Receiver, WebhookId};

    #[test]
    fn ids_are_plain() {
        for id in ["audit", "wh_0-Z", &"x".repeat(64)] {
            assert!(WebhookId::parse(id).is_ok(), "{id}");
        }
        for id in ["", "a b", "a.b", "ü", &"x".repeat(65)] {
            assert!(WebhookId::parse(id).is_err(), "{id}");
        }
    }

    #[test]
    fn urls_are_of_the_web_and_hold_no_password() {
        assert!(Receiver::parse("https://example.com/hook?x=1").is_ok());
        assert!(Receiver::parse("http://[::1]:8080").is_ok());
        for url in ["", "example.com", "ftp://example.com", "file:///etc/passwd"] {
            assert!(Receiver::parse(url).is_err(), "{url}");
        }
        let shown = Receiver::parse("https://example.com/hook?token=hunter2").unwrap();
        assert_eq!(
            format!("{shown} {shown:?}"),
            "https://example.com/hook?*** https://example.com/hook?***"
        );
        let refusal = Receiver::parse("https://ann:hunter2@example.com").unwrap_err();
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}
