//! Tells one webhook, while this server has the lease on it: what `schedule` says is next is read from the log and requested.
//!
//! Owns when something is tried and what is known of how it goes; one try is `errand`'s.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::errand::{Done, Errand};
use super::feed::Inbox;
use super::schedule::{Limits, Next, Schedule};
use super::{Cursor, Standing, State};
use crate::chat::room::RoomId;
use crate::clock;
use crate::metrics::WebhookGauge;

/// Between two looks through all rooms. They find what neither an append here nor a look at what has grown has told of.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Rooms that wait in the schedule.
const ROOMS_WAITING_MAX: usize = 10_000;

/// Places that are remembered; they are on record as well.
const CURSORS_MAX: usize = 10_000;

/// A standing that changes all the time is written so often.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// How often it is looked whether the lease still holds while there is nothing else to do.
const LEASE_LOOK: Duration = Duration::from_millis(500);

/// The telling of one webhook.
pub(super) struct Courier {
    errand: Arc<Errand>,
    inbox: Arc<Inbox>,
    held_until: watch::Receiver<Instant>,
    schedule: Schedule,
    cursors: HashMap<RoomId, Cursor>,
    standing: Standing,
    /// What is on record of it, and since when.
    reported: (Standing, Instant),
    /// Asks for a look through all rooms.
    sweep: Arc<Notify>,
    is_forgetful: bool,
    gauge: WebhookGauge,
}

impl Courier {
    pub(super) fn new(
        errand: Arc<Errand>,
        inbox: Arc<Inbox>,
        held_until: watch::Receiver<Instant>,
        standing: Standing,
    ) -> Self {
        let settings = &errand.settings;
        let limits = Limits {
            rooms_at_once_max: settings.rooms_at_once_max,
            rooms_waiting_max: ROOMS_WAITING_MAX,
            pause_max: settings.retry_interval_max,
            paused_after: settings.pause_after,
            paused_interval: settings.paused_retry_interval,
        };
        let now = clock::monotonic();
        let failing_since = standing.failing_since_ms.map(|since_ms| {
            let ago_ms = u64::try_from(clock::unix_ms() - since_ms).unwrap_or(0);
            let since = now.checked_sub(Duration::from_millis(ago_ms));
            since.unwrap_or(now)
        });
        Self {
            gauge: errand.metrics.webhooks.gauge(standing.state),
            schedule: Schedule::new(limits, failing_since),
            reported: (standing.clone(), now),
            standing,
            errand,
            inbox,
            held_until,
            cursors: HashMap::new(),
            sweep: Arc::default(),
            is_forgetful: false,
        }
    }

    /// Tells until `stop`; then what is under way is finished.
    pub(super) async fn run(self, stop: CancellationToken) {
        let (errand, inbox) = (Arc::clone(&self.errand), Arc::clone(&self.inbox));
        let sweeps = sweep_for_ever(errand, inbox, Arc::clone(&self.sweep));
        let telling = self.tell(stop);
        tokio::select! {
            () = telling => {}
            () = sweeps => {}
        }
    }

