//! `/api/rooms/{id}/messages…`: a page of a room's log, saying something, and changing what was said.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::{Answer, arguments, done, made};
use crate::append::{Appended, Outcome};
use crate::chat::admit::{TYPE_DEFAULT, Wish};
use crate::chat::message::{Entry, Message};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::clock;
use crate::deeds::{change, send};
use crate::http::call::Call;
use crate::http::refused;
use crate::protocol::{ChangeRequest, Cursor, HistoryBody, SendRequest, Sent};
use crate::socket::{App, readable, wanted};

/// Whether somebody may read a room over HTTP. One that is not there is empty, and becomes public when somebody joins it.
pub(in crate::http) async fn may_read(
    app: &App,
    room: &RoomId,
    user_id: &str,
) -> Result<(), Refusal> {
    if app.rooms.room(room).await?.is_none() {
        return Ok(());
    }
    let standing = app.rooms.standing(room, user_id).await?;
    standing.may_enter(clock::unix_ms())
}

pub(in crate::http) async fn page(call: Call) -> Answer {
    let (app, room) = (call.app(), call.room()?);
    may_read(app, &room, &call.reader_id().await?).await?;
    let cursor = Cursor {
        before: call.asked_number("before")?,
        after: call.asked_number("after")?,
        around: call.asked_number("around")?,
        limit: call.asked_number("limit")?,
    };
    // Not from memory: nobody tells this client of what is on its way here.
    let wanted = wanted(&cursor, &app.limits)?;
    let history = readable(&room, wanted.read(&app.reader, &room).await)?;
    Ok(done(HistoryBody::from(&*history)))
}

pub(in crate::http) async fn post(call: Call) -> Answer {
    let arrived = clock::monotonic();
    let (app, caller) = (call.app(), call.caller().await?);
    let request = SendRequest::read(arguments(call.wish_once()?))?;
    let (room, wish) = (request.room.clone(), request.wish.clone());
    let seat = caller.seat_to_speak(app, &room).await?;
    let submitted = send::admitted(app, caller.person(), &seat, request)
        .and_then(|draft| app.appender.submit(room, draft));
    let outcome = send::outcome(submitted).await;
    send::count(&app.metrics, &outcome, arrived);
    let Appended { message, duplicate } = outcome?;
    let sent = Sent::new(&message, duplicate);
    Ok(match duplicate {
        false => made(sent),
        true if is_same(&message, &wish) => done(sent),
        true => taken(),
    })
}

pub(in crate::http) async fn edit(call: Call) -> Answer {
    append(&call, ChangeRequest::edit).await
}

pub(in crate::http) async fn delete(call: Call) -> Answer {
    append(&call, ChangeRequest::delete).await
}

pub(in crate::http) async fn react(call: Call) -> Answer {
    append(&call, |wish| ChangeRequest::react(wish, true)).await
}

pub(in crate::http) async fn take_back(call: Call) -> Answer {
    append(&call, |wish| ChangeRequest::react(wish, false)).await
}

async fn append(
    call: &Call,
    read: impl FnOnce(Vec<Value>) -> Result<ChangeRequest, Refusal>,
) -> Answer {
    let arrived = clock::monotonic();
    let (app, caller) = (call.app(), call.caller().await?);
    let request = read(arguments(call.wish_once()?))?;
    let seat = caller.seat(app, &request.room).await?;
    let outcome: Outcome = change::append(app, caller.person(), &seat, request).await;
    send::count(&app.metrics, &outcome, arrived);
    let Appended { message, duplicate } = outcome?;
    Ok(done(Sent::new(&message, duplicate)))
}

/// Whether what is stored under a key is what came with it again. Once it was edited or deleted, nobody can tell.
fn is_same(message: &Message, wish: &Wish) -> bool {
    let Entry::Message {
        message_type,
        content,
        reply_to,
    } = &message.entry
    else {
        return false;
    };
    let marks = &message.marks;
    let is_changed = marks.edited_at_ms.is_some() || marks.deleted_at_ms.is_some();
    let wished_type = wish.message_type.as_deref().unwrap_or(TYPE_DEFAULT);
    is_changed
        || (*content == wish.content && message_type == wished_type && *reply_to == wish.reply_to)
}

/// As the IETF's draft of `Idempotency-Key` wants it.
fn taken() -> Response {
    let why =
        "another message was sent with this Idempotency-Key; it is stored, and this one is not";
    let refusal = Refusal::new(Code::Conflict, why);
    refused(StatusCode::UNPROCESSABLE_ENTITY, &refusal)
}
