//! `updateRoom`: another name, other rules. Everybody in the room is told.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::news::{self, Word};
use super::reply::Reply;
use crate::chat::refusal::Refusal;
use crate::chat::standing::Standing;
use crate::clock;
use crate::protocol::{self, RoomAnswer, RoomBody, UpdateRequest};

pub(super) async fn update(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let updated = match UpdateRequest::read(arguments) {
        Ok(request) => apply(app, client, &request).await,
        Err(refusal) => Err(refusal),
    };
    match updated {
        Ok(standing) => {
            let room = RoomBody::from(&standing);
            reply.done(RoomAnswer { room }).await;
        }
        Err(refusal) => reply.refuse(&refusal, (None, None)).await,
    }
}

async fn apply(app: &App, client: &Client, request: &UpdateRequest) -> Result<Standing, Refusal> {
    client.take_token(app)?;
    let mut standing = app.rooms.standing(&request.room, &client.sender.id).await?;
    standing.may_enter(clock::unix_ms())?;
    standing.may_rule()?;
    standing.room = request.applied_to(&standing.room)?;
    app.rooms.update_room(&standing.room).await?;
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