    async fn tell(mut self, stop: CancellationToken) {
        let mut under_way = FuturesUnordered::new();
        loop {
            self.take_notes();
            let mut wake = clock::monotonic() + LEASE_LOOK;
            while !stop.is_cancelled() && self.is_held() {
                match self.schedule.next(clock::monotonic()) {
                    Next::Tell(room, to) => under_way.push(self.attempt(room, to)),
                    Next::At(at) => {
                        wake = wake.min(at);
                        break;
                    }
                    Next::Nothing => break,
                }
            }
            self.report(false).await;
            if stop.is_cancelled() && under_way.is_empty() {
                return self.report(true).await;
            }
            tokio::select! {
                Some((room, done)) = under_way.next() => self.settle(&room, done),
                () = self.inbox.changed() => {}
                () = tokio::time::sleep_until(wake.into()) => {}
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
    }

    fn is_held(&self) -> bool {
        *self.held_until.borrow() > clock::monotonic()
    }

    fn take_notes(&mut self) {
        let noted = self.inbox.take();
        if noted.is_resumed {
            tracing::info!(webhook = %self.errand.webhook.id, "webhook is tried again, as asked");
            self.schedule.resume();
            self.note_state();
        }
        for (room, seq) in noted.rooms {
            let is_told = self
                .cursors
                .get(&room)
                .is_some_and(|cursor| cursor.seq >= seq);
            if !is_told {
                self.schedule.note(room);
            }
        }
        self.is_forgetful |= noted.has_forgotten | self.schedule.take_forgotten();
        if self.is_forgetful && self.schedule.len() < ROOMS_WAITING_MAX / 2 {
            self.is_forgetful = false;
            self.sweep.notify_one();
        }
        self.gauge.set_waiting(self.schedule.len());
    }

    fn attempt(
        &mut self,
        room: RoomId,
        to: Option<u64>,
    ) -> impl Future<Output = (RoomId, Done)> + use<> {
        let (errand, cursor) = (Arc::clone(&self.errand), self.cursors.get(&room).cloned());
        async move {
            let done = errand.attempt(&room, to, cursor).await;
            (room, done)
        }
    }

    fn settle(&mut self, room: &RoomId, done: Done) {
        let now = clock::monotonic();
        match done {
            Done::Told {
                cursor,
                more,
                was_asked,
            } => {
                if self.cursors.len() >= CURSORS_MAX {
                    self.cursors.clear();
                }
                self.cursors.insert(room.clone(), cursor);
                self.schedule.told(room, more, was_asked);
                if was_asked {
                    self.standing.delivered_ms = Some(clock::unix_ms());
                }
            }
            Done::Failed {
                to,
                why,
                retry_after,
                is_gone,
            } => {
                tracing::debug!(webhook = %self.errand.webhook.id, %room, why, "webhook not told");
                self.standing.failures += 1;
                self.standing.error = Some(why);
                if is_gone {
                    self.schedule.gone();
                }
                let dice = rand::random_range(0.0..1.0);
                self.schedule.failed(room, to, retry_after, (now, dice));
            }
            Done::Hindered(why) => {
                tracing::debug!(webhook = %self.errand.webhook.id, %room, why, "webhook not tried");
                self.schedule.hindered(room, now);
            }
        }
        self.note_state();
    }

    /// A transition is logged, a state is not.
    fn note_state(&mut self) {
        let state = self.schedule.state(clock::monotonic());
        let id = &self.errand.webhook.id;
        let before = std::mem::replace(&mut self.standing.state, state);
        let why = self.standing.error.as_deref().unwrap_or_default();
        match (before, state) {
            (State::Ok, State::Ok) => {}
            (State::Ok, State::Failing) => {
                self.standing.failing_since_ms = Some(clock::unix_ms());
                tracing::warn!(webhook = %id, why, "webhook fails; it is tried again, and nothing is forgotten");
            }
            (State::Ok | State::Failing, State::Paused) => {
                self.standing
                    .failing_since_ms
                    .get_or_insert(clock::unix_ms());
                tracing::error!(webhook = %id, why, "webhook is paused; nothing is forgotten, and it can be resumed");
            }
            (State::Failing | State::Paused, State::Ok) => {
                (self.standing.failures, self.standing.failing_since_ms) = (0, None);
                self.standing.error = None;
                tracing::info!(webhook = %id, "webhook is well again");
            }
            (State::Failing | State::Paused, State::Failing | State::Paused) => {}
        }
        self.gauge.set_state(state);
    }

    /// Puts on record how it goes: a change of state at once, figures now and then.
    async fn report(&mut self, is_last: bool) {
        let now = clock::monotonic();
        let (reported, at) = &self.reported;
        let is_due = is_last
            || reported.state != self.standing.state
            || now.saturating_duration_since(*at) >= REPORT_INTERVAL;
        if !is_due || *reported == self.standing {
            return;
        }
        let (id, standing) = (&self.errand.webhook.id, self.standing.clone());
        if let Err(error) = self.errand.kept.set_standing(id, &standing).await {
            tracing::debug!(webhook = %id, %error, "standing not written");
        }
        self.reported = (standing, now);
    }
}

async fn sweep_for_ever(errand: Arc<Errand>, inbox: Arc<Inbox>, wanted: Arc<Notify>) {
    loop {
        let pause = match errand.sweep(&inbox).await {
            Ok(()) => SWEEP_INTERVAL,
            Err(error) => {
                tracing::debug!(webhook = %errand.webhook.id, %error, "rooms not looked through");
                REPORT_INTERVAL
            }
        };
        tokio::select! {
            () = wanted.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
