//! The rows of the table: which fault, on whom, and how much of it in the short and in the long run.

use std::time::Duration;

use crate::client::life::{Appetite, Cuts};
use crate::fault::{Dose, Fault};
use crate::site::Pair;

/// How large a row is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) clients: usize,
    /// Everybody is in the first one, and in one of the others.
    pub(crate) rooms: usize,
    /// Messages a second, over all clients.
    pub(crate) rate: f64,
    pub(crate) content_bytes: usize,
    /// Talk before the fault.
    pub(crate) before: Duration,
    pub(crate) dose: Dose,
    /// How long nothing may move in the end before what is missing counts as lost.
    pub(crate) settle: Duration,
    /// Waits in the end until everybody sees who is there, and nobody else.
    pub(crate) awaits_presence: bool,
}

/// What clients do besides talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// Recovering ones, every eighth vanilla, every tenth polling, some that wander between rooms.
    Mixed,
    /// All cut their connection now and then.
    Flaky,
    /// Every twentieth hardly reads.
    Slow,
    /// Persons with three connections, which send the same message several times.
    Doubling,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
    pub(crate) crowd: Crowd,
    short: Option<Size>,
    long: Size,
}

impl Row {
    pub(crate) fn size(&self, is_long: bool) -> Option<Size> {
        if is_long { Some(self.long) } else { self.short }
    }

    pub(crate) fn suits(&self, pair: Pair) -> bool {
        self.fault.suits(pair)
    }
}

impl Crowd {
    pub(crate) fn cuts(self, is_long: bool) -> Option<Cuts> {
        // AnyCable's rubric, and the same in a hurry.
        let (every, offline) = if is_long {
            (15_000, 2_000)
        } else {
            (3_000, 500)
        };
        (self == Self::Flaky).then_some(Cuts {
            every: Duration::from_millis(every),
            offline: Duration::from_millis(offline),
        })
    }

    pub(crate) fn appetite(self, client: usize) -> Appetite {
        match (self, client % 40) {
            (Self::Slow, 7) => Appetite::BytesPerSecond(1_024),
            (Self::Slow, 27) => Appetite::Nothing,
            _ => Appetite::Hungry,
        }
    }
}

const fn dose(times: usize, lasts_ms: u64, pause_ms: u64) -> Dose {
    Dose {
        times,
        lasts: Duration::from_millis(lasts_ms),
        pause: Duration::from_millis(pause_ms),
    }
}

const fn short(dose: Dose) -> Option<Size> {
    Some(Size {
        clients: 40,
        rooms: 5,
        rate: 60.0,
        content_bytes: 100,
        before: Duration::from_millis(1_000),
        dose,
        settle: Duration::from_secs(30),
        awaits_presence: false,
    })
}

/// The same, until presence is right again: after a `kill -9` about twenty seconds.
const fn until_seen(size: Option<Size>) -> Option<Size> {
    match size {
        Some(size) => Some(Size {
            awaits_presence: true,
            ..size
        }),
        None => None,
    }
}

const fn long(dose: Dose) -> Size {
    Size {
        clients: 200,
        rooms: 11,
        rate: 100.0,
        content_bytes: 100,
        before: Duration::from_secs(3),
        dose,
        settle: Duration::from_secs(90),
        awaits_presence: true,
    }
}

const fn row(name: &'static str, fault: Fault, short: Option<Size>, long: Size) -> Row {
    Row {
        name,
        fault,
        crowd: Crowd::Mixed,
        short,
        long,
    }
}

const fn crowd(name: &'static str, crowd: Crowd, short: Option<Size>, long: Size) -> Row {
    Row {
        name,
        fault: Fault::None,
        crowd,
        short,
        long,
    }
}

/// All rows, in the table's order.
pub(crate) const ROWS: [Row; 20] = [
    row(
        "none",
        Fault::None,
        until_seen(short(dose(1, 0, 2_000))),
        long(dose(1, 0, 20_000)),
    ),
    row(
        "kill-one",
        Fault::KillOne,
        until_seen(short(dose(3, 200, 1_200))),
        long(dose(20, 300, 2_500)),
    ),
    row(
        "kill-all",
        Fault::KillAll,
        until_seen(short(dose(1, 200, 2_500))),
        long(dose(3, 500, 8_000)),
    ),
    row(
        "deploy",
        Fault::Deploy,
        short(dose(3, 0, 800)),
        long(dose(6, 0, 3_000)),
    ),
    row(
        "freeze-one",
        Fault::FreezeOne,
        short(dose(1, 4_000, 1_500)),
        long(dose(1, 30_000, 10_000)),
    ),
    row(
        "redis-restart",
        Fault::RedisRestart,
        until_seen(short(dose(2, 0, 1_500))),
        long(dose(5, 0, 5_000)),
    ),
    row(
        "redis-flush",
        Fault::RedisFlush,
        None,
        long(dose(5, 0, 2_000)),
    ),
    row(
        "redis-pause",
        Fault::RedisPause,
        short(dose(2, 1_500, 800)),
        long(dose(4, 8_000, 4_000)),
    ),
    row(
        "redis-down",
        Fault::RedisDown,
        short(dose(1, 3_000, 1_500)),
        long(dose(1, 60_000, 10_000)),
    ),
    row(
        "store-restart",
        Fault::StoreRestart,
        short(dose(1, 0, 2_000)),
        long(dose(3, 0, 8_000)),
    ),
    row(
        "store-pause",
        Fault::StorePause,
        short(dose(1, 2_000, 1_500)),
        long(dose(2, 15_000, 8_000)),
    ),
    row(
        "proxy-kill",
        Fault::ProxyKill,
        short(dose(1, 300, 2_000)),
        long(dose(5, 500, 6_000)),
    ),
    row(
        "proxy-drain",
        Fault::ProxyStop,
        short(dose(1, 0, 2_000)),
        long(dose(3, 0, 6_000)),
    ),
    row(
        "proxy-reload",
        Fault::ProxyReload,
        short(dose(2, 500, 500)),
        long(dose(5, 2_000, 2_000)),
    ),
    row(
        "skew",
        Fault::Skew,
        short(dose(1, 0, 2_000)),
        long(dose(1, 0, 15_000)),
    ),
    crowd(
        "duplicates",
        Crowd::Doubling,
        short(dose(1, 0, 2_500)),
        long(dose(1, 0, 20_000)),
    ),
    crowd(
        "flaky",
        Crowd::Flaky,
        short(dose(1, 0, 4_000)),
        long(dose(1, 0, 45_000)),
    ),
    crowd(
        "flaky-10k",
        Crowd::Flaky,
        None,
        Size {
            clients: 10_000,
            rooms: 1,
            rate: 1.0,
            settle: Duration::from_secs(180),
            ..long(dose(1, 0, 90_000))
        },
    ),
    Row {
        name: "avalanche",
        fault: Fault::KillAll,
        crowd: Crowd::Mixed,
        short: None,
        long: Size {
            clients: 10_000,
            rooms: 101,
            rate: 2.0,
            settle: Duration::from_secs(180),
            ..long(dose(1, 500, 20_000))
        },
    },
    crowd(
        "slow",
        Crowd::Slow,
        Some(Size {
            clients: 40,
            rooms: 2,
            rate: 100.0,
            content_bytes: 4_000,
            before: Duration::from_millis(500),
            dose: dose(1, 0, 4_000),
            settle: Duration::from_secs(30),
            awaits_presence: false,
        }),
        Size {
            rooms: 2,
            content_bytes: 8_000,
            clients: 100,
            ..long(dose(1, 0, 45_000))
        },
    ),
];
