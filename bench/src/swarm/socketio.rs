//! Rooms of Socket.IO members: one of each room sends, all of it receive, and every delivery is counted.
//!
//! Speaks Engine.IO 4 on WebSockets, and the events of the chat: `joinRoom(room)`, `sendMessage(room, {content, type})`, `message`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::drive::{Plan, Scene, on_this_thread};
use super::meter::{Meter, Reading};
use super::pace::Pace;
use super::progress::Progress;
use super::report::{Latency, RoomReport};
use super::tally::{Failure, Tally};
use super::target::Target;
use super::websocket::{WebSocket, client_frame};
use crate::watch::Watch;
use crate::{clock, frame};

const BUFFER_BYTES: usize = 4096;
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Of a server that does not acknowledge.
const JOIN_PAUSE: Duration = Duration::from_secs(1);
/// A delivery that is later than this after the last one is missing.
const QUIET_MAX: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);
/// Begins the content of each message; then room and number, so that a delivery names what it delivers.
const MARK: &str = "swarm:";

#[derive(Clone, Debug)]
pub struct RoomPlan {
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
    scene: Scene,
    tally: Rc<Tally>,
    pace: Pace,
    rooms: Vec<Room>,
    refused: Cell<u64>,
    twice: Cell<u64>,
    disordered: Cell<u64>,
}

#[derive(Default)]
struct Room {
    /// When each message was meant to be sent.
    sent: RefCell<Vec<Instant>>,
    delivered: Cell<u64>,
    progress: Notify,
}

/// What a member hears, as far as it matters.
#[derive(Debug, Eq, PartialEq)]
enum Heard {
    Ping,
    Open,
    Connected,
    Joined,
    Refused,
    Message(usize),
    Other,
}

/// Runs on this thread.
///
/// # Errors
/// When the watched processes cannot be read, or not all members could join.
pub fn rooms(target: &Target, plan: &RoomPlan, watch: &Watch) -> anyhow::Result<RoomReport> {
    on_this_thread(gather(target.clone(), plan.clone(), watch))
}

