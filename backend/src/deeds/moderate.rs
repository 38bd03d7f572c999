//! Removing, banning, muting: in effect on every instance when it is answered here, and in a moment elsewhere.

use super::Person;
use super::announce::{Happening, announce};
use crate::chat::membership::{Member, MemberChange, Room};
use crate::chat::message::Sender;
use crate::chat::refusal::Refusal;
use crate::chat::standing::Standing;
use crate::clock;
use crate::protocol::{self, Event, MemberRequest, RoomAnswer, RoomBody};
use crate::socket::App;
use crate::socket::news::{self, Word};

/// `event` says which of the three.
pub(crate) async fn moderate(
    app: &App,
    person: Person<'_>,
    event: Event,
    request: &MemberRequest,
) -> Result<Member, Refusal> {
    person.take_token(app)?;
    let now_ms = clock::unix_ms();
    let asker = app.rooms.standing(&request.room, &person.sender.id).await?;
    asker.may_enter(now_ms)?;
    let target = app.rooms.standing(&request.room, &request.user_id).await?;
    // Who kicks themselves quits.
    let quits = event == Event::KickUser && request.user_id == person.sender.id;
    if !quits {
        asker.may_moderate(target.role())?;
    }
    let until_ms = request.until_ms(now_ms);
    let (change, leaves) = match event {
        Event::BanUser => (MemberChange::Ban(until_ms), until_ms.is_some()),
        Event::MuteUser => (MemberChange::Mute(until_ms), false),
        _ => (MemberChange::Leave, true),
    };
    let room = &request.room;
    let member = app
        .rooms
        .change_member(room, &request.user_id, &change)
        .await?;
    let word = Word {
        leaves,
        reason: request.reason.clone(),
        until_ms: until_ms.filter(|_| event == Event::BanUser),
        ..Word::of_member(room, &request.user_id)
    };
    news::tell(app, word).await;
    if event == Event::MuteUser {
        tell_of_mute(app, &asker.room, &member).await;
    }
    if let Some(happening) = happening(event, leaves, person.sender, &target) {
        announce(app, &asker.room, person.sender, happening).await;
    }
    Ok(member)
}

/// Who is muted learns it before they write in vain; nobody else does.
async fn tell_of_mute(app: &App, room: &Room, member: &Member) {
    let standing = Standing {
        room: room.clone(),
        member: member.clone(),
    };
    let answer = RoomAnswer {
        room: RoomBody::from(&standing),
    };
    app.members
        .tell_user(&member.user_id, protocol::ROOM_UPDATED, &answer)
        .await;
}

/// Mutes and what is lifted is between moderators and those concerned.
fn happening<'a>(
    event: Event,
    leaves: bool,
    by: &Sender,
    target: &'a Standing,
) -> Option<Happening<'a>> {
    if !leaves {
        return None;
    }
    let member = &target.member;
    let user_id = member.user_id.as_str();
    let name = if member.name.is_empty() {
        user_id
    } else {
        &member.name
    };
    let (event, content) = match event {
        Event::BanUser => ("memberBanned", format!("{} banned {name}", by.name)),
        _ if user_id == by.id => ("memberLeft", format!("{} left", by.name)),
        _ => ("memberKicked", format!("{} removed {name}", by.name)),
    };
    Some(Happening {
        event,
        content,
        subject: Some(user_id),
    })
}
