//! Which webhooks this server tells, and what it hears of.
//!
//! Every server tries to take every webhook; whoever has the lease tells it. A server that dies loses its leases within seconds, and the
//! next one goes on from the cursors. What other servers append is found by one question a second for all webhooks together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::courier::Courier;
use super::errand::Errand;
use super::feed::{Feed, Inbox};
use super::post::Post;
use super::registry::{Registry, is_begun};
use super::{Record, Webhook, WebhookId, WebhooksError};
use crate::clock;
use crate::metrics::Metrics;
use crate::settings;
use crate::store::{Mark, StoreError};

/// How long a server that says nothing keeps its webhooks: what a killed one leaves to others waits so long.
const LEASE: Duration = Duration::from_secs(6);

/// Between two renewals.
const RENEWAL: Duration = Duration::from_millis(1_500);

/// How much earlier than its lease ends a server stops telling: what it has under way shall arrive before the next one begins.
const MARGIN: Duration = Duration::from_secs(2);

/// Between two looks at what others have appended.
const LOOK: Duration = Duration::from_secs(1);

/// How long a start waits for the places of the settings' webhooks. A store that takes longer takes no messages either.
const BEGIN_PATIENCE: Duration = Duration::from_secs(5);

/// The webhooks of a server.
pub struct Pump {
    registry: Arc<Registry>,
    feed: Feed,
    post: Post,
    settings: settings::Webhooks,
    metrics: Metrics,
    /// Names this server, this time.
    holder: String,
    /// How far what others append was followed, since somebody wants to know.
    mark: Mutex<Option<Mark>>,
}

