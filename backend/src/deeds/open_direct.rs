//! Opening the room between two users, the same whoever opens it and however often.

use super::Person;
use crate::chat::membership::{Access, MemberChange, Role, Room, Rules};
use crate::chat::refusal::Refusal;
use crate::chat::standing::Standing;
use crate::clock;
use crate::protocol::{self, RoomAnswer, RoomBody};
use crate::rooms;
use crate::socket::App;

pub(crate) async fn make(app: &App, person: Person<'_>, other: &str) -> Result<Standing, Refusal> {
    person.take_token(app)?;
    let opener = person.sender;
    let id = rooms::direct_room(&opener.id, other)?;
    let wanted = Room {
        name: id.as_str().to_owned(),
        id,
        access: Access::Direct,
        created_by: Some(opener.id.clone()),
        created_at_ms: clock::unix_ms(),
        rules: Rules::default(),
        version: 0,
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
        let name = name_of(app, other).await;
        app.rooms
            .change_member(&room.id, other, &join(&name))
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

/// What somebody registered as, else their id: until they open the room themselves, nobody knows better.
async fn name_of(app: &App, user_id: &str) -> String {
    match app.users.by_id(user_id).await {
        Ok(Some(user)) => user.display_name,
        Ok(None) => user_id.to_owned(),
        Err(error) => {
            tracing::debug!(%error, "a name is not known");
            user_id.to_owned()
        }
    }
}
