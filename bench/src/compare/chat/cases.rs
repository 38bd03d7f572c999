//! How chat servers are measured: who runs how, under which loads, and which of the swarm's numbers belong to which rows.

use super::peers::{Peer, Setup, Store};

/// Runs that give several rows at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scenario {
    One,
    Stored,
    Two,
    Paced,
    PacedTwo,
    Acks,
    Idle,
}

/// What the clients do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) rooms: usize,
    pub(super) members: usize,
    /// Messages a second over all rooms; `None`: as fast as it goes.
    pub(super) rate: Option<f64>,
    /// Messages of each room that may be under way, without a rate.
    pub(super) in_flight: usize,
}

/// Which of the swarm's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    CpuPerDelivery,
    DeliveriesPerCpuSecond,
    P50,
    P99,
    CpuPerMessage,
    AckP50,
    AckP99,
}

/// A load, and the rows that its numbers belong to.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) load: Load,
    pub(super) rows: &'static [(&'static str, Number)],
}

/// One who takes part: how it runs and what it is measured under.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) peer: Peer,
    pub(super) setup: Setup,
    pub(super) runs: &'static [Run],
}

impl Load {
    pub(super) fn words(&self) -> &'static str {
        if self.rooms == 1 { "hall" } else { "groups" }
    }
}

impl Case {
    pub(super) fn words(&self) -> String {
        let store = match self.setup.store {
            Store::Nothing => "",
            Store::Sqlite => " on SQLite",
            Store::MongoDb => " on MongoDB",
        };
        format!("{}{store}", self.peer.name())
    }
}

/// A room that fills a hall, and rooms as groups of people have them.
const HALL: Load = Load {
    rooms: 1,
    members: 200,
    rate: None,
    in_flight: 4,
};
const GROUPS: Load = Load {
    rooms: 50,
    members: 20,
    rate: None,
    in_flight: 1,
};
const PACED_HALL: Load = Load {
    rate: Some(20.0),
    ..HALL
};
const PACED_GROUPS: Load = Load {
    rate: Some(200.0),
    ..GROUPS
};
/// Mostly messages and hardly deliveries: what keeping a message costs.
const PAIRS: Load = Load {
    rooms: 50,
    members: 2,
    rate: Some(2000.0),
    in_flight: 1,
};

use Number::{AckP50, AckP99, CpuPerDelivery, CpuPerMessage, DeliveriesPerCpuSecond, P50, P99};

const ONE: [Run; 2] = [
    Run {
        load: HALL,
        rows: &[
            ("hall-cpu", CpuPerDelivery),
            ("hall-rate", DeliveriesPerCpuSecond),
        ],
    },
    Run {
        load: GROUPS,
        rows: &[
            ("groups-cpu", CpuPerDelivery),
            ("groups-rate", DeliveriesPerCpuSecond),
        ],
    },
];
const STORED: [Run; 2] = [
    Run {
        load: HALL,
        rows: &[("stored-hall-cpu", CpuPerDelivery)],
    },
    Run {
        load: GROUPS,
        rows: &[("stored-groups-cpu", CpuPerDelivery)],
    },
];
const TWO: [Run; 2] = [
    Run {
        load: HALL,
        rows: &[
            ("two-hall-cpu", CpuPerDelivery),
            ("two-hall-rate", DeliveriesPerCpuSecond),
        ],
    },
    Run {
        load: GROUPS,
        rows: &[
            ("two-groups-cpu", CpuPerDelivery),
            ("two-groups-rate", DeliveriesPerCpuSecond),
        ],
    },
];
const PACED: [Run; 2] = [
    Run {
        load: PACED_HALL,
        rows: &[
            ("paced-hall-cpu", CpuPerDelivery),
            ("paced-hall-p50", P50),
            ("paced-hall-p99", P99),
        ],
    },
    Run {
        load: PACED_GROUPS,
        rows: &[
            ("paced-groups-cpu", CpuPerDelivery),
            ("paced-groups-p50", P50),
            ("paced-groups-p99", P99),
        ],
    },
];
const PACED_TWO: [Run; 2] = [
    Run {
        load: PACED_HALL,
        rows: &[
            ("paced-two-hall-cpu", CpuPerDelivery),
            ("paced-two-hall-p99", P99),
        ],
    },
    Run {
        load: PACED_GROUPS,
        rows: &[
            ("paced-two-groups-cpu", CpuPerDelivery),
            ("paced-two-groups-p99", P99),
        ],
    },
];
const ACKS: [Run; 1] = [Run {
    load: PAIRS,
    rows: &[
        ("acks-cpu", CpuPerMessage),
        ("acks-p50", AckP50),
        ("acks-p99", AckP99),
    ],
}];
const ACKS_SQLITE: [Run; 1] = [Run {
    load: PAIRS,
    rows: &[
        ("acks-sqlite-cpu", CpuPerMessage),
        ("acks-sqlite-p50", AckP50),
        ("acks-sqlite-p99", AckP99),
    ],
}];
const ACKS_MONGODB: [Run; 1] = [Run {
    load: PAIRS,
    rows: &[
        ("acks-mongodb-cpu", CpuPerMessage),
        ("acks-mongodb-p50", AckP50),
        ("acks-mongodb-p99", AckP99),
    ],
}];

impl Scenario {
    pub(super) const ALL: [Self; 7] = [
        Self::One,
        Self::Stored,
        Self::Two,
        Self::Paced,
        Self::PacedTwo,
        Self::Acks,
        Self::Idle,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Stored => "stored",
            Self::Two => "two",
            Self::Paced => "paced",
            Self::PacedTwo => "paced-two",
            Self::Acks => "acks",
            Self::Idle => "idle",
        }
    }

    /// Node stores nothing wherever it stands.
    pub(super) fn cases(self) -> Vec<Case> {
        let case = |peer, setup, runs| Case { peer, setup, runs };
        let both = |instances, runs| {
            let setup = Setup {
                instances,
                store: Store::Nothing,
            };
            vec![
                case(Peer::Berth, setup, runs),
                case(Peer::Node, setup, runs),
            ]
        };
        let with_floor = |runs| {
            let mut cases = both(1, runs);
            let floor = cases.first().copied();
            cases.extend(floor.map(|case| Case {
                peer: Peer::Floor,
                ..case
            }));
            cases
        };
        let stored = |store, runs| {
            let setup = Setup {
                instances: 1,
                store,
            };
            case(Peer::Berth, setup, runs)
        };
        match self {
            Self::One => with_floor(&ONE),
            Self::Stored => {
                let node = both(1, &STORED).remove(1);
                vec![stored(Store::Sqlite, &STORED), node]
            }
            Self::Two => both(2, &TWO),
            Self::Paced => with_floor(&PACED),
            Self::PacedTwo => both(2, &PACED_TWO),
            Self::Acks => {
                let mut cases = both(1, &ACKS);
                cases.push(stored(Store::Sqlite, &ACKS_SQLITE));
                cases.push(stored(Store::MongoDb, &ACKS_MONGODB));
                cases
            }
            Self::Idle => {
                let node = both(1, &[]).remove(1);
                vec![stored(Store::Sqlite, &[]), node]
            }
        }
    }
}
