//! Reads the log for many at once: equal questions share an answer.
//!
//! **A read never answers somebody who asked after it began**: what they saw acknowledged would be missing from it. So there is at most
//! one read of a page under way, and one that begins when it is done and answers all who asked meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use crate::chat::room::RoomId;
use crate::store::{History, Page, Store, StoreError, Tails};

type Answer = Result<Arc<History>, StoreError>;
type Question = (RoomId, Page);

/// Cheap to clone.
#[derive(Clone)]
pub struct Reader(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    timeout: Duration,
    questions: Mutex<HashMap<Question, Asked>>,
}

/// A question that somebody waits for.
struct Asked {
    /// Held by the read that is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The read that has not begun.
    next: Option<Shared<BoxFuture<'static, Answer>>>,
    /// Who waits. The last one takes the entry away.
    waiting: usize,
}

impl Reader {
    /// `timeout` is the last word on a store that hangs.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            store,
            timeout,
            questions: Mutex::default(),
        }))
    }

    /// A page of a room's log, as it is at some moment after this call.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer, or not in time.
    pub async fn page(&self, room: &RoomId, page: Page) -> Answer {
        let question = (room.clone(), page);
        let (answer, _waiting) = self.ask(&question);
        answer.await
    }

    /// Where the logs of these rooms end.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer, or not in time.
    pub async fn tails(&self, rooms: &[RoomId]) -> Result<Tails, StoreError> {
        match tokio::time::timeout(self.0.timeout, self.0.store.tails(rooms)).await {
            Ok(answer) => answer,
            Err(_) => Err(timed_out()),
        }
    }

    fn ask(&self, question: &Question) -> (Shared<BoxFuture<'static, Answer>>, Waiting) {
        let mut questions = self.0.questions();
        let asked = questions.entry(question.clone()).or_insert_with(|| Asked {
            turn: Arc::default(),
            next: None,
            waiting: 0,
        });
        asked.waiting += 1;
        let turn = Arc::clone(&asked.turn);
        let read = || {
            let inner = Arc::clone(&self.0);
            inner.read(question.clone(), turn).boxed().shared()
        };
        let answer = asked.next.get_or_insert_with(read).clone();
        let waiting = Waiting {
            inner: Arc::clone(&self.0),
            question: question.clone(),
        };
        (answer, waiting)
    }
}

impl Inner {
    async fn read(
        self: Arc<Self>,
        question: Question,
        turn: Arc<tokio::sync::Mutex<()>>,
    ) -> Answer {
        let _turn = turn.lock().await;
        if let Some(asked) = self.questions().get_mut(&question) {
            // From now on it answers nobody new.
            asked.next = None;
        }
        let (room, page) = &question;
        match tokio::time::timeout(self.timeout, self.store.page(room, *page)).await {
            Ok(answer) => answer.map(Arc::new),
            Err(_) => Err(timed_out()),
        }
    }

    fn questions(&self) -> MutexGuard<'_, HashMap<Question, Asked>> {
        // Nothing panics while it is held, and what it guards is sound between any two lines.
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn timed_out() -> StoreError {
    StoreError::Unavailable("timed out".to_owned())
}

/// One who waits for an answer, until dropped.
struct Waiting {
    inner: Arc<Inner>,
    question: Question,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut questions = self.inner.questions();
        if let Some(asked) = questions.get_mut(&self.question) {
            asked.waiting -= 1;
            if asked.waiting == 0 {
                questions.remove(&self.question);
            }
        }
    }
}

#[cfg(test)]
mod tests;
