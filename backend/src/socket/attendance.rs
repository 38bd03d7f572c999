//! Who is in the rooms of this instance's sockets, on all instances: kept up to date, and told to the members.
//!
//! Whoever changes the rooms of a socket only says which room it was ([`Attendance::note`]). What is true is read from the sockets
//! themselves and compared with what was written before, so that a lost word, a failed write or a restarted Redis heals by itself:
//! every room is looked at again within a minute.

pub(super) mod lease;
mod room;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use berth_adapter::Cluster;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use socketioxide::SocketIo;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::connect::Client;
use super::{Adapter, App};
use crate::chat::message::Sender;
use crate::chat::room::RoomId;
use crate::clock;
use crate::presence::view::{Diff, merge};
use crate::presence::{Change, InstanceId, People, Presence, Written};
use crate::protocol::{self, PresenceBody, PresenceChanged};
use crate::settings;
use room::{NAMES_OF_LARGE, RENEWAL, Room, body, difference, spread};

/// The event between servers that names the rooms whose people have changed.
const CHANGED: &str = "berth:presence";

/// How often there is a look at what is due.
const TICK: Duration = Duration::from_millis(250);

/// An answer of the keeper that took longer is as good as none.
const ANSWER_FRESH: Duration = Duration::from_secs(2);

/// Rooms worked on at once: Redis has other work, too.
const ROOMS_AT_ONCE_MAX: usize = 32;

/// Rooms named in one event between servers.
const ROOMS_PER_EVENT_MAX: usize = 500;

/// The rooms of this instance's sockets.
pub(super) struct Attendance {
    me: InstanceId,
    keeper: Arc<dyn Presence>,
    settings: settings::Presence,
    rooms: Mutex<HashMap<RoomId, Room>>,
    /// The keeper did not answer the last beat.
    is_away: AtomicBool,
}

impl Attendance {
    pub(super) fn new(
        me: InstanceId,
        keeper: Arc<dyn Presence>,
        settings: settings::Presence,
    ) -> Self {
        Self {
            me,
            keeper,
            settings,
            rooms: Mutex::default(),
            is_away: AtomicBool::new(false),
        }
    }

    /// A socket of this instance has joined or left the room.
    pub(super) fn note(&self, room: &RoomId) {
        let mut rooms = self.rooms();
        let entry = rooms.entry(room.clone());
        entry
            .or_insert_with(|| Room::new(clock::monotonic()))
            .is_changed = true;
    }

    /// People in the room as far as this instance knows.
    pub(super) fn count(&self, room: &RoomId) -> usize {
        self.rooms().get(room).map_or(0, |room| room.view.count())
    }

    /// A page of the people in a room: of what is shown to its members when it has some here, else as it is written down.
    pub(super) async fn page(&self, room: &RoomId, after: Option<&str>) -> PresenceBody {
        let limit = self.settings.names_max;
        let is_here = self.rooms().contains_key(room);
        if is_here {
            // Or the first look would, and tell nobody of those who came since this answer.
            self.begin(room).await;
        }
        if let Some(room) = self.rooms().get(room)
            && room.view.is_begun()
        {
            return body(&room.view, after, limit, self.is_approximate(room));
        }
        let read = self.keeper.read(room).await;
        let is_approximate = read.is_err();
        let mut view = crate::presence::view::View::default();
        view.observe(
            &read.unwrap_or_default(),
            self.settings.grace,
            clock::monotonic(),
        );
        body(&view, after, limit, is_approximate)
    }

    /// Makes sure that it is known who is in the room, before its first client here is told.
    pub(super) async fn begin(&self, room: &RoomId) {
        let is_begun = |rooms: &HashMap<RoomId, Room>| {
            let room = rooms.get(room);
            room.is_some_and(|room| room.view.is_begun())
        };
        if is_begun(&self.rooms()) {
            return;
        }
        let read = self.keeper.read(room).await;
        let now = clock::monotonic();
        let mut rooms = self.rooms();
        if is_begun(&rooms) {
            return;
        }
        // Whoever joins from now on is news to this client, and to all after it.
        let entry = rooms.entry(room.clone());
        let entry = entry.or_insert_with(|| Room::new(now));
        entry.is_approximate = read.is_err();
        entry.read = read.unwrap_or_default();
        entry.view.observe(&entry.read, self.settings.grace, now);
    }

