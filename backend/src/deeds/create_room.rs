//! Making a room with an owner.

use uuid::Uuid;

use super::Person;
use crate::chat::membership::{MemberChange, Role, Room};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::chat::standing::Standing;
use crate::clock;
use crate::protocol::CreateRequest;
use crate::rooms;
use crate::socket::App;

/// Sent again, it finds what it made, and finishes what was begun.
pub(crate) async fn make(
    app: &App,
    person: Person<'_>,
    request: CreateRequest,
) -> Result<Standing, Refusal> {
    person.take_token(app)?;
    let now_ms = clock::unix_ms();
    let owner = person.sender;
    let id = match request.room {
        Some(id) => id,
        None => RoomId::parse(&Uuid::now_v7().to_string())?,
    };
    if rooms::is_direct(&id) {
        return Err(Refusal::bad_request("this roomId is kept for direct rooms"));
    }
    let wanted = Room {
        id,
        name: request.name,
        access: request.access,
        created_by: Some(owner.id.clone()),
        created_at_ms: now_ms,
        rules: request.rules,
        version: 0,
    };
    let (room, _) = app.rooms.room_or_new(&wanted).await?;
    if room.created_by != wanted.created_by || room.access != wanted.access {
        return Err(Refusal::new(
            Code::Conflict,
            "there is another room with this roomId",
        ));
    }
    let before = app.rooms.standing(&room.id, &owner.id).await?;
    if before.member.joined_at_ms != 0 && !before.member.is_member {
        return Err(Refusal::new(Code::Conflict, "you have left this room"));
    }
    let join = MemberChange::Join {
        name: owner.name.clone(),
        role: Role::Owner,
        at_ms: now_ms,
    };
    let member = app.rooms.change_member(&room.id, &owner.id, &join).await?;
    Ok(Standing { room, member })
}
