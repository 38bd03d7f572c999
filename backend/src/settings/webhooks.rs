//! `[webhooks]`: who is told of what is said, and how patiently.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::Overrides;
use super::file::Key;
use super::judge::Judge;
use super::print::{list, quote};
use super::units::{show_duration, show_size};
use crate::webhooks::{Receiver, SigningSecret, Wants, Webhook, WebhookId};

/// The id of the one that the environment names.
const FROM_ENVIRONMENT: &str = "env";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhooks {
    /// One request, connecting included.
    pub timeout: Duration,
    pub batch_entries_max: usize,
    pub batch_bytes_max: usize,
    /// Rooms that one webhook is told of at the same time.
    pub rooms_at_once_max: usize,
    /// The longest pause between two tries.
    pub retry_interval_max: Duration,
    /// Failing for so long is being paused.
    pub pause_after: Duration,
    /// Between two tries while paused.
    pub paused_retry_interval: Duration,
    /// Webhooks that operators may create.
    pub created_max: usize,
    pub hooks: Vec<Webhook>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            batch_entries_max: 100,
            batch_bytes_max: 256 * 1024,
            rooms_at_once_max: 8,
            retry_interval_max: Duration::from_secs(5 * 60),
            pause_after: Duration::from_secs(24 * 60 * 60),
            paused_retry_interval: Duration::from_secs(60 * 60),
            created_max: 100,
            hooks: Vec::new(),
        }
    }
}

/// The section as the file has it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    hook: Vec<HookFile>,
    timeout: Key<String>,
    batch_entries_max: Key<u32>,
    batch_bytes_max: Key<String>,
    rooms_at_once_max: Key<u32>,
    retry_interval_max: Key<String>,
    pause_after: Key<String>,
    paused_retry_interval: Key<String>,
    created_max: Key<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HookFile {
    id: toml::Spanned<String>,
    url: toml::Spanned<String>,
    secrets: toml::Spanned<Vec<String>>,
    #[serde(default)]
    kinds: Key<Vec<String>>,
    #[serde(default)]
    rooms: Key<Vec<String>>,
}

impl Judge<'_> {
    pub(super) fn webhooks(&mut self, file: File, overrides: &Overrides) -> Webhooks {
        let default = Webhooks::default();
        let mut hooks: Vec<Webhook> = Vec::new();
        for hook in file.hook {
            hooks.extend(self.hook(hook, &hooks));
        }
        hooks.extend(self.hook_of_environment(overrides));
        Webhooks {
            timeout: self.time("webhooks.timeout", file.timeout, default.timeout),
            batch_entries_max: self.count(
                "webhooks.batch_entries_max",
                file.batch_entries_max,
                default.batch_entries_max,
            ),
            batch_bytes_max: self.size(
                "webhooks.batch_bytes_max",
                file.batch_bytes_max,
                default.batch_bytes_max,
            ),
            rooms_at_once_max: self.count(
                "webhooks.rooms_at_once_max",
                file.rooms_at_once_max,
                default.rooms_at_once_max,
            ),
            retry_interval_max: self.time(
                "webhooks.retry_interval_max",
                file.retry_interval_max,
                default.retry_interval_max,
            ),
            pause_after: self.time(
                "webhooks.pause_after",
                file.pause_after,
                default.pause_after,
            ),
            paused_retry_interval: self.time(
                "webhooks.paused_retry_interval",
                file.paused_retry_interval,
                default.paused_retry_interval,
            ),
            created_max: self.count(
                "webhooks.created_max",
                file.created_max,
                default.created_max,
            ),
            hooks,
        }
    }

    fn hook(&mut self, file: HookFile, others: &[Webhook]) -> Option<Webhook> {
        let id = self.file("webhooks.hook.id", Some(file.id), |text| {
            let id = WebhookId::parse(&text)?;
            match others.iter().any(|other| other.id == id) || text == FROM_ENVIRONMENT {
                true => Err(format!(
                    "\"{text}\" is taken; each webhook has a name of its own"
                )),
                false => Ok(id),
            }
        });
        let url = self.file("webhooks.hook.url", Some(file.url), |text| {
            Receiver::parse(&text)
        });
        let secrets = self.file("webhooks.hook.secrets", Some(file.secrets), |list| {
            parse_secrets(&list)
        });
        let nothing: [&str; 0] = [];
        let kinds = self.file("webhooks.hook.kinds", file.kinds, |list| {
            Wants::parse(&list, &nothing).map(|_| list)
        });
        let rooms = self.file("webhooks.hook.rooms", file.rooms, |list| {
            Wants::parse(&nothing, &list).map(|_| list)
        });
        Some(Webhook {
            id: id?,
            url: url?,
            secrets: secrets?,
            wants: Wants::parse(&kinds.unwrap_or_default(), &rooms.unwrap_or_default()).ok()?,
            created_ms: 0,
        })
    }

    fn hook_of_environment(&mut self, overrides: &Overrides) -> Option<Webhook> {
        let url = self.over("WEBHOOK_URL", &overrides.webhook_url, None, Receiver::parse);
        let secrets = self.over("WEBHOOK_SECRET", &overrides.webhook_secret, None, |text| {
            parse_secrets(&super::words::split_list(text))
        });
        let is_set = |given: &Option<String>| given.as_ref().is_some_and(|text| !text.is_empty());
        if is_set(&overrides.webhook_url) != is_set(&overrides.webhook_secret) {
            let message = "WEBHOOK_URL and WEBHOOK_SECRET go together; give both or none";
            self.problem("WEBHOOK_URL".to_owned(), message);
        }
        Some(Webhook {
            id: WebhookId::parse(FROM_ENVIRONMENT).ok()?,
            url: url?,
            secrets: secrets?,
            wants: Wants::default(),
            created_ms: 0,
        })
    }
}

fn parse_secrets(texts: &[String]) -> Result<Vec<SigningSecret>, String> {
    if texts.is_empty() {
        return Err("names no secret; a receiver must be able to know us".to_owned());
    }
    texts
        .iter()
        .map(|text| SigningSecret::parse(text))
        .collect()
}

impl Webhooks {
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[webhooks]")?;
        writeln!(f, "timeout = \"{}\"", show_duration(self.timeout))?;
        writeln!(f, "batch_entries_max = {}", self.batch_entries_max)?;
        writeln!(
            f,
            "batch_bytes_max = \"{}\"",
            show_size(self.batch_bytes_max)
        )?;
        writeln!(f, "rooms_at_once_max = {}", self.rooms_at_once_max)?;
        let interval = show_duration(self.retry_interval_max);
        writeln!(f, "retry_interval_max = \"{interval}\"")?;
        writeln!(f, "pause_after = \"{}\"", show_duration(self.pause_after))?;
        let interval = show_duration(self.paused_retry_interval);
        writeln!(f, "paused_retry_interval = \"{interval}\"")?;
        writeln!(f, "created_max = {}", self.created_max)?;
        for hook in &self.hooks {
            writeln!(f, "\n[[webhooks.hook]]")?;
            writeln!(f, "id = {}", quote(hook.id.as_str()))?;
            writeln!(f, "url = {}", quote(&hook.url.to_string()))?;
            writeln!(f, "secrets = {}", list(&vec!["***"; hook.secrets.len()]))?;
            writeln!(f, "kinds = {}", list(&hook.wants.kinds()))?;
            writeln!(f, "rooms = {}", list(&hook.wants.rooms()))?;
        }
        Ok(())
    }
}
