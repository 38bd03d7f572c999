//! The way of an admitted message into its room: queue, store, fan-out, answer.
//!
//! One appender per busy room, made when a message comes and gone when the room is quiet. A batch is what queued while the last commit
//! ran, so an idle room pays one commit per message and a busy one shares them. **A message is never fanned out before it is stored, and
//! never answered before it is fanned out.** Who may send is decided before, in `chat::admit`.

mod unsettled;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::chat::message::{Draft, Message};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::metrics::Metrics;
pub use crate::store::Appended;
use crate::store::{Store, StoreError};

use unsettled::{Unsettled, key};

/// What a waiting draft weighs beyond its texts: ids, names, queue slots. A rough, safe figure in bytes.
const DRAFT_OVERHEAD_BYTES: usize = 512;

/// Makes stored messages visible to the members of their room, on every instance.
pub trait FanOut: Send + Sync + 'static {
    /// Messages of one room that were stored together, in the order in which they were sent. Must not block.
    fn fan_out(&self, room: &RoomId, messages: &[&Message]);

    /// What became of an append is not known: its entries may be stored, and nobody has been shown them.
    fn doubt(&self, room: &RoomId);
}

/// The bounds of the queue. Full means a refusal, never waiting without end.
#[derive(Clone, Copy, Debug)]
pub struct AppendLimits {
    pub room_messages_max: usize,
    pub queue_bytes_max: usize,
    pub batch_messages_max: usize,
    pub batch_bytes_max: usize,
    pub timeout: Duration,
}

/// What became of a draft: its place, or why not.
pub type Outcome = Result<Appended, Refusal>;

/// Takes drafts for all rooms. Cheap to clone.
#[derive(Clone)]
pub struct Appender(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    fan_out: Arc<dyn FanOut>,
    limits: AppendLimits,
    metrics: Metrics,
    tasks: TaskTracker,
    queues: Mutex<Queues>,
    unsettled: Mutex<Unsettled>,
}

/// A room has an entry exactly while its appender runs.
#[derive(Default)]
struct Queues {
    rooms: HashMap<RoomId, VecDeque<Waiting>>,
    bytes: usize,
}

struct Waiting {
    draft: Draft,
    answer: oneshot::Sender<Outcome>,
}

impl Waiting {
    fn bytes(&self) -> usize {
        let draft = &self.draft;
        DRAFT_OVERHEAD_BYTES + draft.entry.bytes() + draft.client_msg_id.len()
    }
}

impl Appender {
    /// The tasks of the appenders run in `tasks`, so that a shutdown can wait for them.
    pub fn new(
        store: Arc<dyn Store>,
        fan_out: Arc<dyn FanOut>,
        limits: AppendLimits,
        metrics: Metrics,
        tasks: TaskTracker,
    ) -> Self {
        let queues = Mutex::new(Queues::default());
        Self(Arc::new(Shared {
            store,
            fan_out,
            limits,
            metrics,
            tasks,
            queues,
            unsettled: Mutex::default(),
        }))
    }

    /// Queues a draft behind those already submitted to its room. Drafts submitted in order are stored in order.
    ///
    /// # Errors
    /// `OVERLOADED` when the room's or the instance's queue is full.
    pub fn submit(
        &self,
        room: RoomId,
        draft: Draft,
    ) -> Result<oneshot::Receiver<Outcome>, Refusal> {
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { draft, answer };
        let bytes = waiting.bytes();
        let mut queues = self.0.queues();
        if queues.bytes + bytes > self.0.limits.queue_bytes_max {
            return Err(overloaded("too many messages wait for the store"));
        }
        let starts = match queues.rooms.get_mut(&room) {
            Some(queue) if queue.len() >= self.0.limits.room_messages_max => {
                return Err(overloaded("too many messages wait in this room"));
            }
            Some(queue) => {
                queue.push_back(waiting);
                false
            }
            None => {
                queues.rooms.insert(room.clone(), VecDeque::from([waiting]));
                true
            }
        };
        queues.bytes += bytes;
        self.0
            .metrics
            .append
            .pending_bytes
            .set(i64::try_from(queues.bytes).unwrap_or(i64::MAX));
        drop(queues);
        if starts {
            self.0.tasks.spawn(Arc::clone(&self.0).run(room));
        }
        Ok(outcome)
    }
}

