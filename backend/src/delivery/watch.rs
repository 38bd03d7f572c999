//! Looks where the logs of the rooms here end, whenever frames may have been lost, and tells others where those end that grew here.
//!
//! While the bus is whole that is after each of its breaks, after a loss that it counted, and once a minute. While it is not, or where
//! there is none, instances keep up with each other in this way alone: about a second late.

use std::time::Duration;

use berth_adapter::{Cluster, Kind};
use socketioxide_core::Str;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Delivery, NAMESPACE, RoomId, frame};
use crate::clock;
use crate::store::StoreError;

/// Between two looks while frames do not come. Its fifth is left to chance, so that instances do not ask the store in step.
const TAIL_INTERVAL: Duration = Duration::from_millis(750);

/// Between two looks while they do come. It finds what nothing told of, such as the loss of the last frame of a room and of its beacons.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Rooms that one question to the store is about.
const ROOMS_PER_QUESTION: usize = 500;

/// How the entries of other instances come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Bus,
    Tail,
}

/// How often it is looked whose end is to be told.
const BEACON_INTERVAL: Duration = Duration::from_millis(250);

/// Watches until `stop`.
#[must_use]
pub fn watch(delivery: Delivery, cluster: Cluster, stop: CancellationToken) -> JoinHandle<()> {
    let ends = tell_ends(delivery.clone(), cluster.clone());
    let watch = Watch {
        delivery,
        cluster,
        lagged: 0,
        is_doubtful: false,
        swept: Instant::now(),
    };
    tokio::spawn(async move {
        let both = async { tokio::join!(watch.run(), ends) };
        stop.run_until_cancelled(both).await;
    })
}

/// Tells the other servers where logs end that were appended to here. While they cannot hear it, it waits.
async fn tell_ends(delivery: Delivery, cluster: Cluster) {
    let link = cluster.link();
    loop {
        tokio::time::sleep(BEACON_INTERVAL).await;
        // A server alone tells nobody, and forgets in time what it would tell.
        if cluster.kind() != Kind::Alone && !link.borrow().publisher {
            continue;
        }
        let due = delivery.0.beacons().due(clock::monotonic());
        for (name, seq) in due {
            let epoch = delivery.0.room(&name).and_then(|room| room.epoch());
            let end = Str::from(frame::end(&name, seq, epoch.as_deref()));
            cluster.whisper(NAMESPACE, name.as_str(), &end);
        }
    }
}

struct Watch {
    delivery: Delivery,
    cluster: Cluster,
    /// Frames that the bus has counted as lost on their way here.
    lagged: u64,
    /// Something may have been lost since the last look.
    is_doubtful: bool,
    swept: Instant,
}

impl Watch {
    async fn run(mut self) {
        let mut link = self.cluster.link();
        loop {
            self.note_mode();
            let pause = TAIL_INTERVAL.mul_f64(rand::random_range(0.8..1.2));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = link.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // Both ways: frames that were under way when it broke are lost, too.
                    self.is_doubtful = true;
                }
            }
            if self.is_due() {
                self.look().await;
            }
        }
    }

    fn mode(&self) -> Mode {
        let is_whole = self.cluster.link().borrow().is_clustered();
        if is_whole { Mode::Bus } else { Mode::Tail }
    }

    fn note_mode(&self) {
        let mode = self.mode();
        for (name, of) in [("bus", Mode::Bus), ("tail", Mode::Tail)] {
            let gauge = self
                .delivery
                .0
                .metrics
                .delivery
                .mode
                .with_label_values(&[name]);
            gauge.set(i64::from(mode == of));
        }
    }

    fn is_due(&mut self) -> bool {
        let lagged = self.cluster.counts().lagged;
        self.is_doubtful |= lagged > std::mem::replace(&mut self.lagged, lagged);
        self.is_doubtful || self.mode() == Mode::Tail || self.swept.elapsed() > SWEEP_INTERVAL
    }

    async fn look(&mut self) {
        let rooms = self.delivery.0.prune();
        let mut is_answered = true;
        for rooms in rooms.chunks(ROOMS_PER_QUESTION) {
            is_answered &= self.delivery.check(rooms).await.is_ok();
        }
        // What could not be asked is asked again at the next turn.
        self.is_doubtful = !is_answered;
        self.swept = Instant::now();
    }
}

impl Delivery {
    /// Looks where the logs of these rooms end, and has fetched what is missing here.
    pub(super) async fn check(&self, rooms: &[RoomId]) -> Result<(), StoreError> {
        let tails = match self.0.reader.tails(rooms).await {
            Ok(tails) => tails,
            Err(error) => {
                tracing::debug!(rooms = rooms.len(), %error, "ends of rooms not read");
                return Err(error);
            }
        };
        for (name, tail) in rooms.iter().zip(tails.seqs) {
            if let Some(room) = self.0.room(name) {
                room.expect(tail, &tails.epoch);
                self.mend(name, &room);
            }
        }
        Ok(())
    }
}
