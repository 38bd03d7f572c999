//! Runs one row: starts the system, lets clients talk, does the fault, waits until everything has arrived, and has it judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use berth_tests::now;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::Transport;
use crate::client::life::{Habits, Life, Phase, Post, World};
use crate::client::mind::Character;
use crate::fault::Fault;
use crate::history::{self, History};
use crate::judge::{Verdict, judge};
use crate::ledger;
use crate::record::{Did, Kind, Line, RoomId};
use crate::rooms::Rooms;
use crate::rows::{Crowd, Row, Size};
use crate::settle::{self, Posts};
use crate::site::{Pair, Site};

const GATHER_TIMEOUT: Duration = Duration::from_secs(120);
/// New connections a second while everybody gathers.
const DIALS_PER_SECOND: f64 = 400.0;
/// Persons with several connections have this many.
const TWINS: usize = 3;

/// How all rows are run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) is_long: bool,
    pub(crate) clients: Option<usize>,
    /// Where the histories go.
    pub(crate) folder: PathBuf,
}

/// A row that was run.
pub(crate) struct Outcome {
    pub(crate) row: &'static str,
    pub(crate) pair: Pair,
    pub(crate) seconds: f64,
    pub(crate) history: Vec<Line>,
    pub(crate) path: PathBuf,
    pub(crate) verdict: Verdict,
}

struct Gathering {
    phase: watch::Sender<Phase>,
    posts: Posts,
    clients: JoinSet<()>,
}

/// # Panics
/// When the system cannot be started, or a fault cannot be done or undone.
pub(crate) async fn run(row: &Row, pair: Pair, size: Size, options: &Options) -> Outcome {
    let start = now();
    let size = Size {
        clients: options.clients.unwrap_or(size.clients),
        ..size
    };
    let mut site = Site::start(pair, size.clients, row.fault == Fault::Skew).await;
    let path = options
        .folder
        .join(format!("{}-{}.jsonl", row.name, pair.as_str()));
    let history = Arc::new(History::create(&path).expect("a file for the history"));
    let names = Rooms::of(&format!("{}-{:x}", row.name, options.seed));
    let http = http();
    let mut gathering = gather(row, &site, size, options, (&names, &history, &http));
    until("all clients are in", GATHER_TIMEOUT, async || {
        gathering.posts.is_level(&[])
    })
    .await;
    gathering.phase.send_replace(Phase::Talk);
    sleep(size.before).await;
    row.fault.inject(&mut site, size.dose, &history).await;
    gathering.phase.send_replace(Phase::Settle);
    history.write(None, Did::Silence);
    settle::settle(&gathering.posts, &site, size, (&names, &http)).await;
    gathering.phase.send_replace(Phase::Look);
    settle::look(&gathering.posts).await;
    gathering.phase.send_replace(Phase::Over);
    while gathering.clients.join_next().await.is_some() {}
    ledger::read(&site, &http, (&names, rooms(size)), &history).await;
    history.close().expect("the history is written");
    drop(site);
    let seconds = start.elapsed().as_secs_f64();
    let history = history::read(&path).expect("the history is read");
    let verdict = judge(&history);
    let figures = &verdict.figures;
    let is_of_use = figures.acks > 0 && figures.owed > 0;
    assert!(is_of_use, "nothing was said or heard, which proves nothing");
    let was_seen = figures.views > 0 || !size.awaits_presence || !pair.shares_presence();
    assert!(was_seen, "nobody looked who is there, which proves nothing");
    Outcome {
        row: row.name,
        pair,
        seconds,
        history,
        path,
        verdict,
    }
}

/// Judges a history that is already there.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn judge_again(path: &Path) -> std::io::Result<(Vec<Line>, Verdict)> {
    let history = history::read(path)?;
    let verdict = judge(&history);
    Ok((history, verdict))
}

pub(crate) fn rooms(size: Size) -> RoomId {
    RoomId::try_from(size.rooms).expect("a sane number of rooms")
}

/// Polls wait long, so it has no timeout of its own.
fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    let builder = builder.connect_timeout(Duration::from_secs(5));
    builder.build().expect("an HTTP client")
}

