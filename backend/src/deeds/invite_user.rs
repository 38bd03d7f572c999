//! Making somebody a member, or giving a member another role.

use super::Person;
use super::announce::{Happening, announce};
use crate::chat::membership::{Member, MemberChange, Role};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::standing::Standing;
use crate::clock;
use crate::protocol::{self, MemberRequest, RoomAnswer, RoomBody};
use crate::socket::App;
use crate::socket::news::{self, Word};

pub(crate) async fn invite(
    app: &App,
    person: Person<'_>,
    request: &MemberRequest,
) -> Result<Member, Refusal> {
    person.take_token(app)?;
    let now_ms = clock::unix_ms();
    let asker = app.rooms.standing(&request.room, &person.sender.id).await?;
    asker.may_invite(now_ms)?;
    let target = app.rooms.standing(&request.room, &request.user_id).await?;
    let change = change(&asker, &target, request, now_ms)?;
    if matches!(change, MemberChange::Join { .. }) {
        check_space(app, &asker).await?;
    }
    let room = &asker.room;
    let member = app
        .rooms
        .change_member(&room.id, &request.user_id, &change)
        .await?;
    news::tell(app, Word::of_member(&room.id, &request.user_id)).await;
    let standing = Standing {
        room: room.clone(),
        member: member.clone(),
    };
    let answer = RoomAnswer {
        room: RoomBody::from(&standing),
    };
    app.members
        .tell_user(&request.user_id, protocol::ROOM_UPDATED, &answer)
        .await;
    if !target.member.is_member {
        let happening = Happening {
            event: "memberJoined",
            content: format!("{} added {}", person.sender.name, member.name),
            subject: Some(&request.user_id),
        };
        announce(app, room, person.sender, happening).await;
    }
    Ok(member)
}

/// What an invitation changes. A role is given by those who have a higher one, and an owner's by owners.
fn change(
    asker: &Standing,
    target: &Standing,
    request: &MemberRequest,
    now_ms: i64,
) -> Result<MemberChange, Refusal> {
    if target
        .member
        .banned_until_ms
        .is_some_and(|until| until > now_ms)
    {
        return Err(Refusal::new(
            Code::Conflict,
            "they are banned from this room; lift the ban first",
        ));
    }
    let role = request.role.unwrap_or(Role::Member);
    let may_give = role == Role::Member || asker.role() > role || asker.role() == Role::Owner;
    if !may_give {
        return Err(Refusal::new(
            Code::Forbidden,
            "only those above a role may give it",
        ));
    }
    if !target.member.is_member {
        let name = request.name.clone();
        return Ok(MemberChange::Join {
            name: name.unwrap_or_else(|| request.user_id.clone()),
            role,
            at_ms: now_ms,
        });
    }
    if request.role.is_some() && role != target.role() {
        asker.may_moderate(target.role())?;
    }
    Ok(MemberChange::Role(request.role.unwrap_or(target.role())))
}

async fn check_space(app: &App, asker: &Standing) -> Result<(), Refusal> {
    let members_max = u64::from(asker.room.rules.members_max);
    if members_max > 0 && app.rooms.member_count(&asker.room.id).await? >= members_max {
        return Err(Refusal::new(Code::Conflict, "this room is full"));
    }
    Ok(())
}
