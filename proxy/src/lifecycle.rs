//! How long the proxy lives: what phase it is in, who is still open, and when a stop is over.
//!
//! Invariants: **a stop ends as soon as nothing is open**, never later than its deadline; **a hangup never ends the
//! process**. Does not know what is open, only how many hold an `Open`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::server::Command;

/// After a stop, how long goodbyes to WebSockets and last bytes may take.
const CLOSING_TIMEOUT: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// No new clients, no further requests on idle connections.
    Draining,
    /// Everything that is open says goodbye now.
    Closing,
    /// Nothing is waited for any more.
    Ended,
}

/// Seen by everything that must end some day.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    phase: watch::Receiver<Phase>,
    open: mpsc::WeakSender<()>,
}

/// Held while something is open; the stop waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// `None`: it was opened after the stop had nothing left to wait for.
    _open: Option<mpsc::Sender<()>>,
}

/// Ready when its phase is reached or passed. Looking again costs one atomic read, where to ask the channel takes a
/// lock that all connections share. Must stay in one task.
pub(crate) struct Awaited {
    phase: Phase,
    seen: watch::Receiver<Phase>,
    reached: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_waiting: bool,
}

impl Future for Awaited {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.is_waiting && !this.seen.has_changed().unwrap_or(true) {
            return Poll::Pending;
        }
        if *this.seen.borrow_and_update() >= this.phase {
            return Poll::Ready(());
        }
        this.is_waiting = true;
        this.reached.as_mut().poll(context)
    }
}

/// The other end: moves the phase on and waits.
#[derive(Debug)]
pub(crate) struct Reaper {
    phase: watch::Sender<Phase>,
    /// Keeps the channel until the stop begins.
    not_yet: mpsc::Sender<()>,
    open: mpsc::Receiver<()>,
}

#[must_use]
pub(crate) fn life() -> (Life, Reaper) {
    let (phase, seen) = watch::channel(Phase::Running);
    let (open, gone) = mpsc::channel(1);
    let life = Life {
        phase: seen,
        open: open.downgrade(),
    };
    (
        life,
        Reaper {
            phase,
            not_yet: open,
            open: gone,
        },
    )
}

impl Life {
    #[must_use]
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Returns when the phase is reached or passed.
    pub(crate) async fn reached(&mut self, phase: Phase) {
        if self.phase.wait_for(|now| *now >= phase).await.is_err() {
            // The reaper is gone, which only the end of the runtime can bring about.
            std::future::pending::<()>().await;
        }
    }

    /// The same as a value of its own, for whoever waits for other things besides and is woken by them often.
    #[must_use]
    pub(crate) fn awaited(&self, phase: Phase) -> Awaited {
        let mut life = self.clone();
        Awaited {
            phase,
            seen: self.phase.clone(),
            reached: Box::pin(async move { life.reached(phase).await }),
            is_waiting: false,
        }
    }

    #[must_use]
    pub(crate) fn open(&self) -> Open {
        Open {
            _open: self.open.upgrade(),
        }
    }
}

impl Reaper {
    /// Ends the life: drains for at most `drain_timeout`, then closes. A further command cuts the drain short.
    pub(crate) async fn reap(
        self,
        first: Command,
        drain_timeout: Duration,
        commands: &mut mpsc::Receiver<Command>,
    ) {
        let Self {
            phase,
            not_yet,
            mut open,
        } = self;
        drop(not_yet);
        Self::end(&phase, &mut open, first, drain_timeout, commands).await;
        phase.send_replace(Phase::Ended);
    }

    async fn end(
        phase: &watch::Sender<Phase>,
        open: &mut mpsc::Receiver<()>,
        first: Command,
        drain_timeout: Duration,
        commands: &mut mpsc::Receiver<Command>,
    ) {
        phase.send_replace(Phase::Draining);
        if first == Command::Drain {
            tracing::info!(
                drain_timeout_seconds = drain_timeout.as_secs_f64(),
                "draining"
            );
            tokio::select! {
                () = wait_gone(open) => return,
                () = tokio::time::sleep(drain_timeout) => tracing::warn!("drain_timeout is over, closing what is open"),
                () = wait_impatient(commands) => tracing::info!("asked again, closing what is open"),
            }
        }
        phase.send_replace(Phase::Closing);
        if timeout(CLOSING_TIMEOUT, wait_gone(open)).await.is_err() {
            tracing::warn!("some connections did not close in time and were cut");
        }
    }
}

async fn wait_gone(open: &mut mpsc::Receiver<()>) {
    // Nobody ever sends: the end of the channel is the end of the last holder.
    while open.recv().await.is_some() {}
}

async fn wait_impatient(commands: &mut mpsc::Receiver<Command>) {
    while let Some(command) = commands.recv().await {
        if command != Command::Reload {
            return;
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    async fn reap(first: Command, open: usize, again: bool) -> Duration {
        let (life, reaper) = life();
        let held: Vec<_> = (0..open).map(|_| life.open()).collect();
        let mut closing = life.clone();
        let (sender, mut commands) = mpsc::channel(1);
        if again {
            sender.send(Command::Drain).await.unwrap();
        }
        let holder = tokio::spawn(async move {
            closing.reached(Phase::Closing).await;
            drop(held);
        });
        let start = Instant::now();
        if open == 0 {
            holder.abort();
        }
        reaper
            .reap(first, Duration::from_secs(30), &mut commands)
            .await;
        start.elapsed()
    }

    #[tokio::test]
    async fn who_waits_sees_its_phase_and_those_behind_it() {
        let (life, reaper) = life();
        let (mut draining, mut closing) =
            (life.awaited(Phase::Draining), life.awaited(Phase::Closing));
        let poll = async |awaited: &mut Awaited| futures_util::poll!(awaited).is_ready();
        for _ in 0..2 {
            assert!(!poll(&mut draining).await && !poll(&mut closing).await);
        }
        reaper.phase.send_replace(Phase::Draining);
        assert!(poll(&mut draining).await && !poll(&mut closing).await);
        reaper.phase.send_replace(Phase::Ended);
        assert!(poll(&mut draining).await && poll(&mut closing).await);
        assert!(poll(&mut life.awaited(Phase::Closing)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_open_ends_at_once() {
        assert_eq!(reap(Command::Drain, 0, false).await, Duration::ZERO);
        assert_eq!(reap(Command::Stop, 0, false).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_open_is_waited_for_until_the_deadline() {
        assert_eq!(
            reap(Command::Drain, 2, false).await,
            Duration::from_secs(30)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn asking_twice_does_not_wait() {
        assert_eq!(reap(Command::Drain, 2, true).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_does_not_wait() {
        assert_eq!(reap(Command::Stop, 2, false).await, Duration::ZERO);
    }
}
