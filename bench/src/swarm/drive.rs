//! One run: connections that exchange, a conductor that says when it counts.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::meter::Meter;
use super::pace::Pace;
use super::progress::{self, Progress};
use super::report::Report;
use super::tally::{Failure, Tally};
use super::target::Target;
use crate::clock;
use crate::watch::Watch;

/// After it an exchange counts as failed.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long exchanges that were meant to begin in time may be late.
const LATE_MAX: Duration = Duration::from_secs(30);
/// Connections that are opened at once: more would measure the accept queue, whose length differs from proxy to proxy.
const OPENING_MAX: usize = 64;
/// Before a connection that failed is opened again.
const FAILURE_PAUSE: Duration = Duration::from_millis(10);

/// What a run does, whatever its exchanges are.
#[derive(Clone, Debug)]
pub struct Plan {
    pub connections: usize,
    /// Exchanges a second over all connections; `None`: each begins when the last one ended.
    pub rate: Option<f64>,
    pub warm_up: Duration,
    pub duration: Duration,
    /// Ends after so many exchanges, not after a time; without warm-up.
    pub total: Option<u64>,
    /// What one message carries, where exchanges are messages.
    pub message_bytes: usize,
    /// Clients send back the cookies that they get.
    pub has_cookies: bool,
    /// Each exchange on a connection of its own.
    pub is_fresh: bool,
    /// WebSockets wait for the server's first message instead of sending one.
    pub is_greeted: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            connections: 64,
            rate: None,
            warm_up: Duration::from_millis(500),
            duration: Duration::from_secs(2),
            total: None,
            message_bytes: 100,
            has_cookies: false,
            is_fresh: false,
            is_greeted: false,
        }
    }
}

/// What every connection needs.
pub struct Scene {
    pub(crate) target: Target,
    pub(crate) plan: Plan,
    opening: Semaphore,
}

impl Scene {
    pub(crate) fn new(target: Target, plan: Plan) -> Self {
        let opening = Semaphore::new(OPENING_MAX);
        Self {
            target,
            plan,
            opening,
        }
    }

    /// Opens a connection when not too many others do.
    pub(crate) async fn open<S: Session>(&self, index: usize) -> Result<S, Failure> {
        let _turn = self.opening.acquire().await.map_err(|_| Failure::Connect)?;
        S::open(self, index).await
    }
}

pub enum Next {
    Same,
    /// This connection is at its end, as it should be.
    Reopen,
}

/// A connection and what it does again and again.
#[allow(async_fn_in_trait, reason = "runs on one thread")]
pub trait Session: Sized + 'static {
    const NAME: &'static str;
    async fn open(scene: &Scene, index: usize) -> Result<Self, Failure>;
    async fn once(&mut self) -> Result<Next, Failure>;
}

/// Runs on this thread until the plan is done.
///
/// # Errors
/// When the watched processes cannot be read, or there are no resources for clients. What proxies do wrong is in the report.
pub fn run<S: Session>(target: &Target, plan: &Plan, watch: &Watch) -> anyhow::Result<Report> {
    on_this_thread(conduct::<S>(
        Scene::new(target.clone(), plan.clone()),
        watch,
    ))
}

pub(crate) fn on_this_thread<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the clients")?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

async fn conduct<S: Session>(scene: Scene, watch: &Watch) -> anyhow::Result<Report> {
    let scene = Rc::new(scene);
    let plan = &scene.plan;
    let (pace, tally) = Pace::of(plan)?;
    let pace = Rc::new(pace);
    let mut clients = JoinSet::new();
    let mut meter = Meter::start(watch)?;
    if plan.total.is_some() {
        tally.begin(meter.since);
    }
    for index in 0..plan.connections {
        let (scene, pace, tally) = (Rc::clone(&scene), Rc::clone(&pace), Rc::clone(&tally));
        clients.spawn_local(drive::<S>(scene, index, pace, tally));
    }
    let keeper = Rc::clone(&pace);
    let keeper = tokio::task::spawn_local(async move { keeper.keep_time().await });
    let mut progress = Progress::new(S::NAME);
    if plan.total.is_some() {
        finish_all(&mut clients, &mut progress, &tally, plan).await;
    } else {
        sleep(plan.warm_up).await;
        meter = Meter::start(watch)?;
        tally.begin(meter.since);
        progress
            .follow(meter.since, plan.duration, || tally.done())
            .await;
    }
    let reading = meter.read()?;
    tally.finish(reading.until);
    progress.clear();
    if keeper.is_finished() {
        keeper.await??;
    }
    let all_ended = timeout(LATE_MAX, async {
        while clients.join_next().await.is_some() {}
    });
    if all_ended.await.is_err() {
        (0..clients.len()).for_each(|_| tally.fail(Failure::TimedOut));
    }
    Ok(Report::new(S::NAME, plan, &tally, &reading))
}

async fn finish_all(clients: &mut JoinSet<()>, bar: &mut Progress, tally: &Tally, plan: &Plan) {
    let total = plan.total.unwrap_or_default().max(1);
    while !clients.is_empty() {
        let step = timeout(progress::INTERVAL, async {
            while clients.join_next().await.is_some() {}
        });
        if step.await.is_err() {
            bar.show(tally.done() as f64 / total as f64, tally.done());
        }
    }
}

async fn drive<S: Session>(scene: Rc<Scene>, index: usize, pace: Rc<Pace>, tally: Rc<Tally>) {
    let mut session: Option<S> = None;
    while let Some(intended) = pace.next(index).await {
        let exchange = timeout(EXCHANGE_TIMEOUT, exchange(&mut session, &scene, index));
        match exchange.await.unwrap_or(Err(Failure::TimedOut)) {
            Ok(()) => tally.succeed(intended, clock::now()),
            Err(failure) => {
                session = None;
                tally.fail(failure);
                sleep(FAILURE_PAUSE).await;
            }
        }
    }
}

async fn exchange<S: Session>(
    session: &mut Option<S>,
    scene: &Scene,
    index: usize,
) -> Result<(), Failure> {
    let mut open = match session.take() {
        Some(open) => open,
        None => scene.open(index).await?,
    };
    if matches!(open.once().await?, Next::Same) {
        *session = Some(open);
    }
    Ok(())
}
