//! All webhooks there are: those of the settings, and those that operators have created.

use std::sync::Arc;

use tokio::sync::Notify;

use super::errand::ROOMS_PER_QUESTION;
use super::{
    Cursor, Receiver, Record, SigningSecret, Standing, Wants, Webhook, WebhookId, Webhooks,
    WebhooksError,
};
use crate::chat::refusal::{Code, Refusal};
use crate::clock;
use crate::store::{Store, StoreError};

/// What operators see and change. One per server.
pub struct Registry {
    /// Those of the settings.
    own: Vec<Webhook>,
    created_max: usize,
    kept: Arc<dyn Webhooks>,
    store: Arc<dyn Store>,
    changed: Notify,
}

/// A webhook as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub webhook: Webhook,
    /// It is of the settings, and cannot be removed.
    pub is_own: bool,
    /// The server that tells it.
    pub holder: Option<String>,
    pub standing: Standing,
}

/// Why a webhook was not removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRemoved {
    /// There is no such webhook.
    Unknown,
    /// It is of the settings.
    Own,
    Failed(WebhooksError),
}

impl Registry {
    #[must_use]
    pub fn new(
        own: Vec<Webhook>,
        created_max: usize,
        kept: Arc<dyn Webhooks>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self {
            own,
            created_max,
            kept,
            store,
            changed: Notify::new(),
        }
    }

    /// # Errors
    /// [`WebhooksError`] when they cannot be asked.
    pub async fn shown(&self) -> Result<Vec<Shown>, WebhooksError> {
        let (all, records) = (self.all().await?, self.kept.records().await?);
        let shown = |webhook: Webhook| {
            let record = records.iter().find(|record| record.id == webhook.id);
            Shown {
                is_own: self.is_own(&webhook.id),
                holder: record.and_then(|record| record.holder.clone()),
                standing: record
                    .map(|record| record.standing.clone())
                    .unwrap_or_default(),
                webhook,
            }
        };
        Ok(all.into_iter().map(shown).collect())
    }

    /// Makes one that is told of everything from now on. Without a secret it gets one.
    ///
    /// # Errors
    /// `CONFLICT` when there are too many, `UNAVAILABLE`.
    pub async fn create(
        &self,
        url: Receiver,
        secret: Option<SigningSecret>,
        wants: Wants,
    ) -> Result<Webhook, Refusal> {
        if self.kept.list().await?.len() >= self.created_max {
            let message = format!("there are {} webhooks already", self.created_max);
            return Err(Refusal::new(Code::Conflict, message));
        }
        let id: [u8; 12] = rand::random();
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = WebhookId::parse(&format!("wh_{id}"))
            .map_err(|why| Refusal::new(Code::Internal, why))?;
        let webhook = Webhook {
            id,
            url,
            secrets: vec![secret.unwrap_or_else(|| SigningSecret::new(rand::random()))],
            wants,
            created_ms: clock::unix_ms(),
        };
        // Its places first: nobody tells it before it is created, and then it has missed nothing.
        self.begin(&webhook.id).await?;
        self.kept.create(&webhook).await?;
        self.changed.notify_one();
        tracing::info!(webhook = %webhook.id, "webhook created");
        Ok(webhook)
    }

    /// # Errors
    /// [`NotRemoved`].
    pub async fn remove(&self, id: &WebhookId) -> Result<(), NotRemoved> {
        if self.is_own(id) {
            return Err(NotRemoved::Own);
        }
        if !self.kept.remove(id).await.map_err(NotRemoved::Failed)? {
            return Err(NotRemoved::Unknown);
        }
        self.changed.notify_one();
        tracing::info!(webhook = %id, "webhook removed");
        Ok(())
    }

    /// Has one tried again at once, whatever has failed. False: there is no such webhook.
    ///
    /// # Errors
    /// [`WebhooksError`] when they cannot be asked.
    pub async fn resume(&self, id: &WebhookId) -> Result<bool, WebhooksError> {
        let is_known = self.all().await?.iter().any(|webhook| webhook.id == *id);
        if is_known {
            self.kept.resume(id, clock::unix_ms()).await?;
            self.changed.notify_one();
        }
        Ok(is_known)
    }

    /// The settings win over what has the same id.
    pub(super) async fn all(&self) -> Result<Vec<Webhook>, WebhooksError> {
        let created = self.kept.list().await?;
        let created = created
            .into_iter()
            .filter(|webhook| !self.is_own(&webhook.id));
        Ok(self.own.iter().cloned().chain(created).collect())
    }

    pub(super) fn own(&self) -> &[Webhook] {
        &self.own
    }

    pub(super) fn kept(&self) -> &Arc<dyn Webhooks> {
        &self.kept
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Somebody changed something here.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Puts a webhook's places at the ends of the logs there are: it is told of what comes from now on.
    pub(super) async fn begin(&self, id: &WebhookId) -> Result<(), NotBegun> {
        let mut after = None;
        loop {
            let ends = self.store.ends(after.as_ref(), ROOMS_PER_QUESTION).await?;
            let Some((last, _)) = ends.rooms.last() else {
                break;
            };
            after = Some(last.clone());
            let epoch = ends.epoch;
            let place = |(room, seq)| {
                let epoch = epoch.clone();
                (room, Cursor { seq, epoch })
            };
            let places: Vec<_> = ends.rooms.into_iter().map(place).collect();
            self.kept.begin(id, &places).await?;
        }
        Ok(self.kept.set_begun(id).await?)
    }

    fn is_own(&self, id: &WebhookId) -> bool {
        self.own.iter().any(|webhook| webhook.id == *id)
    }
}

/// Whether one of these records says that a webhook has its places.
pub(super) fn is_begun(records: &[Record], id: &WebhookId) -> bool {
    records
        .iter()
        .any(|record| record.id == *id && record.is_begun)
}

/// Why a webhook has no places yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotBegun {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Webhooks(#[from] WebhooksError),
}

impl From<NotBegun> for Refusal {
    fn from(why: NotBegun) -> Self {
        match why {
            NotBegun::Store(why) => Self::from(&why),
            NotBegun::Webhooks(why) => Self::from(why),
        }
    }
}

impl From<WebhooksError> for Refusal {
    fn from(error: WebhooksError) -> Self {
        // The words of a store may name hosts; they belong in the log.
        tracing::warn!(%error, "webhooks not asked");
        match error {
            WebhooksError::Unavailable(_) => Self::store_unavailable(),
            WebhooksError::Broken(_) => {
                Self::new(Code::Internal, "the webhooks' store answered nonsense")
            }
        }
    }
}
