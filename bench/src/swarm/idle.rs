//! Many connections that are opened, held and closed: what they cost while nothing happens.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::drive::{Next, Plan, Scene, Session, on_this_thread};
use super::http::Http;
use super::progress::Progress;
use super::report::{Cpu, IdleReport, Memory};
use super::socketio::Seat;
use super::tally::{Failure, Tally};
use super::target::Target;
use super::websocket::{Held, client_frame};
use crate::watch::Watch;
use crate::{clock, frame};

/// Opened and closed before anything is counted, so that what a proxy makes once is made.
const WARM_UP_CONNECTIONS: usize = 50;
/// Connections that work at the same time; the others wait for their turn.
const WORKERS: usize = 64;
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Memory is at rest when it moved less than this …
const REST_BYTES: u64 = 128 * 1024;
/// … so many times in a row, at this distance.
const REST_READINGS: usize = 4;
const REST_INTERVAL: Duration = Duration::from_millis(250);
/// What still moves then is reported as it is.
const REST_MAX: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    WebSocket,
    /// Each after one request.
    Http,
    /// Socket.IO clients that joined a room.
    Socketio,
}

#[derive(Clone, Debug)]
pub struct IdlePlan {
    pub kind: Kind,
    pub connections: usize,
    /// Echoed on each WebSocket one after another, after the first look at the memory.
    pub messages: usize,
    pub message_bytes: usize,
    /// How long to hold them, apart from the time that measuring takes.
    pub hold: Duration,
}

/// Runs on this thread.
///
/// # Errors
/// When the watched processes cannot be read. What proxies do wrong is in the report.
pub fn idle(target: &Target, plan: &IdlePlan, watch: &Watch) -> anyhow::Result<IdleReport> {
    let scene = Rc::new(Scene::new(target.clone(), Plan::default()));
    match plan.kind {
        Kind::WebSocket => on_this_thread(hold::<Held>(scene, plan.clone(), watch)),
        Kind::Http => on_this_thread(hold::<Http>(scene, plan.clone(), watch)),
        Kind::Socketio => on_this_thread(hold::<Seat>(scene, plan.clone(), watch)),
    }
}

/// What a held connection does when it is asked to do something.
trait Hold: Session {
    async fn message(&mut self, frame: &[u8], payload_bytes: usize) -> Result<(), Failure>;
}

impl Hold for Held {
    async fn message(&mut self, frame: &[u8], payload_bytes: usize) -> Result<(), Failure> {
        self.0.send(frame).await?;
        self.0.skip(Some(payload_bytes)).await
    }
}

impl Hold for Http {
    async fn message(&mut self, _: &[u8], _: usize) -> Result<(), Failure> {
        self.once().await.map(drop)
    }
}

impl Hold for Seat {
    async fn message(&mut self, _: &[u8], _: usize) -> Result<(), Failure> {
        self.once().await.map(drop)
    }
}

async fn hold<S: Hold>(
    scene: Rc<Scene>,
    plan: IdlePlan,
    watch: &Watch,
) -> anyhow::Result<IdleReport> {
    let tally = Rc::new(Tally::new(None)?);
    drop(open_all::<S>(&scene, WARM_UP_CONNECTIONS, &tally).await);
    let mut memory = Memory {
        before_bytes: at_rest(watch).await?,
        ..Memory::default()
    };
    let (started, cpu_before) = (clock::now(), watch.cpu_ns()?);
    let mut held = open_all::<S>(&scene, plan.connections, &tally).await;
    let cpu_ns = watch.cpu_ns()?.saturating_sub(cpu_before);
    let (opened, took) = (held.len(), started.elapsed());
    memory.open_bytes = at_rest(watch).await?;
    if plan.messages > 0 {
        held = message_all(held, &plan, &tally).await;
        memory.after_messages_bytes = Some(at_rest(watch).await?);
    }
    sleep(plan.hold).await;
    drop(held);
    memory.closed_bytes = at_rest(watch).await?;
    let is_watched = !watch.is_empty();
    Ok(IdleReport {
        mode: match plan.kind {
            Kind::WebSocket => Held::NAME,
            Kind::Http => "http-idle",
            Kind::Socketio => Seat::NAME,
        },
        connections: plan.connections,
        opened,
        opened_per_second: opened as f64 / took.as_secs_f64(),
        failures: tally.failures(),
        memory: is_watched.then(|| memory.complete(opened)),
        cpu_opening: is_watched.then(|| Cpu::new(cpu_ns, opened as u64)),
    })
}

