//! `GET /api/rooms/{id}/presence` and `POST /api/rooms/{id}/read`: who is there now, and up to where somebody has read.

use super::{Answer, arguments, done};
use crate::deeds::mark_read;
use crate::http::call::Call;
use crate::protocol::MarkRequest;

pub(in crate::http) async fn presence(call: Call) -> Answer {
    let room = call.reader_in_room().await?.room.id;
    let cursor = call.asked("cursor");
    Ok(done(call.app().present(&room, cursor).await))
}

pub(in crate::http) async fn read(call: Call) -> Answer {
    let (app, caller) = (call.app(), call.caller().await?);
    let request = MarkRequest::read(arguments(call.wish()?))?;
    let seat = caller.seat(app, &request.room).await?;
    Ok(done(
        mark_read::mark(app, caller.person(), &seat, &request).await?,
    ))
}
