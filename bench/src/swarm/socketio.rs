//! Rooms of Socket.IO members: one of each room sends, all of it receive, and every delivery is counted.
//!
//! Speaks Engine.IO 4 on WebSockets, and the events of the chat: `joinRoom(room)`, `sendMessage(room, {content, type})`, `message`.

mod heard;
mod room;
mod seat;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::drive::{Plan, Scene, on_this_thread};
use super::meter::{Meter, Reading};
use super::pace::Pace;
use super::progress::Progress;
use super::report::{Latency, RoomReport};
use super::tally::{Failure, Tally};
use super::target::Target;
use super::websocket::WebSocket;
use crate::clock;
use crate::watch::Watch;

use heard::{Heard, MARK, hear, text};
use room::{Room, Seen, Sent, Sighting};
pub(crate) use seat::Seat;

const BUFFER_BYTES: usize = 4096;
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Of a server that does not acknowledge.
const JOIN_PAUSE: Duration = Duration::from_secs(1);
/// A delivery that is later than this after the last one is missing.
const QUIET_MAX: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
pub struct RoomPlan {
    /// Begins the rooms' names. A room of an earlier run has a history, and may have stragglers.
    pub name: String,
    pub rooms: usize,
    pub members: usize,
    /// Messages that a room's sender may have under way without a rate.
    pub in_flight: usize,
    /// The server answers `joinRoom` and `sendMessage`.
    pub has_acks: bool,
    /// The server does not send a message back to its sender.
    pub is_for_others: bool,
    /// `rate` is in messages a second over all rooms; `message_bytes` is the length of the content.
    pub timing: Plan,
}

struct Hall {
    plan: RoomPlan,
    tally: Rc<Tally>,
    acks: Tally,
    pace: Pace,
    rooms: Vec<Room>,
    /// How often, by the server's code.
    refused: RefCell<BTreeMap<String, u64>>,
    twice: Cell<u64>,
    disordered: Cell<u64>,
}

/// Runs on this thread. Of several targets each member of a room takes the next one, and so do the rooms' senders.
///
/// # Errors
/// When the watched processes cannot be read, or not all members could join.
pub fn rooms(targets: &[Target], plan: &RoomPlan, watch: &Watch) -> anyhow::Result<RoomReport> {
    on_this_thread(gather(targets, plan.clone(), watch))
}

async fn gather(targets: &[Target], plan: RoomPlan, watch: &Watch) -> anyhow::Result<RoomReport> {
    let scenes = targets.iter();
    let scenes = scenes.map(|target| Scene::new(target.clone(), plan.timing.clone()));
    let members = join_all(&plan, &scenes.collect::<Vec<_>>()).await?;
    let timing = Plan {
        connections: plan.rooms,
        ..plan.timing.clone()
    };
    let (pace, tally) = Pace::of(&timing)?;
    let hall = Rc::new(Hall {
        pace,
        rooms: (0..plan.rooms).map(|_| Room::default()).collect(),
        plan,
        acks: tally.sibling()?,
        tally,
        refused: RefCell::default(),
        twice: Cell::default(),
        disordered: Cell::default(),
    });
    let mut talking = JoinSet::new();
    for (index, socket) in members.into_iter().enumerate() {
        let hall = Rc::clone(&hall);
        talking.spawn_local(async move {
            if let Err(failure) = hall.talk(index, socket).await {
                hall.tally.fail(failure);
            }
        });
    }
    let keeper = Rc::clone(&hall);
    let keeper = tokio::task::spawn_local(async move { keeper.pace.keep_time().await });
    sleep(timing.warm_up).await;
    let meter = Meter::start(watch)?;
    hall.tally.begin(meter.since);
    hall.acks.begin(meter.since);
    let mut progress = Progress::new("deliveries");
    progress
        .follow(meter.since, timing.duration, || hall.tally.done())
        .await;
    let reading = meter.read()?;
    hall.tally.finish(reading.until);
    hall.acks.finish(reading.until);
    progress.clear();
    if keeper.is_finished() {
        keeper.await??;
    }
    hall.quiet().await;
    Ok(hall.report(&reading))
}