/// Connections that could not be opened are failures in the tally.
async fn open_all<S: Session>(scene: &Rc<Scene>, count: usize, tally: &Rc<Tally>) -> Vec<S> {
    let open = Rc::new(RefCell::new(Vec::with_capacity(count)));
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (scene, tally, open) = (Rc::clone(scene), Rc::clone(tally), Rc::clone(&open));
        workers.spawn_local(async move {
            for index in (worker..count).step_by(WORKERS) {
                let opening = async {
                    let mut session: S = scene.open(index).await?;
                    match session.once().await? {
                        Next::Same => Ok(session),
                        Next::Reopen => Err(Failure::Closed),
                    }
                };
                match timeout(STEP_TIMEOUT, opening).await {
                    Ok(Ok(session)) => open.borrow_mut().push(session),
                    Ok(Err(failure)) => tally.fail(failure),
                    Err(_) => tally.fail(Failure::TimedOut),
                }
            }
        });
    }
    watched(&mut workers, count, || open.borrow().len()).await;
    open.take()
}

async fn message_all<S: Hold>(held: Vec<S>, plan: &IdlePlan, tally: &Rc<Tally>) -> Vec<S> {
    let count = held.len();
    let frame: Rc<[u8]> = client_frame(frame::BINARY, &vec![b'm'; plan.message_bytes]).into();
    let waiting = Rc::new(RefCell::new(held));
    let done = Rc::new(RefCell::new(Vec::with_capacity(count)));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (waiting, done) = (Rc::clone(&waiting), Rc::clone(&done));
        let (frame, tally, plan) = (Rc::clone(&frame), Rc::clone(tally), plan.clone());
        workers.spawn_local(async move {
            loop {
                // A statement of its own, so that the borrow ends before the wait.
                let next = waiting.borrow_mut().pop();
                let Some(mut session) = next else { return };
                let messages = async {
                    for _ in 0..plan.messages {
                        session.message(&frame, plan.message_bytes).await?;
                    }
                    Ok(())
                };
                match timeout(STEP_TIMEOUT, messages).await {
                    Ok(Ok(())) => done.borrow_mut().push(session),
                    Ok(Err(failure)) => tally.fail(failure),
                    Err(_) => tally.fail(Failure::TimedOut),
                }
            }
        });
    }
    watched(&mut workers, count, || done.borrow().len()).await;
    done.take()
}

/// Waits for all workers, with a bar.
async fn watched(workers: &mut JoinSet<()>, count: usize, done: impl Fn() -> usize) {
    let mut progress = Progress::new("connections");
    while workers.join_next().await.is_some() {
        progress.show(done() as f64 / count as f64, done() as u64);
    }
    progress.clear();
}

/// The memory of the watched processes, when it no longer moves.
async fn at_rest(watch: &Watch) -> anyhow::Result<u64> {
    if watch.is_empty() {
        return Ok(0);
    }
    let since = clock::now();
    let mut last = watch.pss_bytes()?;
    let mut still = 0;
    while still < REST_READINGS && since.elapsed() < REST_MAX {
        sleep(REST_INTERVAL).await;
        let now = watch.pss_bytes()?;
        still = if now.abs_diff(last) < REST_BYTES {
            still + 1
        } else {
            0
        };
        last = now;
    }
    Ok(last)
}
