//! The events of one socket, waiting in the order in which they came.
//!
//! socketioxide spawns a task per event and so loses their order; here they are queued before any task runs. A worker exists only while
//! there is work, so an idle socket costs no task.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A bounded queue with at most one worker.
pub(super) struct Inbox<J> {
    state: Mutex<State<J>>,
    /// Wakes a worker that waits for something else at the same time.
    pub(super) arrived: Notify,
}

struct State<J> {
    jobs: VecDeque<(J, usize)>,
    bytes: usize,
    has_worker: bool,
}

/// What whoever pushed a job must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Start the worker: there was none.
    StartWorker,
    /// The worker will come to it.
    Queued,
}

/// The queue is at its bound; the job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<J> Inbox<J> {
    pub(super) fn new() -> Self {
        let state = State {
            jobs: VecDeque::new(),
            bytes: 0,
            has_worker: false,
        };
        Self {
            state: Mutex::new(state),
            arrived: Notify::new(),
        }
    }

    /// Queues a job that weighs `bytes`. One job is always taken when the queue is empty.
    pub(super) fn push(
        &self,
        job: J,
        bytes: usize,
        (jobs_max, bytes_max): (usize, usize),
    ) -> Result<Pushed, (Full, J)> {
        let mut state = self.state();
        let is_full = state.jobs.len() >= jobs_max || state.bytes + bytes > bytes_max;
        if is_full && !state.jobs.is_empty() {
            return Err((Full, job));
        }
        state.jobs.push_back((job, bytes));
        state.bytes += bytes;
        if state.has_worker {
            drop(state);
            self.arrived.notify_one();
            return Ok(Pushed::Queued);
        }
        state.has_worker = true;
        Ok(Pushed::StartWorker)
    }

    /// The oldest job.
    pub(super) fn take(&self) -> Option<J> {
        let mut state = self.state();
        let (job, bytes) = state.jobs.pop_front()?;
        state.bytes -= bytes;
        Some(job)
    }

    /// Whether the worker may end. False when a job came meanwhile.
    pub(super) fn rest(&self) -> bool {
        let mut state = self.state();
        if !state.jobs.is_empty() {
            return false;
        }
        state.has_worker = false;
        // A burst is over; idle sockets keep no buffer.
        state.jobs = VecDeque::new();
        true
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: (usize, usize) = (10, 100);

    #[test]
    fn jobs_leave_in_the_order_they_came_and_one_worker_is_asked_for() {
        let inbox = Inbox::new();
        assert_eq!(inbox.push(1, 1, ROOMY), Ok(Pushed::StartWorker));
        assert_eq!(inbox.push(2, 1, ROOMY), Ok(Pushed::Queued));
        assert_eq!((inbox.take(), inbox.rest()), (Some(1), false));
        assert_eq!(
            (inbox.take(), inbox.take(), inbox.rest()),
            (Some(2), None, true)
        );
        assert_eq!(inbox.push(3, 1, ROOMY), Ok(Pushed::StartWorker));
    }

    #[test]
    fn a_full_queue_gives_the_job_back() {
        let inbox = Inbox::new();
        assert!(inbox.push(1, 1, (2, 100)).is_ok());
        assert!(inbox.push(2, 1, (2, 100)).is_ok());
        assert_eq!(inbox.push(3, 1, (2, 100)), Err((Full, 3)));
        assert_eq!(inbox.push(3, 99, (9, 100)), Err((Full, 3)));
    }

    #[test]
    fn a_single_large_job_is_taken() {
        let inbox = Inbox::new();
        assert!(inbox.push(1, 1_000, (1, 10)).is_ok());
        assert_eq!(inbox.push(2, 1, (5, 10)), Err((Full, 2)));
        assert_eq!(inbox.take(), Some(1));
        assert!(inbox.push(2, 1, (5, 10)).is_ok());
    }
}
