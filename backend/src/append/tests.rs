use std::sync::Mutex as StdMutex;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;
use crate::chat::message::{Entry, Sender};
use crate::store::memory::MemoryStore;
use crate::store::{Ends, Found, Grown, History, Mark, Page, Search, Tails};

/// A store that commits only when allowed, can fail, and remembers its batches.
struct Fake {
    inner: MemoryStore,
    permits: Semaphore,
    failures: StdMutex<Vec<Failure>>,
    batches: StdMutex<Vec<usize>>,
}

#[derive(Clone, Copy)]
enum Failure {
    /// Nothing is stored, and it says so.
    Before,
    /// Everything is stored, and the answer is lost.
    After,
    Panic,
}

impl Fake {
    fn new(permits: usize, failures: &[Failure]) -> Arc<Self> {
        let failures = failures.iter().rev().copied().collect();
        Arc::new(Self {
            inner: MemoryStore::new(),
            permits: Semaphore::new(permits),
            failures: StdMutex::new(failures),
            batches: StdMutex::new(Vec::new()),
        })
    }
}

#[async_trait]
impl Store for Fake {
    async fn append(&self, room: &RoomId, drafts: Vec<Draft>) -> Vec<Result<Appended, StoreError>> {
        self.permits.acquire().await.unwrap().forget();
        self.batches.lock().unwrap().push(drafts.len());
        let count = drafts.len();
        let failure = self.failures.lock().unwrap().pop();
        let lost = || vec![Err(StoreError::Unavailable("down".to_owned())); count];
        match failure {
            None => self.inner.append(room, drafts).await,
            Some(Failure::Before) => lost(),
            Some(Failure::After) => {
                self.inner.append(room, drafts).await;
                lost()
            }
            Some(Failure::Panic) => panic!("the store is broken"),
        }
    }

    async fn page(&self, room: &RoomId, page: Page) -> Result<History, StoreError> {
        self.inner.page(room, page).await
    }

    async fn tails(&self, rooms: &[RoomId]) -> Result<Tails, StoreError> {
        self.inner.tails(rooms).await
    }

    async fn ends(&self, after: Option<&RoomId>, limit: u32) -> Result<Ends, StoreError> {
        self.inner.ends(after, limit).await
    }

    async fn grown(&self, since: Option<Mark>) -> Result<Grown, StoreError> {
        self.inner.grown(since).await
    }

    async fn search(&self, search: Search) -> Result<Found, StoreError> {
        self.inner.search(search).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "fake"
    }
}

/// What was shown, and how many at a time.
#[derive(Default)]
struct Seen {
    shown: StdMutex<Vec<(String, u64)>>,
    fan_outs: StdMutex<Vec<usize>>,
}

impl FanOut for Seen {
    fn fan_out(&self, _: &RoomId, messages: &[&Message]) {
        let shown = messages
            .iter()
            .map(|message| (message.entry.text().to_owned(), message.seq));
        self.shown.lock().unwrap().extend(shown);
        self.fan_outs.lock().unwrap().push(messages.len());
    }

    fn doubt(&self, _: &RoomId) {}
}

struct Bench {
    appender: Appender,
    store: Arc<Fake>,
    seen: Arc<Seen>,
    tasks: TaskTracker,
}

const LIMITS: AppendLimits = AppendLimits {
    room_messages_max: 8,
    queue_bytes_max: 64 * 1024,
    batch_messages_max: 4,
    batch_bytes_max: 64 * 1024,
    timeout: Duration::from_secs(5),
};

fn bench(store: Arc<Fake>) -> Bench {
    let (seen, tasks) = (Arc::new(Seen::default()), TaskTracker::new());
    let appender = Appender::new(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::clone(&seen) as Arc<dyn FanOut>,
        LIMITS,
        Metrics::new().unwrap(),
        tasks.clone(),
    );
    Bench {
        appender,
        store,
        seen,
        tasks,
    }
}

impl Bench {
    fn submit(&self, text: &str) -> Result<oneshot::Receiver<Outcome>, Refusal> {
        self.appender
            .submit(RoomId::parse("r").unwrap(), draft(text, text))
    }

    fn seen(&self) -> Vec<(String, u64)> {
        self.seen.shown.lock().unwrap().clone()
    }
}

fn draft(content: &str, client_msg_id: &str) -> Draft {
    Draft {
        id: Uuid::now_v7(),
        sender: Sender {
            id: "u".to_owned(),
            name: "U".to_owned(),
        },
        client_msg_id: client_msg_id.to_owned(),
        entry: Entry::Message {
            message_type: "text".to_owned(),
            content: content.to_owned(),
            reply_to: None,
        },
        timestamp_ms: 0,
    }
}

