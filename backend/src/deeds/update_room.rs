//! Giving a room another name, other rules. Everybody in it is told.

use super::Person;
use crate::chat::refusal::Refusal;
use crate::chat::standing::Standing;
use crate::clock;
use crate::protocol::{self, RoomAnswer, RoomBody, UpdateRequest};
use crate::socket::App;
use crate::socket::news::{self, Word};

pub(crate) async fn apply(
    app: &App,
    person: Person<'_>,
    request: &UpdateRequest,
) -> Result<Standing, Refusal> {
    person.take_token(app)?;
    let mut standing = app.rooms.standing(&request.room, &person.sender.id).await?;
    standing.may_enter(clock::unix_ms())?;
    standing.may_rule()?;
    let wanted = request.applied_to(&standing.room)?;
    standing.room = app.rooms.update_room(&wanted).await?;
    news::tell(app, Word::of_room(&standing.room.id)).await;
    // Without a role: each has their own.
    let answer = RoomAnswer {
        room: RoomBody::from(&standing.room),
    };
    app.members
        .tell_room(&standing.room.id, protocol::ROOM_UPDATED, &answer)
        .await;
    Ok(standing)
}
