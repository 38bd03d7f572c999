//! `GET`, `PATCH` and `DELETE /api/rooms/{id}`: one room as it is, with other rules, and no more.

use super::{Answer, arguments, done, list};
use crate::deeds::{archive_room, update_room};
use crate::http::call::Call;
use crate::protocol::{ListedRoom, Nothing, OneRoom, RoomAnswer, RoomBody, UpdateRequest};

pub(in crate::http) async fn get(call: Call) -> Answer {
    let standing = call.reader_in_room().await?;
    let app = call.app();
    let (look, members) = tokio::join!(
        list::look(app, &standing),
        app.rooms.member_count(&standing.room.id)
    );
    let (room, member_count) = (ListedRoom::new(&standing, look?), members?);
    Ok(done(OneRoom { room, member_count }))
}

pub(in crate::http) async fn update(call: Call) -> Answer {
    let caller = call.caller().await?;
    let request = UpdateRequest::read(arguments(call.wish()?))?;
    let standing = update_room::apply(call.app(), caller.person(), &request).await?;
    let room = RoomBody::from(&standing);
    Ok(done(RoomAnswer { room }))
}

pub(in crate::http) async fn archive(call: Call) -> Answer {
    let caller = call.caller().await?;
    archive_room::archive(call.app(), caller.person(), &call.room()?).await?;
    Ok(done(Nothing {}))
}