fn gather(
    row: &Row,
    site: &Site,
    size: Size,
    options: &Options,
    (names, history, http): (&Rooms, &Arc<History>, &reqwest::Client),
) -> Gathering {
    let (phase, watched) = watch::channel(Phase::Gather);
    let world = World {
        names: names.clone(),
        history: Arc::clone(history),
        phase: watched,
        http: http.clone(),
    };
    let mut dice = StdRng::seed_from_u64(options.seed);
    let mut inboxes = BTreeMap::new();
    let mut senders = Vec::new();
    for client in 0..size.clients {
        let (sender, inbox) = mpsc::channel(256);
        senders.push(sender);
        inboxes.insert(client, inbox);
    }
    let mut posts = Vec::new();
    let mut clients = JoinSet::new();
    for client in 0..size.clients {
        let mut habits = habits(row, site, size, options, client);
        habits.seed = dice.random();
        if row.crowd == Crowd::Doubling {
            habits.twins = twins(client, size.clients)
                .map(|twin| senders[twin].clone())
                .collect();
            habits.twin_says = inboxes.remove(&client);
        }
        let post = Post::default();
        posts.push((habits.character.kind, Arc::clone(&post)));
        clients.spawn(Life::new(habits, world.clone(), post).live());
    }
    Gathering {
        phase,
        posts: Posts::new(posts),
        clients,
    }
}

/// The other connections of the same person.
fn twins(client: usize, clients: usize) -> impl Iterator<Item = usize> {
    let first = client - client % TWINS;
    (first..(first + TWINS).min(clients)).filter(move |twin| *twin != client)
}

fn habits(row: &Row, site: &Site, size: Size, options: &Options, client: usize) -> Habits {
    let person = match row.crowd {
        Crowd::Doubling => client / TWINS,
        Crowd::Mixed | Crowd::Flaky | Crowd::Slow => client,
    };
    let appetite = row.crowd.appetite(client);
    let is_plain = appetite == crate::client::life::Appetite::Hungry;
    let is_vanilla = client % 8 == 5 && row.crowd != Crowd::Doubling && is_plain;
    let is_polling = client % 10 == 9 && is_plain && size.clients < 1_000;
    let number = u32::try_from(client).expect("a sane number of clients");
    let rooms = rooms(size);
    let person_number = u32::try_from(person).expect("a sane number of clients");
    let own = (rooms > 1).then(|| 1 + person_number % (rooms - 1));
    #[allow(clippy::cast_precision_loss, reason = "a few thousand clients")]
    let says_every = Duration::from_secs_f64(size.clients as f64 / size.rate);
    #[allow(clippy::cast_precision_loss, reason = "a few thousand clients")]
    let first_dial = Duration::from_secs_f64(client as f64 / DIALS_PER_SECOND);
    Habits {
        character: Character {
            id: number,
            kind: if is_vanilla {
                Kind::Vanilla
            } else {
                Kind::Good
            },
            rooms: [0].into_iter().chain(own).collect(),
            syncs: client.is_multiple_of(2),
            window: if client.is_multiple_of(3) { 8 } else { 1 },
            content_bytes: size.content_bytes,
            // Who hardly reads learns late who is there.
            polls: is_polling,
            watches: !is_vanilla && is_plain && site.pair().shares_presence(),
        },
        transport: if is_polling {
            Transport::Polling
        } else {
            Transport::WebSocket
        },
        address: site.address(client),
        device: format!("chatcheck-{:016x}-{person}", options.seed),
        says_every: Some(says_every),
        cuts: row.crowd.cuts(options.is_long),
        appetite,
        wanders: client % 9 == 4
            && row.crowd == Crowd::Mixed
            && !is_vanilla
            && size.clients < 1_000,
        doubles: 0.3,
        twins: Vec::new(),
        twin_says: None,
        first_dial,
        seed: 0,
    }
}

/// Waits for a condition; without it the row makes no sense.
async fn until(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) {
    berth_tests::eventually(what, deadline, async || condition().await.then_some(())).await;
}
