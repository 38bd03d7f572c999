//! `POST /api/direct`: the room between the caller and somebody.

use super::{Answer, arguments, done};
use crate::deeds::open_direct;
use crate::http::call::Call;
use crate::protocol::{DirectRequest, RoomAnswer, RoomBody};

pub(in crate::http) async fn open(call: Call) -> Answer {
    let caller = call.caller().await?;
    let request = DirectRequest::read(arguments(call.wish()?))?;
    let standing = open_direct::make(call.app(), caller.person(), &request.user_id).await?;
    let room = RoomBody::from(&standing);
    Ok(done(RoomAnswer { room }))
}
