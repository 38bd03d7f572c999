use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::*;
use crate::chat::message::Draft;
use crate::store::memory::MemoryStore;
use crate::store::{Appended, Ends, Found, Grown, Mark, Search};

const TAIL: Page = Page::Latest { limit: 1 };

/// A store whose reads begin at once, and end when they may.
struct Slow {
    inner: MemoryStore,
    begun: AtomicUsize,
    permits: Semaphore,
}

#[async_trait]
impl Store for Slow {
    async fn append(&self, room: &RoomId, drafts: Vec<Draft>) -> Vec<Result<Appended, StoreError>> {
        self.inner.append(room, drafts).await
    }

    async fn page(&self, room: &RoomId, page: Page) -> Result<History, StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let answer = self.inner.page(room, page).await;
        self.permits.acquire().await.unwrap().forget();
        answer
    }

    async fn tails(&self, _: &[RoomId]) -> Result<Tails, StoreError> {
        std::future::pending().await
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
        "slow"
    }
}

fn scene() -> (Arc<Slow>, Reader, RoomId) {
    let store = Arc::new(Slow {
        inner: MemoryStore::new(),
        begun: AtomicUsize::new(0),
        permits: Semaphore::new(0),
    });
    let reader = Reader::new(Arc::clone(&store) as Arc<dyn Store>, Duration::from_secs(9));
    (store, reader, RoomId::parse("r").unwrap())
}

/// Lets every task go as far as it can: on one thread, with the clock paused, time only passes when nobody can go on.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn equal_questions_share_two_reads_at_most() {
    let (store, reader, room) = scene();
    let crowd = |count: usize| {
        let (reader, room) = (reader.clone(), room.clone());
        tokio::spawn(async move { join_all((0..count).map(|_| reader.page(&room, TAIL))).await })
    };
    let first = crowd(50);
    settled().await;
    assert_eq!(store.begun.load(Ordering::SeqCst), 1);
    let late = crowd(50);
    settled().await;
    assert_eq!(
        store.begun.load(Ordering::SeqCst),
        1,
        "it waits for its turn"
    );
    store.permits.add_permits(2);
    let answers = [first.await.unwrap(), late.await.unwrap()].concat();
    assert!(answers.len() == 100 && answers.iter().all(Result::is_ok));
    assert_eq!(store.begun.load(Ordering::SeqCst), 2);
    assert!(reader.0.questions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_read_never_answers_who_asked_after_it_began() {
    let (store, reader, room) = scene();
    let ask = || {
        let (reader, room) = (reader.clone(), room.clone());
        tokio::spawn(async move { reader.page(&room, TAIL).await.unwrap().last_seq })
    };
    let early = ask();
    settled().await;
    let draft = crate::store::contract::draft("ann", "a", "hello");
    store.append(&room, vec![draft]).await;
    let late = ask();
    store.permits.add_permits(2);
    assert_eq!((early.await.unwrap(), late.await.unwrap()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_leaves_nothing_behind_and_disturbs_nobody() {
    let (store, reader, room) = scene();
    let ask = || {
        let (reader, room) = (reader.clone(), room.clone());
        tokio::spawn(async move { reader.page(&room, TAIL).await })
    };
    let (first, second, third) = (ask(), ask(), ask());
    settled().await;
    first.abort();
    settled().await;
    store.permits.add_permits(3);
    assert!(second.await.unwrap().is_ok() && third.await.unwrap().is_ok());
    assert!(reader.0.questions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_waited_for_for_ever() {
    let (_store, reader, room) = scene();
    assert_eq!(reader.page(&room, TAIL).await, Err(timed_out()));
    assert_eq!(reader.tails(&[room]).await, Err(timed_out()));
    assert!(reader.0.questions().is_empty());
}