#[tokio::test]
async fn what_queued_during_a_commit_shares_the_next_and_is_shown_together() {
    let bench = bench(Fake::new(0, &[]));
    let first = bench.submit("0").unwrap();
    tokio::task::yield_now().await;
    let rest: Vec<_> = (1..=5)
        .map(|n| bench.submit(&n.to_string()).unwrap())
        .collect();
    bench.store.permits.add_permits(9);
    assert_eq!(first.await.unwrap().unwrap().message.seq, 1);
    for (expected, outcome) in (2..).zip(rest) {
        assert_eq!(outcome.await.unwrap().unwrap().message.seq, expected);
    }
    assert_eq!(*bench.store.batches.lock().unwrap(), [1, 4, 1]);
    let seen: Vec<_> = bench.seen().into_iter().map(|(_, seq)| seq).collect();
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(*bench.seen.fan_outs.lock().unwrap(), [1, 4, 1]);
}

#[tokio::test]
async fn the_appender_of_a_quiet_room_goes_away_and_comes_back() {
    let bench = bench(Fake::new(9, &[]));
    bench.tasks.close();
    for text in ["a", "b"] {
        assert!(bench.submit(text).unwrap().await.unwrap().is_ok());
        bench.tasks.wait().await;
        let queues = bench.appender.0.queues();
        assert_eq!((queues.rooms.len(), queues.bytes), (0, 0));
    }
}

#[tokio::test]
async fn a_full_room_is_a_refusal() {
    let bench = bench(Fake::new(0, &[]));
    let kept: Vec<_> = (0..8)
        .map(|n| bench.submit(&n.to_string()).unwrap())
        .collect();
    let refusal = bench.submit("one too many").unwrap_err();
    assert_eq!(
        (refusal.code, refusal.retry_after_ms),
        (Code::Overloaded, Some(1_000))
    );
    bench.store.permits.add_permits(9);
    for outcome in kept {
        assert!(outcome.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_duplicate_is_answered_but_not_shown_again() {
    let bench = bench(Fake::new(9, &[]));
    let room = RoomId::parse("r").unwrap();
    let send = |text: &str| {
        bench
            .appender
            .submit(room.clone(), draft(text, "same"))
            .unwrap()
    };
    let first = send("hi").await.unwrap().unwrap();
    let again = send("hi").await.unwrap().unwrap();
    assert_eq!((first.duplicate, again.duplicate), (false, true));
    assert_eq!(first.message, again.message);
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_shown_when_it_is_sent_again() {
    let bench = bench(Fake::new(9, &[Failure::After]));
    let refusal = bench.submit("hi").unwrap().await.unwrap().unwrap_err();
    assert_eq!(
        (refusal.code, refusal.code.retryable()),
        (Code::Unavailable, true)
    );
    assert_eq!(bench.seen(), []);
    assert!(
        bench
            .submit("hi")
            .unwrap()
            .await
            .unwrap()
            .unwrap()
            .duplicate
    );
    assert!(
        bench
            .submit("hi")
            .unwrap()
            .await
            .unwrap()
            .unwrap()
            .duplicate
    );
    assert_eq!(bench.seen(), [("hi".to_owned(), 1)]);
}

#[tokio::test]
async fn a_store_that_is_down_is_a_refusal_and_nothing_is_shown() {
    let bench = bench(Fake::new(9, &[Failure::Before]));
    let refusal = bench.submit("hi").unwrap().await.unwrap().unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
    assert_eq!(bench.seen(), []);
    assert!(
        !bench
            .submit("hi")
            .unwrap()
            .await
            .unwrap()
            .unwrap()
            .duplicate
    );
    assert_eq!(bench.seen(), [("hi".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_a_refusal() {
    let bench = bench(Fake::new(0, &[]));
    let refusal = bench.submit("hi").unwrap().await.unwrap().unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
}

#[tokio::test]
async fn a_store_that_panics_does_not_make_the_room_deaf() {
    let bench = bench(Fake::new(9, &[Failure::Panic]));
    assert!(bench.submit("a").unwrap().await.is_err());
    bench.tasks.close();
    bench.tasks.wait().await;
    assert_eq!(
        bench
            .submit("b")
            .unwrap()
            .await
            .unwrap()
            .unwrap()
            .message
            .seq,
        1
    );
}