    /// What a client that has just joined is told: itself included, and in a large room only the first names. It must go out before
    /// the next news do, so nothing is awaited here.
    pub(super) fn joined(&self, room: &RoomId, me: &Sender) -> PresenceBody {
        let mut rooms = self.rooms();
        let entry = rooms.entry(room.clone());
        let entry = entry.or_insert_with(|| Room::new(clock::monotonic()));
        let is_shown = entry.view.contains(&me.id);
        let count = entry.view.count() + usize::from(!is_shown);
        let limit = match count > self.settings.names_max {
            true => NAMES_OF_LARGE,
            false => self.settings.names_max,
        };
        let mut body = body(&entry.view, None, limit, self.is_approximate(entry));
        if !is_shown && body.users.len() < limit {
            body.users.push((me.id.clone(), me.name.clone()).into());
        }
        PresenceBody { count, ..body }
    }

    fn is_approximate(&self, room: &Room) -> bool {
        room.is_approximate || self.is_away.load(Ordering::Relaxed)
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Others say that these rooms have changed.
    fn heard(&self, names: &[Value]) {
        let mut rooms = self.rooms();
        for name in names.iter().filter_map(Value::as_str) {
            if let Ok(name) = RoomId::parse(name)
                && let Some(room) = rooms.get_mut(&name)
            {
                room.is_changed = true;
            }
        }
    }

    fn doubt_all(&self) {
        for room in self.rooms().values_mut() {
            (room.is_doubtful, room.is_changed) = (true, true);
        }
    }

    fn look_at_all(&self) {
        for room in self.rooms().values_mut() {
            room.is_changed = true;
        }
    }

    fn due(&self, now: Instant) -> Vec<RoomId> {
        let rooms = self.rooms();
        let due = rooms
            .iter()
            .filter(|(_, room)| room.is_due(self.settings.grace, now));
        due.map(|(name, _)| name.clone()).collect()
    }

    /// What is to be written so that the keeper has `here`; none when it has.
    fn begin_look(&self, name: &RoomId, here: &People, now: Instant) -> Option<Change> {
        let mut rooms = self.rooms();
        let room = rooms.get_mut(name)?;
        (room.is_changed, room.looked_at) = (false, Some(now));
        // What is doubted from here on, while this look is under way, is for the next one.
        let mut is_doubtful = std::mem::take(&mut room.is_doubtful);
        if room.renew_at <= now {
            room.renew_at = now + spread(RENEWAL);
            is_doubtful = true;
        }
        let change = difference(&room.written, here, is_doubtful);
        // Until the write is known to have happened, all of it may be there.
        room.written.extend(change.add.clone());
        let is_nothing = change.add.is_empty() && change.remove.is_empty();
        (!is_nothing).then_some(change)
    }

    /// Takes in what became of it; answers what the members must be told, and how many are there.
    fn end_look(
        &self,
        name: &RoomId,
        here: &People,
        (is_written, read): (bool, Option<People>),
        now: Instant,
    ) -> Option<(Diff, usize, bool)> {
        let mut rooms = self.rooms();
        let room = rooms.get_mut(name)?;
        room.is_approximate = !is_written || read.is_none();
        if is_written {
            room.written.clone_from(here);
        } else {
            (room.is_doubtful, room.is_changed) = (true, true);
        }
        if here.is_empty() && is_written && !room.is_changed {
            rooms.remove(name);
            return None;
        }
        // While the keeper is away, people of other instances stay as they were last seen.
        match read {
            Some(read) => room.read = read,
            None => {
                room.is_changed = true;
                let written = &room.written;
                room.view.hold(|id| !written.contains_key(id), now);
            }
        }
        let there = merge([&room.read, here]);
        let diff = room.view.observe(&there, self.settings.grace, now);
        let is_approximate = self.is_approximate(room);
        Some((diff, room.view.count(), is_approximate))
    }
}

/// The people of this instance's sockets in a room, except those whose disconnect has begun.
pub(super) fn here(io: &SocketIo<Adapter>, room: &RoomId) -> People {
    let sockets = io.within(room.as_str().to_owned()).sockets();
    let clients = sockets
        .iter()
        .filter_map(|socket| socket.extensions.get::<Arc<Client>>());
    clients
        .filter(|client| !client.is_gone())
        .map(|client| (client.sender.id.clone(), client.sender.name.clone()))
        .collect::<BTreeMap<_, _>>()
}

/// Looks at rooms that have changed, until the instance drains.
pub(super) async fn run(
    app: Arc<App>,
    io: SocketIo<Adapter>,
    cluster: Cluster,
    draining: CancellationToken,
) {
    let mut heard = cluster.server_events();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = draining.cancelled() => return,
            event = heard.recv() => {
                match event {
                    Ok(event) if event.name == CHANGED => {
                        if let Some(Value::Array(names)) = event.arguments.first() {
                            app.attendance.heard(names);
                        }
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => app.attendance.look_at_all(),
                    Err(RecvError::Closed) => return,
                }
                continue;
            }
            _ = ticks.tick() => {}
        }
        let due = app.attendance.due(clock::monotonic());
        let looks = futures_util::stream::iter(due).map(|room| look(&app, &io, room));
        let changed = looks.buffer_unordered(ROOMS_AT_ONCE_MAX);
        let changed = changed.filter_map(std::future::ready).collect::<Vec<_>>();
        tokio::select! {
            () = draining.cancelled() => return,
            changed = changed => announce(&cluster, &changed),
        }
    }
}

