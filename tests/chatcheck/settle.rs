//! The end of a row: waits until everybody has everything and sees who is there, as long as that comes nearer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use berth_tests::now;
use tokio::time::{sleep, timeout};

use crate::client::company::{self, Digest};
use crate::client::life::Post;
use crate::client::mind::Standing;
use crate::ledger;
use crate::record::{Kind, Person, RoomId};
use crate::rooms::Rooms;
use crate::rows::Size;
use crate::run::rooms;
use crate::site::Site;

const POLL: Duration = Duration::from_millis(100);
/// Nothing new came for this long: it is over.
const QUIET: Duration = Duration::from_secs(1);
/// Presence may take this long: a dead server's lease, the grace of who was on it, and a little for a machine that is busy. What is
/// not right by then the judge will find.
const PRESENCE_PATIENCE: Duration = Duration::from_secs(25);
/// Before that nothing about presence is judged: see `judge::presence`.
const PRESENCE_CALM: Duration = Duration::from_secs(11);
/// For an answer to "who is there?".
const LOOK_PATIENCE: Duration = Duration::from_secs(30);
const TAIL_TIMEOUT: Duration = Duration::from_secs(5);
/// However much still moves, a row ends.
const SETTLE_MAX: Duration = Duration::from_secs(900);

/// Where all clients say where they stand.
pub(crate) struct Posts(Vec<(Kind, Post)>);

/// What moves while a row settles. As long as it does, a slow machine is not a broken promise.
#[derive(Clone, Debug, Default, PartialEq)]
struct Progress {
    tails: Vec<u64>,
    up: usize,
    level: usize,
    unacked: usize,
    heard: u64,
}

impl Posts {
    pub(crate) fn new(posts: Vec<(Kind, Post)>) -> Self {
        Self(posts)
    }

    fn standings(&self) -> impl Iterator<Item = (Kind, Standing)> + '_ {
        self.0.iter().map(|(kind, post)| {
            let standing = post.lock().unwrap_or_else(PoisonError::into_inner);
            (*kind, standing.clone())
        })
    }

    /// Whether every client is where it should be: the recovering ones have everything up to these tails, and the vanilla
    /// ones, as far as they hear anything, the newest.
    pub(crate) fn is_level(&self, tails: &[u64]) -> bool {
        self.standings()
            .all(|(kind, standing)| is_level(kind, &standing, tails))
    }

    fn progress(&self, tails: &[u64]) -> Progress {
        let mut progress = Progress {
            tails: tails.to_vec(),
            ..Progress::default()
        };
        for (_, standing) in self.standings() {
            progress.up += usize::from(standing.is_up);
            progress.level += usize::from(standing.is_level);
            progress.unacked += standing.unacked;
            let cursors = standing.cursors.iter().filter_map(|(_, cursor)| *cursor);
            progress.heard += cursors.sum::<u64>();
        }
        progress
    }

    /// Whether all who watch see those who are there, and nobody else.
    fn is_agreed(&self) -> bool {
        let standings: Vec<Standing> = self.standings().map(|(_, standing)| standing).collect();
        let mut people: BTreeMap<RoomId, BTreeSet<Person>> = BTreeMap::new();
        for standing in standings.iter().filter(|standing| standing.is_up) {
            for (room, _) in &standing.cursors {
                people.entry(*room).or_default().insert(standing.person);
            }
        }
        let truth: BTreeMap<RoomId, Digest> = people
            .iter()
            .map(|(room, people)| (*room, company::digest(people)))
            .collect();
        let is_right = |(room, seen): &(RoomId, Option<Digest>)| truth.get(room).copied() == *seen;
        standings
            .iter()
            .all(|standing| standing.company.iter().all(is_right))
    }

    fn have_looked(&self) -> bool {
        self.standings().all(|(_, standing)| standing.has_looked)
    }
}

fn is_level(kind: Kind, standing: &Standing, tails: &[u64]) -> bool {
    let has = |(room, cursor): &(RoomId, Option<u64>)| {
        let tail = tails.get(*room as usize).copied().unwrap_or(0);
        match (kind, cursor) {
            (Kind::Good, cursor) => cursor.is_some_and(|cursor| cursor >= tail),
            (Kind::Vanilla, cursor) => cursor.is_none_or(|cursor| cursor >= tail),
        }
    };
    standing.is_up && standing.is_level && standing.unacked == 0 && standing.cursors.iter().all(has)
}

/// Waits until everybody has everything, the logs have stopped growing, and, where the row waits for it, everybody sees who is there.
/// Gives up when nothing has come nearer for the row's `settle`: what is missing then the judge will find.
pub(crate) async fn settle(
    posts: &Posts,
    site: &Site,
    size: Size,
    (names, http): (&Rooms, &reqwest::Client),
) {
    let start = now();
    let (mut known, mut moved_at) = (Progress::default(), start);
    let mut quiet_since = start;
    while moved_at.elapsed() < size.settle && start.elapsed() < SETTLE_MAX {
        let tails = tails(site, size, (names, http)).await;
        let progress = posts.progress(&tails);
        if progress != known {
            (known, moved_at) = (progress, now());
        }
        let is_whole = tails.len() == size.rooms && posts.is_level(&tails);
        if !is_whole || moved_at > quiet_since {
            quiet_since = now();
        } else if quiet_since.elapsed() > QUIET && is_presence_over(posts, size, start) {
            return;
        }
        sleep(POLL).await;
    }
}

fn is_presence_over(posts: &Posts, size: Size, start: Instant) -> bool {
    let waited = start.elapsed();
    let is_right = || waited > PRESENCE_CALM && posts.is_agreed();
    !size.awaits_presence || waited > PRESENCE_PATIENCE || is_right()
}

/// Where the rooms' logs end, as far as somebody can say.
async fn tails(site: &Site, size: Size, (names, http): (&Rooms, &reqwest::Client)) -> Vec<u64> {
    let mut tails = Vec::new();
    for room in 0..rooms(size) {
        let name = names.name(room);
        match timeout(TAIL_TIMEOUT, ledger::rest::tail(site, http, &name)).await {
            Ok(Some(tail)) => tails.push(tail),
            Ok(None) | Err(_) => break,
        }
    }
    tails
}

/// Waits until everybody has looked once more who is there.
pub(crate) async fn look(posts: &Posts) {
    let start = now();
    while !posts.have_looked() && start.elapsed() < LOOK_PATIENCE {
        sleep(POLL).await;
    }
}