async fn gather(target: Target, plan: RoomPlan, watch: &Watch) -> anyhow::Result<RoomReport> {
    let scene = Scene::new(target, plan.timing.clone());
    let members = join_all(&plan, &scene).await?;
    let timing = Plan {
        connections: plan.rooms,
        ..plan.timing.clone()
    };
    let (pace, tally) = Pace::of(&timing)?;
    let hall = Rc::new(Hall {
        pace,
        rooms: (0..plan.rooms).map(|_| Room::default()).collect(),
        plan,
        scene,
        tally,
        refused: Cell::default(),
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
    let mut progress = Progress::new("deliveries");
    progress
        .follow(meter.since, timing.duration, || hall.tally.done())
        .await;
    let reading = meter.read()?;
    hall.tally.finish(reading.until);
    progress.clear();
    if keeper.is_finished() {
        keeper.await??;
    }
    hall.quiet().await;
    Ok(hall.report(&reading))
}

/// The members in order: those of the first room, of the second, and so on.
async fn join_all(plan: &RoomPlan, scene: &Scene) -> anyhow::Result<Vec<WebSocket>> {
    let mut members = Vec::with_capacity(plan.rooms * plan.members);
    let mut progress = Progress::new("members");
    let count = plan.rooms * plan.members;
    for index in 0..count {
        let joined = timeout(JOIN_TIMEOUT, join(plan, scene, index)).await;
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

async fn join(plan: &RoomPlan, scene: &Scene, index: usize) -> Result<WebSocket, Failure> {
    let mut socket = WebSocket::open(scene, index, BUFFER_BYTES).await?;
    wait_for(&mut socket, &Heard::Open).await?;
    socket.send(&text("40")).await?;
    wait_for(&mut socket, &Heard::Connected).await?;
    let join = format!("420[\"joinRoom\",\"{}\"]", name(index / plan.members));
    socket.send(&text(&join)).await?;
    if plan.has_acks {
        wait_for(&mut socket, &Heard::Joined).await?;
    }
    Ok(socket)
}

async fn wait_for(socket: &mut WebSocket, expected: &Heard) -> Result<(), Failure> {
    loop {
        match socket.receive(hear).await? {
            heard if heard == *expected => return Ok(()),
            Heard::Ping => socket.send(&text("3")).await?,
            Heard::Refused => return Err(Failure::Wrong),
            Heard::Open | Heard::Connected | Heard::Joined | Heard::Message(_) | Heard::Other => {}
        }
    }
}

/// Not the room of an earlier run, which has a history.
fn name(room: usize) -> String {
    format!("swarm-{}-{room}", std::process::id())
}

fn text(packet: &str) -> Vec<u8> {
    client_frame(frame::TEXT, packet.as_bytes())
}

fn hear(opcode: u8, payload: &[u8]) -> Heard {
    match payload {
        _ if opcode == frame::CLOSE => Heard::Refused,
        b"2" => Heard::Ping,
        [b'0', ..] => Heard::Open,
        [b'4', b'0', ..] => Heard::Connected,
        // Namespace errors, and acks that say no.
        [b'4', b'4', ..] => Heard::Refused,
        [b'4', b'3', ..] if contains(payload, b"\"ok\":false").is_some() => Heard::Refused,
        [b'4', b'3', ..] => Heard::Joined,
        [b'4', b'2', ..] => number(payload).map_or(Heard::Other, Heard::Message),
        _ => Heard::Other,
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// The number of the message that this event delivers.
fn number(payload: &[u8]) -> Option<usize> {
    let start = contains(payload, MARK.as_bytes())? + MARK.len();
    let digits = payload.get(start..)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
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
                    Heard::Refused => self.refused.set(self.refused.get() + 1),
                    Heard::Open | Heard::Connected | Heard::Joined | Heard::Other => {}
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
        let under_way =
            || room.sent.borrow().len() as u64 - room.delivered.get() / self.receivers();
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
        let ack = if self.plan.has_acks { "1" } else { "" };
        let mark = format!("{MARK}{message}:");
        let padding = "x".repeat(self.plan.timing.message_bytes.saturating_sub(mark.len()));
        let name = name(room);
        format!(
            "42{ack}[\"sendMessage\",\"{name}\",{{\"content\":\"{mark}{padding}\",\"type\":\"text\"}}]"
        )
    }

    fn count(&self, room: &Room, seen: &mut Seen, message: usize) {
        let Some(intended) = room.sent.borrow().get(message).copied() else {
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
                room.delivered.set(room.delivered.get() + 1);
                if room.delivered.get().is_multiple_of(self.receivers()) {
                    room.progress.notify_one();
                }
            }
        }
    }

    fn expected(&self) -> u64 {
        let sent = self
            .rooms
            .iter()
            .map(|room| room.sent.borrow().len() as u64);
        sent.sum::<u64>() * self.receivers()
    }

    fn delivered(&self) -> u64 {
        self.rooms.iter().map(|room| room.delivered.get()).sum()
    }

    /// Waits for what is still under way.
    async fn quiet(&self) {
        let mut last = (self.delivered(), clock::now());
        while self.delivered() < self.expected() && last.1.elapsed() < QUIET_MAX {
            sleep(POLL).await;
            if self.delivered() != last.0 {
                last = (self.delivered(), clock::now());
            }
        }
    }

    fn report(&self, reading: &Reading) -> RoomReport {
        let tally = &self.tally;
        RoomReport {
            mode: "socketio",
            rooms: self.plan.rooms,
            members: self.plan.members,
            rate_per_second: self.scene.plan.rate,
            seconds: reading.took.as_secs_f64(),
            deliveries: tally.done(),
            deliveries_per_second: reading.per_second(tally.done()),
            expected_in_all: self.expected(),
            missing: self.expected() - self.delivered().min(self.expected()),
            twice: self.twice.get(),
            disordered: self.disordered.get(),
            refused: self.refused.get(),
            failures: tally.failures(),
            latency: Latency::new(&tally.latency()),
            cpu: reading.cpu(tally.done()),
            clients_busy: reading.clients_busy(),
        }
    }
}

impl Room {
    /// Writes down the next message and gives its number.
    fn send(&self, intended: Instant) -> usize {
        let mut sent = self.sent.borrow_mut();
        sent.push(intended);
        sent.len() - 1
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Sighting {
    InOrder,
    Disordered,
    Twice,
}

/// What one member has seen of its room.
#[derive(Default)]
struct Seen(Vec<bool>);

impl Seen {
    fn add(&mut self, message: usize) -> Sighting {
        match self.0.get_mut(message) {
            Some(true) => Sighting::Twice,
            Some(earlier) => {
                *earlier = true;
                Sighting::Disordered
            }
            None => {
                self.0.resize(message, false);
                self.0.push(true);
                Sighting::InOrder
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart() {
        let hear = |packet: &str| hear(frame::TEXT, packet.as_bytes());
        assert_eq!(hear("2"), Heard::Ping);
        assert_eq!(hear("0{\"sid\":\"a\"}"), Heard::Open);
        assert_eq!(hear("40{\"sid\":\"a\"}"), Heard::Connected);
        assert_eq!(hear("430[{\"ok\":true}]"), Heard::Joined);
        assert_eq!(hear("431[{\"ok\":false,\"error\":{}}]"), Heard::Refused);
        let message = "42[\"message\",{\"roomId\":\"swarm-7-0\",\"content\":\"swarm:12:xx\"}]";
        assert_eq!(hear(message), Heard::Message(12));
        assert_eq!(hear("42[\"userJoined\",{}]"), Heard::Other);
    }

    #[test]
    fn each_message_counts_once_and_in_its_order() {
        let mut seen = Seen::default();
        let sightings = [0, 2, 1, 2, 3].map(|message| seen.add(message));
        let (first, late, again) = (Sighting::InOrder, Sighting::Disordered, Sighting::Twice);
        assert_eq!(
            sightings,
            [first, Sighting::InOrder, late, again, Sighting::InOrder]
        );
    }
}
