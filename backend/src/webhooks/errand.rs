//! One try: what follows a webhook's place in a room is read, requested, and when the receiver has taken it, the place moves.
//!
//! A server that dies in between leaves the place to the next holder: so everything is told at least once, and in the order of its room.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Run};
use super::feed::Inbox;
use super::post::{Answer, Post};
use super::{Cursor, Webhook, Webhooks, WebhooksError};
use crate::chat::room::RoomId;
use crate::clock;
use crate::metrics::Metrics;
use crate::settings;
use crate::store::{History, Page, Store, StoreError};

/// Rooms that one question about them is about.
pub(super) const ROOMS_PER_QUESTION: u32 = 500;

/// What all tries of one webhook share.
pub(super) struct Errand {
    pub(super) webhook: Webhook,
    pub(super) kept: Arc<dyn Webhooks>,
    pub(super) store: Arc<dyn Store>,
    pub(super) post: Post,
    pub(super) settings: settings::Webhooks,
    pub(super) metrics: Metrics,
}

/// What became of a try.
pub(super) enum Done {
    /// Up to the cursor everything was told, or there was nothing to tell.
    Told {
        cursor: Cursor,
        more: bool,
        was_asked: bool,
    },
    /// The receiver did not take what ends at `to`.
    Failed {
        to: u64,
        why: String,
        retry_after: Option<Duration>,
        is_gone: bool,
    },
    /// The log or the cursors could not be had.
    Hindered(String),
}

/// Why something could not be tried, which is not the receiver's fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum Hindrance {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Webhooks(#[from] WebhooksError),
    #[error("an entry cannot be written: {0}")]
    Entry(#[from] serde_json::Error),
}

impl Errand {
    /// One request's worth of a room, behind the cursor if it is known. An earlier try ended at `to`.
    pub(super) async fn attempt(
        &self,
        room: &RoomId,
        to: Option<u64>,
        cursor: Option<Cursor>,
    ) -> Done {
        match self.tell(room, to, cursor).await {
            Ok(done) => done,
            Err(why) => Done::Hindered(why.to_string()),
        }
    }

    async fn tell(
        &self,
        room: &RoomId,
        to: Option<u64>,
        cursor: Option<Cursor>,
    ) -> Result<Done, Hindrance> {
        let id = &self.webhook.id;
        let cursor = match cursor {
            Some(cursor) => Some(cursor),
            None => {
                let found = self.kept.cursors(id, std::slice::from_ref(room)).await?;
                found.into_iter().next().flatten()
            }
        };
        let (after, history) = self.news(room, cursor.as_ref()).await?;
        let run = Run {
            webhook: id,
            room,
            epoch: &history.epoch,
            after,
            to: to.filter(|to| *to > after),
            bytes_max: self.settings.batch_bytes_max,
        };
        let Some(mut batch) = run.of(&history.messages, &self.webhook.wants)? else {
            let epoch = history.epoch;
            return Ok(Done::Told {
                cursor: Cursor { seq: after, epoch },
                more: false,
                was_asked: false,
            });
        };
        let body = batch.body.take();
        let was_asked = body.is_some();
        if let Some(body) = body
            && let Err(failed) = self.ask(&batch, body).await
        {
            return Ok(failed);
        }
        let more = batch.is_cut || history.has_more;
        let cursor = Cursor {
            seq: batch.to,
            epoch: history.epoch,
        };
        self.kept.move_cursor(id, room, &cursor).await?;
        Ok(Done::Told {
            cursor,
            more,
            was_asked,
        })
    }

    /// What follows a place, and the seq that it follows. In another log than the place is of, that is everything.
    async fn news(
        &self,
        room: &RoomId,
        cursor: Option<&Cursor>,
    ) -> Result<(u64, History), StoreError> {
        let limit = u32::try_from(self.settings.batch_entries_max).unwrap_or(u32::MAX);
        let after = cursor.map_or(0, |cursor| cursor.seq);
        let history = self.store.page(room, Page::After { after, limit }).await?;
        if cursor.is_none_or(|cursor| cursor.epoch == history.epoch) {
            return Ok((after, history));
        }
        let whole = Page::After { after: 0, limit };
        Ok((0, self.store.page(room, whole).await?))
    }

    async fn ask(&self, batch: &Batch, body: String) -> Result<(), Done> {
        let metrics = &self.metrics.webhooks;
        let timer = metrics.request_seconds.start_timer();
        let answer = self.post.tell(&self.webhook, batch, body).await;
        timer.observe_duration();
        let age_ms = clock::unix_ms().saturating_sub(batch.newest_ms);
        metrics.asked(answer == Answer::Taken, batch.count, age_ms);
        match answer {
            Answer::Taken => Ok(()),
            Answer::Failed {
                why,
                retry_after,
                is_gone,
            } => Err(Done::Failed {
                to: batch.to,
                why,
                retry_after,
                is_gone,
            }),
        }
    }

    /// Notes every room whose log goes on behind the webhook's place.
    pub(super) async fn sweep(&self, inbox: &Inbox) -> Result<(), Hindrance> {
        let mut after = None;
        loop {
            let ends = self.store.ends(after.as_ref(), ROOMS_PER_QUESTION).await?;
            let Some((last, _)) = ends.rooms.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            let wanted = ends.rooms.into_iter();
            let wanted = wanted.filter(|(room, _)| self.webhook.wants.room(room));
            let (rooms, seqs): (Vec<RoomId>, Vec<u64>) = wanted.unzip();
            let cursors = self.kept.cursors(&self.webhook.id, &rooms).await?;
            for ((room, seq), cursor) in rooms.iter().zip(seqs).zip(cursors) {
                match cursor {
                    Some(cursor) if cursor.epoch != ends.epoch => inbox.note(room, u64::MAX),
                    Some(cursor) if cursor.seq >= seq => {}
                    Some(_) | None => inbox.note(room, seq),
                }
            }
        }
    }
}