/// A webhook that this server tells.
struct Held {
    webhook: Webhook,
    inbox: Arc<Inbox>,
    until: watch::Sender<Instant>,
    resumed_ms: i64,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Pump {
    /// # Errors
    /// When the system has no certificates to judge receivers by.
    pub fn new(
        registry: Arc<Registry>,
        feed: Feed,
        settings: settings::Webhooks,
        metrics: Metrics,
        holder: String,
    ) -> reqwest::Result<Self> {
        Ok(Self {
            post: Post::new(settings.timeout)?,
            registry,
            feed,
            settings,
            metrics,
            holder,
            mark: Mutex::default(),
        })
    }

    /// Before the first message is taken: the webhooks of the settings get their places, so that they are told of it.
    pub async fn begin(&self) {
        let begun = async {
            while let Err(why) = self.begin_own().await {
                tracing::debug!(why, "webhooks have no places yet");
                tokio::time::sleep(RENEWAL / 10).await;
            }
        };
        if tokio::time::timeout(BEGIN_PATIENCE, begun).await.is_err() {
            tracing::warn!("the webhooks' store does not answer; they begin when it does");
        }
    }

    /// Whoever has the lease does it, and the others wait: the second one would put the places behind what is said meanwhile.
    async fn begin_own(&self) -> Result<(), String> {
        let kept = self.registry.kept();
        let records = match self.registry.own() {
            [] => return Ok(()),
            _ => kept.records().await.map_err(|why| why.to_string())?,
        };
        let mut is_waiting = false;
        for webhook in self.registry.own() {
            if is_begun(&records, &webhook.id) {
                continue;
            }
            let claimed = kept.claim(std::slice::from_ref(&webhook.id), &self.holder, LEASE);
            if claimed.await.map_err(|why| why.to_string())?.is_empty() {
                is_waiting = true;
            } else {
                let begun = self.registry.begin(&webhook.id).await;
                begun.map_err(|why| why.to_string())?;
            }
        }
        match is_waiting {
            true => Err("another server is about it".to_owned()),
            false => Ok(()),
        }
    }

    async fn hold_for_ever(&self, held: &mut HashMap<WebhookId, Held>) {
        loop {
            if let Err(error) = self.hold(held).await {
                tracing::debug!(%error, "webhooks not renewed");
            }
            tokio::select! {
                () = tokio::time::sleep(RENEWAL.mul_f64(rand::random_range(0.8..1.2))) => {}
                () = self.registry.changed() => {}
            }
        }
    }

    /// Takes what can be had, and lets go of what is somebody else's or gone.
    async fn hold(&self, held: &mut HashMap<WebhookId, Held>) -> Result<(), WebhooksError> {
        let (all, kept) = (self.registry.all().await?, self.registry.kept());
        let records = kept.records().await?;
        let ids: Vec<WebhookId> = all.iter().map(|webhook| webhook.id.clone()).collect();
        let asked = clock::monotonic();
        let claimed = match ids.as_slice() {
            [] => Vec::new(),
            ids => kept.claim(ids, &self.holder, LEASE).await?,
        };
        let until = asked + LEASE.saturating_sub(MARGIN);
        let is_still = |webhook: &Webhook| claimed.contains(&webhook.id) && all.contains(webhook);
        let lost: Vec<WebhookId> = held
            .iter()
            .filter(|(_, held)| !is_still(&held.webhook) || held.task.is_finished())
            .map(|(id, _)| id.clone())
            .collect();
        for id in lost {
            if let Some(held) = held.remove(&id) {
                self.let_go(&held);
            }
        }
        for webhook in all.iter().filter(|webhook| claimed.contains(&webhook.id)) {
            let record = records.iter().find(|record| record.id == webhook.id);
            if let Some(held) = held.get_mut(&webhook.id) {
                held.renew(until, record);
            } else if self.prepare(webhook, &records).await {
                held.insert(webhook.id.clone(), self.start(webhook, until, record));
            }
        }
        Ok(())
    }

    /// What must be before a webhook is told: its places, and from then on an ear for what others append.
    async fn prepare(&self, webhook: &Webhook, records: &[Record]) -> bool {
        if !is_begun(records, &webhook.id)
            && let Err(error) = self.registry.begin(&webhook.id).await
        {
            tracing::debug!(webhook = %webhook.id, %error, "webhook has no places yet");
            return false;
        }
        let mut mark = self.mark.lock().await;
        if mark.is_none() || !self.feed.is_open() {
            match self.registry.store().grown(None).await {
                Ok(grown) => *mark = Some(grown.mark),
                Err(error) => {
                    tracing::debug!(webhook = %webhook.id, %error, "webhook waits for the store");
                    return false;
                }
            }
        }
        true
    }

    fn start(&self, webhook: &Webhook, until: Instant, record: Option<&Record>) -> Held {
        tracing::info!(webhook = %webhook.id, "webhook is told by this server");
        let inbox = self.feed.open(webhook.wants.clone());
        let (until, held_until) = watch::channel(until);
        let errand = Arc::new(Errand {
            webhook: webhook.clone(),
            kept: Arc::clone(self.registry.kept()),
            store: Arc::clone(self.registry.store()),
            post: self.post.clone(),
            settings: self.settings.clone(),
            metrics: self.metrics.clone(),
        });
        let standing = record.map(|record| record.standing.clone());
        let standing = standing.unwrap_or_default();
        let courier = Courier::new(errand, Arc::clone(&inbox), held_until, standing);
        let stop = CancellationToken::new();
        Held {
            webhook: webhook.clone(),
            inbox,
            until,
            resumed_ms: record.map_or(0, |record| record.resumed_ms),
            task: tokio::spawn(courier.run(stop.clone())),
            stop,
        }
    }

    fn let_go(&self, held: &Held) {
        self.feed.close(&held.inbox);
        held.task.abort();
        tracing::info!(webhook = %held.webhook.id, "webhook is no longer told by this server");
    }

    async fn look_for_ever(&self) {
        loop {
            tokio::time::sleep(LOOK.mul_f64(rand::random_range(0.8..1.2))).await;
            if let Err(error) = self.look().await {
                tracing::debug!(%error, "what others appended was not read");
            }
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let mut mark = self.mark.lock().await;
        if !self.feed.is_open() {
            return Ok(());
        }
        let grown = self.registry.store().grown(*mark).await?;
        *mark = Some(grown.mark);
        for (room, seq) in &grown.rooms {
            self.feed.note(room, *seq);
        }
        Ok(())
    }

    /// What is under way is finished, and what is held is free for others at once.
    async fn end(&self, held: HashMap<WebhookId, Held>) {
        held.values().for_each(|held| held.stop.cancel());
        for (id, held) in held {
            if tokio::time::timeout(MARGIN, held.task).await.is_err() {
                tracing::debug!(webhook = %id, "a request was left under way");
            }
            self.feed.close(&held.inbox);
            if let Err(error) = self.registry.kept().release(&id, &self.holder).await {
                tracing::debug!(webhook = %id, %error, "webhook not given back");
            }
        }
    }
}

impl Held {
    fn renew(&mut self, until: Instant, record: Option<&Record>) {
        self.until.send_replace(until);
        let resumed_ms = record.map_or(0, |record| record.resumed_ms);
        if resumed_ms > std::mem::replace(&mut self.resumed_ms, resumed_ms) {
            self.inbox.resume();
        }
    }
}

/// Tells webhooks until `stop`.
pub async fn run(pump: Pump, stop: CancellationToken) {
    let mut held = HashMap::new();
    let work = async { tokio::join!(pump.hold_for_ever(&mut held), pump.look_for_ever()) };
    stop.run_until_cancelled(work).await;
    pump.end(held).await;
}
