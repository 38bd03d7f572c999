//! `openDirect`: the room between two users, the same whoever opens it and however often.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::reply::Reply;
use crate::chat::membership::{Access, MemberChange, Role, Room, Rules};
use crate::chat::refusal::Refusal;
use crate::chat::standing::Standing;
use crate::clock;
use crate::protocol::{self, DirectRequest, RoomAnswer, RoomBody};
use crate::rooms;

pub(super) async fn open(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let opened = match DirectRequest::read(arguments) {
        Ok(request) => make(app, client, &request.user_id).await,
        Err(refusal) => Err(refusal),
    };
    match opened {
        Ok(standing) => {
            let room = RoomBody::from(&standing);
            reply.done(RoomAnswer { room }).await;
        }
        Err(refusal) => reply.refuse(&refusal, (None, None)).await,
    }
}

async fn make(app: &App, client: &Client, other: &str) -> Result<Standing, Refusal> {
    client.take_token(app)?;
    let opener = &client.sender;
    let id = rooms::direct_room(&opener.id, other)?;
    let wanted = Room {
        name: id.as_str().to_owned(),
        id,
        access: Access::Direct,
        created_by: Some(opener.id.clone()),
        created_at_ms: clock::unix_ms(),
        rules: Rules::default(),
    };
    let (room, is_new) = app.rooms.room_or_new(&wanted).await?;
    let join = |name: &str| MemberChange::Join {
        name: name.to_owned(),
        role: Role::Member,
        at_ms: wanted.created_at_ms,
    };
    // Also when it is there: whoever made it may have died before this.
    if app
        .rooms
        .standing(&room.id, other)
        .await?
        .member
        .name
        .is_empty()
        && other != opener.id
    {
        app.rooms
            .change_member(&room.id, other, &join(other))
            .await?;
    }
    let member = app
        .rooms
        .change_member(&room.id, &opener.id, &join(&opener.name))
        .await?;
    if is_new {
        let answer = RoomAnswer {
            room: RoomBody::from(&room),
        };
        app.members
            .tell_user(other, protocol::ROOM_UPDATED, &answer)
            .await;
    }
    Ok(Standing { room, member })
}
