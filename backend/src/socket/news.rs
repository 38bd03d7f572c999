//! What changed in a room, told to every instance: standings are renewed, and who may no longer be there leaves at once.
//!
//! It goes as an event between servers, `berth:room`. A word may be lost while the bus is away: then every seat is looked at again, once a
//! minute and when the bus is back.

use std::sync::Arc;
use std::time::Duration;

use berth_adapter::{Cluster, Kind};
use serde::{Deserialize, Serialize};
use socketioxide::extract::SocketRef;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::connect::Client;
use super::{Adapter, App};
use crate::chat::membership::Access;
use crate::chat::room::RoomId;
use crate::clock;
use crate::delivery::NAMESPACE;
use crate::protocol::{self, Kicked, Until};

/// The event between servers.
const ROOM: &str = "berth:room";

/// How often every seat is looked at while words may be lost.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// How often read marks are kept.
const MARKS_INTERVAL: Duration = Duration::from_secs(1);

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Word {
    pub(crate) room_id: String,
    /// Whose standing changed; none = the room itself did.
    pub(crate) user_id: Option<String>,
    /// They leave the room.
    #[serde(default)]
    pub(crate) leaves: bool,
    pub(crate) reason: Option<String>,
    pub(crate) until_ms: Option<i64>,
}

impl Word {
    /// The room has another name or other rules.
    pub(crate) fn of_room(room: &RoomId) -> Self {
        Self {
            room_id: room.as_str().to_owned(),
            user_id: None,
            leaves: false,
            reason: None,
            until_ms: None,
        }
    }

    /// Somebody's membership is another one.
    pub(crate) fn of_member(room: &RoomId, user_id: &str) -> Self {
        Self {
            user_id: Some(user_id.to_owned()),
            ..Self::of_room(room)
        }
    }
}

/// Tells this instance and the others. Here it has happened when this returns.
pub(crate) async fn tell(app: &App, word: Word) {
    match serde_json::to_value(&word) {
        Ok(argument) => {
            if let Err(error) = app.cluster.server_side_emit(NAMESPACE, ROOM, &argument) {
                tracing::warn!(%error, "a change of a room was not told to other instances");
            }
        }
        Err(error) => tracing::error!(%error, "a change of a room could not be written"),
    }
    hear(app, &word).await;
}

/// Hears the other instances, keeps read marks, and looks at every seat when words may have been lost; until `stop`. Beside each other: a
/// directory that hangs holds up no word of a kick.
pub async fn listen(app: Arc<App>, cluster: Cluster, stop: CancellationToken) {
    let doubt = Notify::new();
    let looks = stop.run_until_cancelled(async {
        loop {
            doubt.notified().await;
            look_at_all(&app).await;
        }
    });
    let words = hear_all(&app, &cluster, &doubt, &stop);
    let (_, (), ()) = tokio::join!(looks, words, keep_marks(&app, &stop));
}

/// Not cancelled while it keeps some: they would be lost.
async fn keep_marks(app: &App, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(MARKS_INTERVAL);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        app.rooms.keep_marks().await;
    }
    app.rooms.keep_marks().await;
}

/// Notes a doubt when words may have been lost.
async fn hear_all(app: &App, cluster: &Cluster, doubt: &Notify, stop: &CancellationToken) {
    let mut events = cluster.server_events();
    let mut link = cluster.link();
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            event = events.recv() => match event {
                Ok(event) if event.name == ROOM => {
                    let word = event.arguments.into_iter().next().unwrap_or_default();
                    match serde_json::from_value::<Word>(word) {
                        Ok(word) => hear(app, &word).await,
                        Err(error) => tracing::debug!(%error, "a word about a room makes no sense"),
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => doubt.notify_one(),
                Err(RecvError::Closed) => break,
            },
            changed = link.changed() => {
                if changed.is_err() {
                    break;
                }
                if link.borrow_and_update().is_clustered() {
                    doubt.notify_one();
                }
            }
            _ = look.tick() => {
                let is_doubtful = cluster.kind() != Kind::Alone && !link.borrow().is_clustered();
                if is_doubtful {
                    doubt.notify_one();
                }
            }
        }
    }
}

async fn hear(app: &App, word: &Word) {
    let Ok(room) = RoomId::parse(&word.room_id) else {
        return;
    };
    app.rooms.heard(&room);
    let Some(user_id) = &word.user_id else {
        return renew(app, &room).await;
    };
    for socket in app.members.sockets_in(&room) {
        let Some(client) = socket.extensions.get::<Arc<Client>>() else {
            continue;
        };
        if client.sender.id != *user_id {
            continue;
        }
        if word.leaves {
            remove(app, &socket, &client, &room, word);
        } else {
            look(app, &socket, &client, &room).await;
        }
    }
}

/// The room's new name and rules. Nobody stays in one that was closed.
async fn renew(app: &App, id: &RoomId) {
    let room = match app.rooms.room(id).await {
        Ok(Some(room)) => room,
        Ok(None) => return,
        Err(refusal) => return tracing::debug!(room = %id, %refusal, "not renewed"),
    };
    for socket in app.members.sockets_in(id) {
        let Some(client) = socket.extensions.get::<Arc<Client>>() else {
            continue;
        };
        client.seats.renew(&room);
        if room.access == Access::Archived {
            let mut word = Word::of_room(id);
            word.reason = Some("this room was closed".to_owned());
            remove(app, &socket, &client, id, &word);
        }
    }
}

async fn look_at_all(app: &App) {
    for socket in app.members.sockets() {
        let Some(client) = socket.extensions.get::<Arc<Client>>() else {
            continue;
        };
        for room in client.seats.rooms() {
            look(app, &socket, &client, &room).await;
        }
    }
}

/// Renews one seat, or takes it away. What cannot be read stays as it is.
async fn look(app: &App, socket: &SocketRef<Adapter>, client: &Client, room: &RoomId) {
    match app.rooms.standing(room, &client.sender.id).await {
        Ok(standing) => {
            if standing.may_enter(clock::unix_ms()).is_ok() {
                client.seats.take(standing);
            } else {
                let word = Word {
                    until_ms: standing.member.banned_until_ms,
                    ..Word::of_member(room, &client.sender.id)
                };
                remove(app, socket, client, room, &word);
            }
        }
        Err(refusal) => tracing::debug!(%room, %refusal, "a seat stays as it is"),
    }
}

fn remove(app: &App, socket: &SocketRef<Adapter>, client: &Client, room: &RoomId, word: &Word) {
    client.seats.leave(room);
    let leave = || socket.leave(room.as_str().to_owned());
    app.delivery.exit(room, leave);
    app.attendance.note(room);
    let kicked = Kicked {
        room_id: room.as_str(),
        reason: word.reason.as_deref(),
        until: word.until_ms.map(Until::from),
    };
    // By the way of answers: one to an earlier or a later `joinRoom` stays before or behind it.
    if let Err(error) = client.tell(protocol::KICKED, &kicked) {
        // It has left the room all the same; the next event to it is refused.
        tracing::debug!(user = client.sender.id, %error, "not told that it was kicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_written_and_may_lack_what_it_does_not_say() {
        let mut word = Word::of_member(&RoomId::parse("r").unwrap(), "ann");
        word.leaves = true;
        word.until_ms = Some(7);
        let written = serde_json::to_value(&word).unwrap();
        assert_eq!(serde_json::from_value::<Word>(written).unwrap(), word);
        let short: Word = serde_json::from_value(serde_json::json!({"roomId": "r"})).unwrap();
        assert_eq!(short, Word::of_room(&RoomId::parse("r").unwrap()));
    }
}
