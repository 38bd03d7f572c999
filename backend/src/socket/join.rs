//! `joinRoom`: first in the room, then the history, so that nothing falls between the two.

use std::sync::Arc;

use serde_json::Value;
use socketioxide::socket::Socket;

use super::connect::Client;
use super::reply::Reply;
use super::{Adapter, App, history};
use crate::chat::limits::page_limit;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::chat::standing::Standing;
use crate::clock;
use crate::protocol::{HistoryBody, JoinRequest, Joined, RoomBody};
use crate::store::{History, Page};

/// Rooms that every socket is in and that are not for chat: its own and its user's.
const OWN_ROOMS: usize = 2;

/// When the history cannot be read the client is told so and stays in the room: live messages are worth having, and joining again is safe.
pub(super) async fn join(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let request = match JoinRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    let room = request.room.clone();
    let entered = match page_limit(request.limit, &app.limits) {
        Ok(limit) => enter(app, client, &reply.socket, &room)
            .await
            .map(|()| limit),
        Err(refusal) => Err(refusal),
    };
    let limit = match entered {
        Ok(entered) => entered,
        Err(refusal) => return reply.refuse(&refusal, (Some(room.as_str()), None)).await,
    };
    // Also for who awaits no answer: its next event may be a message to the room, which it wants to see.
    let begun = app.delivery.begin(&room).await;
    if !reply.is_awaited() {
        return;
    }
    if let Err(error) = begun {
        tracing::warn!(%room, %error, "room not begun");
        return reply
            .refuse(&Refusal::from(&error), (Some(room.as_str()), None))
            .await;
    }
    let begun = app.attendance.begin(&room);
    let (caught_up, ()) = tokio::join!(catch_up(app, &request, limit), begun);
    // Only now: whoever came while the history was read is in it, and whoever comes later is news.
    let presence = app.attendance.joined(&room, &client.sender);
    // As it is by now: what changed since it came in was told before this answer.
    match caught_up.and_then(|caught| Ok((caught, still_inside(client, &room)?))) {
        Ok((caught, standing)) => {
            let CaughtUp {
                history, recovered, ..
            } = caught;
            let unread = standing.unread(history.last_n);
            reply
                .done(Joined {
                    room: RoomBody::from(&*standing),
                    history: HistoryBody::from(&*history),
                    recovered,
                    presence,
                    unread,
                })
                .await;
        }
        Err(refusal) => reply.refuse(&refusal, (Some(room.as_str()), None)).await,
    }
}

/// Whether the socket is in the room. Its own-id room is not one to talk in.
pub(super) fn is_member(socket: &Socket<Adapter>, room: &RoomId) -> bool {
    !is_own_room(socket, room) && socket.rooms().iter().any(|joined| joined == room.as_str())
}

/// The room that carries a socket's own id, as in Node. The id must not leak, so the room takes no part in chat.
pub(super) fn is_own_room(socket: &Socket<Adapter>, room: &RoomId) -> bool {
    socket.id.as_str() == room.as_str()
}

/// The seat of a client that was let in. None: it had to leave while its answer was made, and was told so.
pub(super) fn still_inside(client: &Client, room: &RoomId) -> Result<Arc<Standing>, Refusal> {
    let left = || Refusal::new(Code::NotMember, "you have just left this room");
    client.seats.of(room).ok_or_else(left)
}