/// Brings one room up to date; answers it when the others must hear of it.
async fn look(app: &App, io: &SocketIo<Adapter>, name: RoomId) -> Option<RoomId> {
    let attendance = &app.attendance;
    let here = here(io, &name);
    let change = attendance.begin_look(&name, &here, clock::monotonic());
    let (mut is_written, mut is_anew) = (true, false);
    if let Some(change) = &change {
        let lease = attendance.settings.lease;
        let written = attendance
            .keeper
            .write(&attendance.me, &name, change, lease);
        match written.await {
            Ok(written) => is_anew = written == Written::Anew,
            Err(error) => {
                tracing::debug!(%error, room = %name, "presence not written");
                is_written = false;
            }
        }
    }
    let asked = clock::monotonic();
    let read = if here.is_empty() && is_written {
        Some(People::new())
    } else {
        attendance.keeper.read(&name).await.ok()
    };
    // A keeper that stood still answers with what was true before: whoever has come since is not in it, and is not gone.
    let read = read.filter(|_| asked.elapsed() < ANSWER_FRESH);
    let ended = attendance.end_look(&name, &here, (is_written, read), clock::monotonic());
    if is_anew {
        // The keeper has forgotten this instance, and the next beat would find the lease that was begun just now.
        attendance.doubt_all();
    }
    if let Some((diff, count, approximate)) = ended
        && !diff.is_empty()
    {
        tell(app, &name, diff, (count, approximate));
    }
    (change.is_some() && is_written).then_some(name)
}

/// In a large room a client has not got everybody's name, so it is told the count.
fn tell(app: &App, room: &RoomId, diff: Diff, (count, approximate): (usize, bool)) {
    let is_named = count <= app.attendance.settings.names_max;
    let list = |people: People| {
        let named = people.into_iter().filter(|_| is_named);
        named.map(Into::into).collect()
    };
    let body = PresenceChanged {
        room_id: room.as_str(),
        joined: list(diff.joined),
        left: list(diff.left),
        count,
        approximate,
    };
    match serde_json::to_string(&(protocol::PRESENCE, body)) {
        Ok(event) => app.members.tell_here(room, &[event.into()]),
        Err(error) => tracing::error!(%room, %error, "who is there cannot be written"),
    }
}

fn announce(cluster: &Cluster, rooms: &[RoomId]) {
    for some in rooms.chunks(ROOMS_PER_EVENT_MAX) {
        let names: Vec<&str> = some.iter().map(RoomId::as_str).collect();
        if let Err(error) = cluster.server_side_emit("/", CHANGED, &json!(names)) {
            tracing::warn!(%error, "other servers were not told of changed rooms");
        }
    }
}

#[cfg(test)]
mod tests;
