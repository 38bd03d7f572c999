//! A thread that owns one connection and runs what it is given, in order.
//!
//! SQLite's calls block; the runtime's threads must not.

use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::SqliteError;

/// Work that waits for the thread. A queue that long means a stuck disk: refusing is better than piling up.
pub(crate) const QUEUE_JOBS_MAX: usize = 1024;

/// The longest anybody waits for an answer: a locked group before us, our own lock, and a slow disk on top.
pub(crate) const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the thread. The thread ends, and closes the connection, when the last handle is gone and the queue is empty.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    queue: mpsc::Sender<Work>,
}

impl Worker {
    pub(crate) fn start(name: &str, mut connection: Connection) -> Result<Self, SqliteError> {
        let (queue, mut work) = mpsc::channel::<Work>(QUEUE_JOBS_MAX);
        spawn(name, move || {
            while let Some(job) = work.blocking_recv() {
                job(&mut connection);
            }
        })?;
        Ok(Self { queue })
    }

    /// Runs `work` on the thread. Dropping the future does not undo work that was queued.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, SqliteError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, SqliteError> + Send + 'static,
    {
        ask(&self.queue, |reply| -> Work {
            Box::new(move |connection| {
                // Nobody waits any more when the caller gave up; what was done stays done.
                drop(reply.send(work(connection)));
            })
        })
        .await?
    }
}

/// Starts a thread that nobody joins: what it was given it finishes, and an ack never precedes a commit.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), SqliteError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(body);
    started
        .map(drop)
        .map_err(|why| SqliteError::Unavailable(format!("no thread: {why}")))
}

/// Puts a job into a thread's queue and waits for its answer, both bounded.
pub(crate) async fn ask<J, T>(
    queue: &mpsc::Sender<J>,
    job: impl FnOnce(oneshot::Sender<T>) -> J,
) -> Result<T, SqliteError> {
    let unavailable = |why: &str| SqliteError::Unavailable(why.to_owned());
    let (reply, answer) = oneshot::channel();
    queue.try_send(job(reply)).map_err(|why| match why {
        mpsc::error::TrySendError::Full(_) => unavailable("too much is waiting for the disk"),
        mpsc::error::TrySendError::Closed(_) => unavailable("its thread has ended"),
    })?;
    match tokio::time::timeout(ANSWER_TIME_MAX, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(unavailable("its thread has ended")),
        Err(_) => Err(unavailable("the disk did not answer in time")),
    }
}