/// The members in order: those of the first room, of the second, and so on.
async fn join_all(plan: &RoomPlan, scenes: &[Scene]) -> anyhow::Result<Vec<WebSocket>> {
    let mut members = Vec::with_capacity(plan.rooms * plan.members);
    let mut progress = Progress::new("members");
    let count = plan.rooms * plan.members;
    for index in 0..count {
        let (room, name) = (index / plan.members, plan.room(index / plan.members));
        let scene = scenes.get((index + room) % scenes.len().max(1));
        let scene = scene.ok_or_else(|| anyhow::anyhow!("there is nowhere to go"))?;
        let joined = timeout(JOIN_TIMEOUT, join(scene, index, &name, plan.has_acks)).await;
        let joined = joined.unwrap_or(Err(Failure::TimedOut));
        let refused =
            |failure: Failure| anyhow::anyhow!("member {index} could not join: {}", failure.word());
        members.push(joined.map_err(refused)?);
        progress.show((index + 1) as f64 / count as f64, index as u64 + 1);
    }
    progress.clear();
    if !plan.has_acks {
        sleep(JOIN_PAUSE).await;
    }
    Ok(members)
}

/// Connects, and sits down in a room.
async fn join(
    scene: &Scene,
    index: usize,
    room: &str,
    has_acks: bool,
) -> Result<WebSocket, Failure> {
    let mut socket = WebSocket::open(scene, index, BUFFER_BYTES).await?;
    wait_for(&mut socket, &Heard::Open).await?;
    socket.send(&text("40")).await?;
    wait_for(&mut socket, &Heard::Connected).await?;
    let join = format!("420[\"joinRoom\",\"{room}\"]");
    socket.send(&text(&join)).await?;
    if has_acks {
        wait_for(&mut socket, &Heard::Acked(0)).await?;
    }
    Ok(socket)
}

async fn wait_for(socket: &mut WebSocket, expected: &Heard) -> Result<(), Failure> {
    loop {
        match socket.receive(hear).await? {
            heard if heard == *expected => return Ok(()),
            Heard::Ping => socket.send(&text("3")).await?,
            Heard::Refused { .. } => return Err(Failure::Wrong),
            Heard::Open | Heard::Connected | Heard::Acked(_) | Heard::Message(_) | Heard::Other => {
            }
        }
    }
}

impl RoomPlan {
    fn room(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }
}

impl Hall {
    /// Sends, if it is the first of its room, and counts what it hears, until the task is dropped.
    async fn talk(&self, index: usize, mut socket: WebSocket) -> Result<(), Failure> {
        let number = index / self.plan.members;
        let Some(room) = self.rooms.get(number) else {
            return Ok(());
        };
        let mut is_sending = index.is_multiple_of(self.plan.members);
        let mut seen = Seen::default();
        let mut turn = std::pin::pin!(self.turn(room, number));
        loop {
            tokio::select! {
                heard = socket.receive(hear) => match heard? {
                    Heard::Ping => socket.send(&text("3")).await?,
                    Heard::Message(message) => self.count(room, &mut seen, message),
                    Heard::Acked(message) => self.count_ack(room, message),
                    Heard::Refused { message, why } => self.count_refusal(room, message, why),
                    Heard::Open | Heard::Connected | Heard::Other => {}
                },
                intended = &mut turn, if is_sending => match intended {
                    None => is_sending = false,
                    Some(intended) => {
                        let packet = self.packet(number, room.send(intended));
                        socket.send(&text(&packet)).await?;
                        turn.set(self.turn(room, number));
                    }
                },
            }
        }
    }

    /// Waits until this room may send. Without a rate, until few enough messages are under way.
    async fn turn(&self, room: &Room, number: usize) -> Option<Instant> {
        let under_way = || (room.sent.borrow().len() as u64).saturating_sub(room.done.get());
        while self.plan.timing.rate.is_none() && under_way() >= self.plan.in_flight as u64 {
            room.progress.notified().await;
        }
        self.pace.next(number).await
    }