/// Lets the client in, if it may be there. What changes while it comes in is not missed: then it is looked at again.
pub(super) async fn enter(
    app: &App,
    client: &Client,
    socket: &Socket<Adapter>,
    room: &RoomId,
) -> Result<(), Refusal> {
    if is_own_room(socket, room) {
        return Err(Refusal::new(Code::Forbidden, "this room is not for chat"));
    }
    check_space(app, socket, room)?;
    if app.rooms.room(room).await?.is_none() {
        // It is about to be made, and is kept for ever: that costs what a message costs.
        client.person().take_token(app)?;
    }
    loop {
        let heard = app.rooms.changes_heard();
        let standing = app.rooms.standing_to_join(room, &client.sender.id).await?;
        if let Err(refusal) = standing.may_enter(clock::unix_ms()) {
            // Perhaps from the round before.
            client.seats.leave(room);
            socket.leave(room.as_str().to_owned());
            app.attendance.note(room);
            return Err(refusal);
        }
        // Again: others of this client's rooms may have been entered meanwhile.
        check_space(app, socket, room)?;
        client.seats.take(standing);
        sit_down(app, client, socket, room);
        if app.rooms.changes_heard() == heard {
            return Ok(());
        }
    }
}

fn check_space(app: &App, socket: &Socket<Adapter>, room: &RoomId) -> Result<(), Refusal> {
    let rooms = socket.rooms();
    let is_new = !rooms.iter().any(|joined| joined == room.as_str());
    let chat_rooms = rooms.len().saturating_sub(OWN_ROOMS);
    if is_new && chat_rooms >= app.limits.rooms_per_socket_max {
        let message = format!(
            "at most {} rooms on one connection",
            app.limits.rooms_per_socket_max
        );
        return Err(Refusal::new(Code::Forbidden, message));
    }
    Ok(())
}

fn sit_down(app: &App, client: &Client, socket: &Socket<Adapter>, room: &RoomId) {
    app.delivery
        .enter(room, || socket.join(room.as_str().to_owned()));
    app.attendance.note(room);
    if client.is_gone() || client.is_evicted() {
        // It left while we were at it, and its rooms were cleared before this one was added.
        socket.leave_all();
    }
    tracing::debug!(%room, user = client.sender.id, "joined");
}

/// What a client that was here before gets.
pub(super) struct CaughtUp {
    pub(super) history: Arc<History>,
    /// It is everything since then.
    pub(super) recovered: bool,
    /// Something since then is no longer kept.
    pub(super) trimmed: bool,
}

/// What the client missed, or the newest messages when it missed nothing we can name.
pub(super) async fn catch_up(
    app: &App,
    request: &JoinRequest,
    limit: u32,
) -> Result<CaughtUp, Refusal> {
    if let Some(after) = request.last_seq {
        let history = history::page(app, &request.room, Page::After { after, limit }).await?;
        if is_same_log(&history, after, request.epoch.as_deref()) {
            let missed = u64::try_from(history.messages.len()).unwrap_or(u64::MAX);
            app.metrics.delivery.resync_messages_total.inc_by(missed);
            let trimmed = history.first_seq > after.saturating_add(1);
            let recovered = !history.has_more && !trimmed;
            return Ok(CaughtUp {
                history,
                recovered,
                trimmed,
            });
        }
    }
    let history = history::page(app, &request.room, Page::Latest { limit }).await?;
    Ok(CaughtUp {
        history,
        recovered: false,
        trimmed: false,
    })
}

/// Whether a cursor belongs to this log: a wiped or restored store has another epoch, or ends before the cursor.
fn is_same_log(history: &History, after: u64, epoch: Option<&str>) -> bool {
    after <= history.last_seq && epoch.is_none_or(|epoch| epoch == history.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(first_seq: u64, last_seq: u64) -> History {
        History {
            messages: Vec::new(),
            first_seq,
            last_seq,
            last_n: last_seq,
            has_more: false,
            epoch: "e1".to_owned(),
        }
    }

    #[test]
    fn a_cursor_of_another_log_is_noticed() {
        assert!(is_same_log(&log(1, 9), 9, None));
        assert!(is_same_log(&log(1, 9), 3, Some("e1")));
        assert!(is_same_log(&log(0, 0), 0, None));
        assert!(!is_same_log(&log(1, 9), 3, Some("e0")));
        assert!(!is_same_log(&log(1, 9), 10, None));
    }
}
