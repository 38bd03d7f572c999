//! One timer for all the deadlines of a connection, one after the other.
//!
//! A deadline that is met moves nothing: the timer stays where it was, and when it fires early it is set to what is the
//! deadline then. So a connection that is busy touches the runtime's timers about once a minute, not with every read.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// Not set until somebody waits. Must stay in one task: it is the first one that waited that is woken.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `deadline` has passed; another one may be given with every call.
    pub fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if let Some(timer) = &self.0
            && timer.deadline() <= deadline
            && !timer.is_elapsed()
        {
            // It was polled when it was set, and will wake us.
            return Poll::Pending;
        }
        let timer = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(context).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_deadline_is_kept_whether_nearer_or_farther() {
        let mut alarm = Alarm::default();
        for seconds in [10, 3, 20, 20, 1, 60] {
            let start = Instant::now();
            let deadline = start + Duration::from_secs(seconds);
            poll_fn(|context| alarm.poll(context, deadline)).await;
            assert_eq!(start.elapsed(), Duration::from_secs(seconds));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_on_is_kept_at_its_last_place() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        let mut looks = 0;
        poll_fn(|context| {
            looks += 1;
            let deadline = start + Duration::from_secs(if looks == 1 { 5 } else { 8 });
            alarm.poll(context, deadline)
        })
        .await;
        assert_eq!((start.elapsed(), looks), (Duration::from_secs(8), 3));
    }
}