impl Shared {
    async fn run(self: Arc<Self>, room: RoomId) {
        let mut entry = Entry {
            shared: &self,
            room: &room,
            is_taken_away: false,
        };
        while let Some(batch) = self.next_batch(&room) {
            self.append(&room, batch).await;
            if self.has_more(&room) {
                // A fast store would otherwise fill the sockets' buffers before their writers have had a turn.
                tokio::task::yield_now().await;
            }
        }
        entry.is_taken_away = true;
    }

    fn has_more(&self, room: &RoomId) -> bool {
        let queues = self.queues();
        queues
            .rooms
            .get(room)
            .is_some_and(|queue| !queue.is_empty())
    }

    /// The next batch, or `None` after taking the room's entry away: both under one lock, so no draft is left behind.
    fn next_batch(&self, room: &RoomId) -> Option<Vec<Waiting>> {
        let mut queues = self.queues();
        let queue = queues.rooms.get_mut(room)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(waiting) = queue.pop_front() {
            bytes += waiting.bytes();
            batch.push(waiting);
            if batch.len() >= self.limits.batch_messages_max || bytes >= self.limits.batch_bytes_max
            {
                break;
            }
        }
        if batch.is_empty() {
            queues.rooms.remove(room);
            return None;
        }
        queues.bytes = queues.bytes.saturating_sub(bytes);
        self.metrics
            .append
            .pending_bytes
            .set(i64::try_from(queues.bytes).unwrap_or(i64::MAX));
        Some(batch)
    }

    async fn append(&self, room: &RoomId, batch: Vec<Waiting>) {
        let _timer = self.metrics.append.seconds.start_timer();
        self.metrics
            .append
            .batch_messages
            .observe(batch_size(&batch));
        let (drafts, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.draft, waiting.answer))
            .unzip();
        let keys: Vec<_> = drafts.iter().map(|draft| key(room, draft)).collect();
        let outcomes = self.store_batch(room, drafts).await;
        if outcomes.iter().any(Result::is_err) {
            self.fan_out.doubt(room);
        }
        let news = self.news(keys, &outcomes);
        if !news.is_empty() {
            self.fan_out.fan_out(room, &news);
        }
        for (outcome, answer) in outcomes.into_iter().zip(answers) {
            let outcome = outcome.map_err(|error| {
                tracing::warn!(%room, %error, "message not stored");
                Refusal::from(&error)
            });
            if answer.send(outcome).is_err() {
                // The client left between sending and storing. The message is kept; only the ack has no reader.
                self.metrics.append.acks_without_reader_total.inc();
            }
        }
    }

    /// What of a batch nobody has been shown yet.
    fn news<'a>(
        &self,
        keys: Vec<unsettled::Key>,
        outcomes: &'a [Result<Appended, StoreError>],
    ) -> Vec<&'a Message> {
        let mut unsettled = self.unsettled();
        let news = keys.into_iter().zip(outcomes).filter_map(|(key, outcome)| {
            let Ok(appended) = outcome else {
                unsettled.add(key);
                return None;
            };
            let is_news = unsettled.settle(&key) || !appended.duplicate;
            is_news.then_some(&appended.message)
        });
        news.collect()
    }

    async fn store_batch(
        &self,
        room: &RoomId,
        drafts: Vec<Draft>,
    ) -> Vec<Result<Appended, StoreError>> {
        let count = drafts.len();
        match tokio::time::timeout(self.limits.timeout, self.store.append(room, drafts)).await {
            Ok(outcomes) if outcomes.len() == count => outcomes,
            Ok(outcomes) => {
                let broken = format!("{} outcomes for {count} drafts", outcomes.len());
                vec![Err(StoreError::Broken(broken)); count]
            }
            Err(_) => vec![Err(StoreError::Unavailable("timed out".to_owned())); count],
        }
    }

    fn unsettled(&self) -> MutexGuard<'_, Unsettled> {
        self.unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        // Nothing panics while it is held; and a queue is plain data either way.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the room's entry away when a store panics, so that the room is not deaf for ever: those who wait see their answer dropped.
struct Entry<'a> {
    shared: &'a Shared,
    room: &'a RoomId,
    is_taken_away: bool,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if self.is_taken_away {
            return;
        }
        let mut queues = self.shared.queues();
        let left = queues.rooms.remove(self.room).unwrap_or_default();
        let bytes: usize = left.iter().map(Waiting::bytes).sum();
        queues.bytes = queues.bytes.saturating_sub(bytes);
    }
}

fn overloaded(message: &str) -> Refusal {
    Refusal::new(Code::Overloaded, message).retry_after_ms(1_000)
}

fn batch_size(batch: &[Waiting]) -> f64 {
    u32::try_from(batch.len()).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests;
