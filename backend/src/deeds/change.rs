//! Editing, deleting, reacting: entries of the room's log like messages, about one that is there.

use super::send::outcome;
use super::{Person, Seat, moment};
use crate::append::Outcome;
use crate::chat::change::{Asker, admit};
use crate::chat::message::{Draft, Message};
use crate::chat::refusal::Refusal;
use crate::chat::room::RoomId;
use crate::clock;
use crate::protocol::ChangeRequest;
use crate::socket::{App, page, readable};
use crate::store::{History, Page};

pub(crate) async fn append(
    app: &App,
    person: Person<'_>,
    seat: &Seat,
    request: ChangeRequest,
) -> Outcome {
    let room = request.room.clone();
    let draft = admitted(app, person, seat, request).await?;
    outcome(app.appender.submit(room, draft)).await
}

async fn admitted(
    app: &App,
    person: Person<'_>,
    seat: &Seat,
    request: ChangeRequest,
) -> Result<Draft, Refusal> {
    if let Some(standing) = seat.standing() {
        standing.may_change(clock::unix_ms())?;
    }
    let asker = Asker {
        sender: person.sender,
        is_member: seat.is_inside(),
        is_moderator: seat
            .standing()
            .is_some_and(|standing| standing.is_moderator()),
    };
    let target = if asker.is_member {
        at(app, &request.room, request.change.ref_seq).await?
    } else {
        // Nobody outside learns what is there.
        None
    };
    person.purse.with_buckets(|buckets| {
        let limits = (&app.limits, buckets);
        admit(request.change, target.as_ref(), asker, limits, moment())
    })
}

/// What a room's log has at a seq.
async fn at(app: &App, room: &RoomId, seq: u64) -> Result<Option<Message>, Refusal> {
    let Some(after) = seq.checked_sub(1) else {
        return Ok(None);
    };
    let wanted = Page::After { after, limit: 1 };
    let found = |history: &History| {
        let mut messages = history.messages.iter();
        messages.find(|message| message.seq == seq).cloned()
    };
    if let Some(message) = found(&*page(app, room, wanted).await?) {
        return Ok(Some(message));
    }
    // Who was answered by another instance may be ahead of what this one has heard.
    let stored = readable(room, app.reader.page(room, wanted).await)?;
    Ok(found(&stored))
}
