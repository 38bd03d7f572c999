//! How a client lives: connects, talks, loses its connection by accident or by plan, and comes back, until the row is over.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::mind::{Act, Character, Mind, Standing};
use super::packet::{self, Packet};
use super::wire::{Transport, Wire};
use crate::history::History;
use crate::record::{Did, Kind, Mark, Person, RoomId, person};
use crate::rooms::Rooms;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The first pause before connecting again, doubled up to the longest; the upper half of each is random.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(8);
/// A connection that lived this long was a good one.
const STABLE: Duration = Duration::from_secs(5);
/// The shortest buffer that the kernel grants.
const SLOW_BUFFER_BYTES: u32 = 4 * 1024;

/// Where the row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Clients connect and say nothing.
    Gather,
    Talk,
    /// Nobody says anything new or leaves by choice; what is under way arrives.
    Settle,
    /// Everybody looks once more who is there.
    Look,
    Over,
}

/// How often a client cuts its own connection, and how long it stays away at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cuts {
    pub(crate) every: Duration,
    pub(crate) offline: Duration,
}

/// How a client reads while the row talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appetite {
    Hungry,
    BytesPerSecond(u32),
    Nothing,
}

/// Everything that makes one client different from others.
pub(crate) struct Habits {
    pub(crate) character: Character,
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    /// The secret by which a guest is recognised. Two clients with the same one are the same person.
    pub(crate) device: String,
    /// On average, between two messages; nothing: it only listens.
    pub(crate) says_every: Option<Duration>,
    pub(crate) cuts: Option<Cuts>,
    pub(crate) appetite: Appetite,
    /// Leaves a room now and then, and comes back.
    pub(crate) wanders: bool,
    /// The share of its messages that its twins send as well.
    pub(crate) doubles: f64,
    pub(crate) twins: Vec<mpsc::Sender<(RoomId, Mark)>>,
    pub(crate) twin_says: Option<mpsc::Receiver<(RoomId, Mark)>>,
    /// After the row began.
    pub(crate) first_dial: Duration,
    pub(crate) seed: u64,
}

/// What all clients of a row share.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) names: Rooms,
    pub(crate) history: Arc<History>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) http: reqwest::Client,
}

/// A place where a client says where it stands.
pub(crate) type Post = Arc<Mutex<Standing>>;

pub(crate) struct Life {
    habits: Habits,
    world: World,
    mind: Mind,
    post: Post,
    dice: StdRng,
    says_at: Option<Instant>,
    cuts_at: Option<Instant>,
    wanders_at: Option<Instant>,
    reads_at: Option<Instant>,
}

/// Who welcomes a client, as whom.
struct Greeting {
    instance: String,
    person: Person,
}

/// Why a connection ended.
enum End {
    Lost(String),
    Chosen,
    Over,
}

/// What woke a client.
enum Woken {
    Heard(Result<String, String>),
    Phase,
    Twin(RoomId, Mark),
    Time,
}

impl Life {
    pub(crate) fn new(habits: Habits, world: World, post: Post) -> Self {
        Self {
            mind: Mind::new(habits.character.clone(), world.names.clone()),
            dice: StdRng::seed_from_u64(habits.seed),
            habits,
            world,
            post,
            says_at: None,
            cuts_at: None,
            wanders_at: None,
            reads_at: None,
        }
    }

    /// Lives until the row is over.
    pub(crate) async fn live(mut self) {
        sleep(self.habits.first_dial).await;
        let mut attempt = 0;
        while self.phase() != Phase::Over {
            let (wire, greeting) = match timeout(CONNECT_TIMEOUT, self.dial()).await {
                Ok(Ok(connected)) => connected,
                Ok(Err(_)) | Err(_) => {
                    self.pause_before(attempt).await;
                    attempt += 1;
                    continue;
                }
            };
            let born = Instant::now();
            let end = self.converse(wire, &greeting).await;
            self.mind.lost();
            self.tell_standing();
            let (why, chosen) = match end {
                End::Over => break,
                End::Lost(why) => (why, false),
                End::Chosen => ("cut".to_owned(), true),
            };
            let why = why.into();
            self.write(Did::Down { why, chosen });
            if chosen {
                self.stay_away().await;
                self.write(Did::Back);
                attempt = 0;
                continue;
            }
            if born.elapsed() > STABLE {
                attempt = 0;
            }
            self.pause_before(attempt).await;
            attempt += 1;
        }
        let is_up = self
            .post
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_up;
        self.write(Did::End { is_up });
    }