    fn receivers(&self) -> u64 {
        let others = self.plan.members - usize::from(self.plan.is_for_others);
        others.max(1) as u64
    }

    fn packet(&self, room: usize, message: usize) -> String {
        let ack = if self.plan.has_acks {
            message.to_string()
        } else {
            String::new()
        };
        let mark = format!("{MARK}{message}:");
        let padding = "x".repeat(self.plan.timing.message_bytes.saturating_sub(mark.len()));
        let name = self.plan.room(room);
        format!(
            "42{ack}[\"sendMessage\",\"{name}\",{{\"content\":\"{mark}{padding}\",\"type\":\"text\"}}]"
        )
    }

    fn count(&self, room: &Room, seen: &mut Seen, message: usize) {
        let Some(intended) = room.intended(message) else {
            self.tally.fail(Failure::Wrong);
            return;
        };
        match seen.add(message) {
            Sighting::Twice => self.twice.set(self.twice.get() + 1),
            sighting => {
                if sighting == Sighting::Disordered {
                    self.disordered.set(self.disordered.get() + 1);
                }
                self.tally.succeed(intended, clock::now());
                room.note(message, |sent| sent.came += 1, self.receivers());
            }
        }
    }

    fn count_ack(&self, room: &Room, message: usize) {
        match room.intended(message) {
            None => self.tally.fail(Failure::Wrong),
            Some(intended) => {
                room.acked.set(room.acked.get() + 1);
                self.acks.succeed(intended, clock::now());
            }
        }
    }

    fn count_refusal(&self, room: &Room, message: Option<usize>, why: String) {
        *self.refused.borrow_mut().entry(why).or_default() += 1;
        if let Some(message) = message {
            room.note(message, |sent| sent.is_refused = true, self.receivers());
        }
    }

    /// Sums something over all messages.
    fn sum(&self, of: impl Fn(&Sent) -> u64) -> u64 {
        let rooms = self.rooms.iter();
        rooms
            .map(|room| room.sent.borrow().iter().map(&of).sum::<u64>())
            .sum()
    }

    /// Deliveries that are owed: of all messages but the refused ones.
    fn expected(&self) -> u64 {
        self.sum(|sent| u64::from(!sent.is_refused) * self.receivers())
    }

    fn missing(&self) -> u64 {
        let missing = |sent: &Sent| self.receivers().saturating_sub(sent.came);
        self.sum(|sent| u64::from(!sent.is_refused) * missing(sent))
    }

    fn unacked(&self) -> u64 {
        let acked: u64 = self.rooms.iter().map(|room| room.acked.get()).sum();
        let owed = self.sum(|sent| u64::from(!sent.is_refused));
        if self.plan.has_acks {
            owed.saturating_sub(acked)
        } else {
            0
        }
    }

    /// Waits for what is still under way.
    async fn quiet(&self) {
        let state = || (self.missing(), self.unacked());
        let mut last = (state(), clock::now());
        while last.0 != (0, 0) && last.1.elapsed() < QUIET_MAX {
            sleep(POLL).await;
            if state() != last.0 {
                last = (state(), clock::now());
            }
        }
    }

    fn report(&self, reading: &Reading) -> RoomReport {
        let tally = &self.tally;
        RoomReport {
            mode: "socketio",
            rooms: self.plan.rooms,
            members: self.plan.members,
            rate_per_second: self.plan.timing.rate,
            seconds: reading.took.as_secs_f64(),
            deliveries: tally.done(),
            deliveries_per_second: reading.per_second(tally.done()),
            expected_in_all: self.expected(),
            missing: self.missing(),
            twice: self.twice.get(),
            disordered: self.disordered.get(),
            refused: self.refused.borrow().values().sum(),
            refusals: self.refused.borrow().clone(),
            acked: self.acks.done(),
            unacked: self.unacked(),
            failures: tally.failures(),
            latency: Latency::new(&tally.latency()),
            ack_latency: Latency::new(&self.acks.latency()),
            cpu: reading.cpu(tally.done()),
            clients_busy: reading.clients_busy(),
        }
    }
}
