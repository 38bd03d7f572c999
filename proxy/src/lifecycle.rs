//! How long the proxy lives: what phase it is in, who is still open, and when a stop is over.
//!
//! Invariants: **a stop ends as soon as nothing is open**, never later than its deadline; **a hangup never ends the
//! process**. Does not know what is open, only how many hold an `Open`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, mpsc};
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

/// The phase, and a bell for each of the later ones that rings when it begins.
#[derive(Debug)]
struct Stages {
    phase: AtomicU8,
    draining: Arc<Notify>,
    closing: Arc<Notify>,
    ended: Arc<Notify>,
}

impl Stages {
    /// Every request asks, so this is one read of something that hardly ever changes.
    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Running,
            1 => Phase::Draining,
            2 => Phase::Closing,
            _ => Phase::Ended,
        }
    }

    /// `None`: it is the phase that everything begins in.
    fn bell(&self, phase: Phase) -> Option<&Arc<Notify>> {
        match phase {
            Phase::Running => None,
            Phase::Draining => Some(&self.draining),
            Phase::Closing => Some(&self.closing),
            Phase::Ended => Some(&self.ended),
        }
    }

    /// Moves on; whoever waits for a phase that is skipped hears its bell, too.
    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
        for reached in [Phase::Draining, Phase::Closing, Phase::Ended] {
            if reached <= phase
                && let Some(bell) = self.bell(reached)
            {
                bell.notify_waiters();
            }
        }
    }
}

/// Seen by everything that must end some day.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    stages: Arc<Stages>,
    open: mpsc::WeakSender<()>,
}

/// Held while something is open; the stop waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// `None`: it was opened after the stop had nothing left to wait for.
    _open: Option<mpsc::Sender<()>>,
}

/// Ready when its phase is reached or passed. Looking again costs one atomic read, where to ask the bell takes a lock
/// that all connections share. Must stay in one task.
pub(crate) struct Awaited {
    stages: Arc<Stages>,
    /// `None`: there is nothing to wait for.
    bell: Option<Pin<Box<OwnedNotified>>>,
    phase: Phase,
    is_waiting: bool,
}

impl Future for Awaited {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // The bell was taken before this look, so it rings for whatever begins behind it.
        if this.stages.phase() >= this.phase {
            return Poll::Ready(());
        }
        if this.is_waiting {
            return Poll::Pending;
        }
        this.is_waiting = true;
        match &mut this.bell {
            Some(bell) => bell.as_mut().poll(context),
            None => Poll::Ready(()),
        }
    }
}

/// The other end: moves the phase on and waits.
#[derive(Debug)]
pub(crate) struct Reaper {
    stages: Arc<Stages>,
    /// Keeps the channel until the stop begins.
    not_yet: mpsc::Sender<()>,
    open: mpsc::Receiver<()>,
}

#[must_use]
pub(crate) fn life() -> (Life, Reaper) {
    let stages = Arc::new(Stages {
        phase: AtomicU8::new(Phase::Running as u8),
        draining: Arc::default(),
        closing: Arc::default(),
        ended: Arc::default(),
    });
    let (open, gone) = mpsc::channel(1);
    let life = Life {
        stages: Arc::clone(&stages),
        open: open.downgrade(),
    };
    (
        life,
        Reaper {
            stages,
            not_yet: open,
            open: gone,
        },
    )
}

impl Life {
    #[must_use]
    pub(crate) fn phase(&self) -> Phase {
        self.stages.phase()
    }

    /// Returns when the phase is reached or passed.
    pub(crate) async fn reached(&self, phase: Phase) {
        let Some(bell) = self.stages.bell(phase) else {
            return;
        };
        let rung = bell.notified();
        if self.phase() < phase {
            rung.await;
        }
    }

    /// The same as a value of its own, for whoever waits for other things besides and is woken by them often.
    #[must_use]
    pub(crate) fn awaited(&self, phase: Phase) -> Awaited {
        let bell = self.stages.bell(phase).map(Arc::clone);
        Awaited {
            stages: Arc::clone(&self.stages),
            bell: bell.map(|bell| Box::pin(bell.notified_owned())),
            phase,
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
            stages,
            not_yet,
            mut open,
        } = self;
        drop(not_yet);
        Self::end(&stages, &mut open, first, drain_timeout, commands).await;
        stages.enter(Phase::Ended);
    }

    async fn end(
        stages: &Stages,
        open: &mut mpsc::Receiver<()>,
        first: Command,
        drain_timeout: Duration,
        commands: &mut mpsc::Receiver<Command>,
    ) {
        stages.enter(Phase::Draining);
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
        stages.enter(Phase::Closing);
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
        let closing = life.clone();
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
        reaper.stages.enter(Phase::Draining);
        assert!(poll(&mut draining).await && !poll(&mut closing).await);
        reaper.stages.enter(Phase::Ended);
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