    fn phase(&self) -> Phase {
        *self.world.phase.borrow()
    }

    fn write(&self, did: Did) {
        self.world
            .history
            .write(Some(self.habits.character.id), did);
    }

    fn tell_standing(&self) {
        let mut standing = self.post.lock().unwrap_or_else(PoisonError::into_inner);
        *standing = self.mind.standing();
    }

    async fn pause_before(&mut self, attempt: u32) {
        let ceiling = RETRY_MAX.min(RETRY_FIRST * 2_u32.pow(attempt.min(8)));
        let share = self.dice.random_range(0.5..1.0);
        self.pause(ceiling.mul_f64(share)).await;
    }

    async fn stay_away(&mut self) {
        let Some(cuts) = self.habits.cuts else {
            return;
        };
        let share = self.dice.random_range(1.0..1.5);
        self.pause(cuts.offline.mul_f64(share)).await;
    }

    /// Sleeps, but not past the end of the row.
    async fn pause(&mut self, pause: Duration) {
        let mut phase = self.world.phase.clone();
        tokio::select! {
            () = sleep(pause) => {}
            _ = phase.wait_for(|phase| *phase == Phase::Over) => {}
        }
    }

    /// Connects up to the server's `welcome`.
    async fn dial(&mut self) -> Result<(Wire, Greeting), String> {
        let buffer = (self.habits.appetite != Appetite::Hungry).then_some(SLOW_BUFFER_BYTES);
        let Habits {
            transport, address, ..
        } = self.habits;
        let mut wire = Wire::open(transport, address, buffer, &self.world.http).await?;
        let auth = match self.habits.character.kind {
            Kind::Good => json!({ "device": self.habits.device }),
            Kind::Vanilla => json!({}),
        };
        loop {
            let text = wire.next().await?;
            match packet::read(&text) {
                Packet::Open => wire.send(format!("40{auth}")).await?,
                Packet::Ping => wire.send("3".to_owned()).await?,
                Packet::Refused(why) => return Err(why.to_owned()),
                Packet::Ended => return Err("ended".to_owned()),
                Packet::Event { name, body } if name == "welcome" => {
                    let instance = body["instanceId"].as_str().unwrap_or("?").to_owned();
                    let person = person(body["userId"].as_str().unwrap_or_default());
                    return Ok((wire, Greeting { instance, person }));
                }
                _ => {}
            }
        }
    }

    async fn converse(&mut self, mut wire: Wire, greeting: &Greeting) -> End {
        let Greeting { instance, person } = greeting;
        let now = self.world.history.now();
        let acts = self.mind.connected(instance, *person, now);
        self.reads_at = None;
        let mut done = self.act(&mut wire, acts).await;
        if done.is_ok() {
            done = self.turn(&mut wire).await;
        }
        loop {
            if let Err(why) = done {
                return End::Lost(why);
            }
            self.tell_standing();
            if self.phase() == Phase::Over {
                return End::Over;
            }
            if is_due(self.cuts_at) {
                return End::Chosen;
            }
            let woken = self.wait(&mut wire).await;
            done = match woken {
                Woken::Heard(Ok(text)) => self.hear(&mut wire, &text).await,
                Woken::Heard(Err(why)) => Err(why),
                Woken::Twin(room, mark) => {
                    let acts = self.mind.repeat(room, mark, self.world.history.now());
                    self.act(&mut wire, acts).await
                }
                Woken::Phase => self.turn(&mut wire).await,
                Woken::Time => self.do_what_is_due(&mut wire).await,
            };
        }
    }

    /// Does what this phase asks for.
    async fn turn(&mut self, wire: &mut Wire) -> Result<(), String> {
        self.plan();
        if self.phase() != Phase::Look {
            return Ok(());
        }
        let acts = self.mind.look_around(self.world.history.now());
        self.act(wire, acts).await
    }

    /// Waits for the next thing to happen.
    async fn wait(&mut self, wire: &mut Wire) -> Woken {
        let now = self.world.history.now();
        let mind_at = self.mind.wake_at().map(|at| {
            Instant::now() + Duration::from_micros(at.saturating_sub(now).min(60_000_000))
        });
        let times = [
            mind_at,
            self.says_at,
            self.cuts_at,
            self.wanders_at,
            self.reads_at,
        ];
        let next = times.into_iter().flatten().min();
        let may_read = self.reads_at.is_none();
        let twin = async {
            match &mut self.habits.twin_says {
                Some(inbox) => inbox.recv().await,
                None => None,
            }
        };
        tokio::select! {
            heard = wire.next(), if may_read => Woken::Heard(heard),
            changed = self.world.phase.changed() => { drop(changed); Woken::Phase }
            Some((room, mark)) = twin => Woken::Twin(room, mark),
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => Woken::Time,
        }
    }

    async fn hear(&mut self, wire: &mut Wire, text: &str) -> Result<(), String> {
        self.digest(text.len());
        match packet::read(text) {
            Packet::Ping => wire.send("3".to_owned()).await,
            Packet::Ended => Err("the server ended the session".to_owned()),
            packet => {
                let acts = self.mind.heard(packet, self.world.history.now());
                self.act(wire, acts).await
            }
        }
    }

    /// A slow reader needs its time for every byte.
    fn digest(&mut self, bytes: usize) {
        if self.phase() != Phase::Talk {
            return;
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let pause = match self.habits.appetite {
            Appetite::Hungry => return,
            Appetite::BytesPerSecond(rate) => Duration::from_secs(1) * bytes / rate.max(1),
            Appetite::Nothing => Duration::from_secs(3600),
        };
        self.reads_at = Some(Instant::now() + pause);
    }

    async fn do_what_is_due(&mut self, wire: &mut Wire) -> Result<(), String> {
        let now = self.world.history.now();
        let mut acts = self.mind.tick(now);
        if is_due(self.reads_at) {
            self.reads_at = None;
        }
        if is_due(self.says_at) {
            acts.append(&mut self.say(now));
            self.says_at = self.someday(self.habits.says_every);
        }
        if is_due(self.wanders_at) {
            let room = self.any_room();
            acts.append(&mut self.mind.leave(room, now + 700_000, now));
            self.wanders_at = self.soon(Some(Duration::from_secs(4)));
        }
        self.act(wire, acts).await
    }

    fn say(&mut self, now: u64) -> Vec<Act> {
        let room = self.any_room();
        let (mark, acts) = self.mind.say(room, now);
        if let Some(mark) = mark
            && !self.habits.twins.is_empty()
            && self.dice.random_bool(self.habits.doubles)
        {
            let twins = self.dice.random_range(1..=self.habits.twins.len());
            for twin in &self.habits.twins[..twins] {
                if twin.try_send((room, mark)).is_err() {
                    // It is too busy, and so does not repeat it.
                    break;
                }
            }
        }
        acts
    }

    fn any_room(&mut self) -> RoomId {
        let rooms = &self.habits.character.rooms;
        rooms[self.dice.random_range(0..rooms.len())]
    }

    /// Sets the alarms for this phase.
    fn plan(&mut self) {
        if self.phase() == Phase::Talk {
            self.says_at = self
                .says_at
                .or_else(|| self.someday(self.habits.says_every));
            let every = self.habits.cuts.map(|cuts| cuts.every);
            self.cuts_at = self.soon(every);
            let wanders = self.habits.wanders.then_some(Duration::from_secs(4));
            self.wanders_at = self.soon(wanders);
        } else {
            (self.says_at, self.cuts_at, self.wanders_at, self.reads_at) = (None, None, None, None);
        }
    }

    /// As independent people do: many at a low rate each are together as steady as few at a high one.
    fn someday(&mut self, average: Option<Duration>) -> Option<Instant> {
        let share: f64 = -self.dice.random_range(f64::MIN_POSITIVE..1.0_f64).ln();
        average.map(|average| Instant::now() + average.mul_f64(share))
    }

    fn soon(&mut self, average: Option<Duration>) -> Option<Instant> {
        let share = self.dice.random_range(0.5..1.5);
        average.map(|average| Instant::now() + average.mul_f64(share))
    }

    async fn act(&mut self, wire: &mut Wire, acts: Vec<Act>) -> Result<(), String> {
        for act in acts {
            match act {
                Act::Write(did) => self.write(did),
                Act::Send(packet) => wire.send(packet).await?,
                Act::Renew(why) => return Err(why.to_owned()),
            }
        }
        Ok(())
    }
}

fn is_due(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}
