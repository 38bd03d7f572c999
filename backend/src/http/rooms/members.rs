//! `/api/rooms/{id}/members…`: who is on record in a room, and as what.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::{Answer, arguments, done, page_limit};
use crate::chat::refusal::{Code, Refusal};
use crate::deeds::{invite_user, moderate};
use crate::http::call::Call;
use crate::http::refused;
use crate::protocol::{Event, MemberAnswer, MemberBody, MemberList, MemberRequest};

pub(in crate::http) async fn list(call: Call) -> Answer {
    let room = call.reader_in_room().await?.room.id;
    let limit = page_limit(call.asked_number("limit")?)?;
    let rooms = &call.app().rooms;
    let (members, count) = tokio::join!(
        rooms.members(&room, call.asked("after"), limit),
        rooms.member_count(&room)
    );
    let (members, count) = (members?, count?);
    let is_full = u32::try_from(members.len()).is_ok_and(|count| count >= limit);
    let next = members.last().filter(|_| is_full);
    Ok(done(MemberList {
        count,
        next: next.map(|member| member.user_id.as_str()),
        members: members.iter().map(MemberBody::from).collect(),
    }))
}

/// Also of somebody who is no member and whom the room remembers, such as for a ban: for moderators and themselves.
pub(in crate::http) async fn get(call: Call) -> Answer {
    let asker = call.reader_in_room().await?;
    let user_id = call.named("userId");
    let rooms = &call.app().rooms;
    let member = rooms.standing(&asker.room.id, user_id).await?.member;
    let may_see = asker.is_moderator() || asker.member.user_id == user_id;
    if member.is_member || (may_see && member.is_on_record()) {
        let member = MemberBody::from(&member);
        return Ok(done(MemberAnswer { member }));
    }
    let refusal = Refusal::new(Code::NotMember, "they are not a member of this room");
    Ok(refused(StatusCode::NOT_FOUND, &refusal))
}

/// One thing at a time: a role (which makes a member of somebody), a mute, or a ban.
pub(in crate::http) async fn put(call: Call) -> Answer {
    let (app, caller) = (call.app(), call.caller().await?);
    let mut fields = call.wish()?;
    let event = event(&mut fields)?;
    let request = MemberRequest::read(arguments(fields))?;
    let member = match event {
        Event::InviteUser => invite_user::invite(app, caller.person(), &request).await?,
        event => moderate::moderate(app, caller.person(), event, &request).await?,
    };
    let member = MemberBody::from(&member);
    Ok(done(MemberAnswer { member }))
}

pub(in crate::http) async fn remove(call: Call) -> Answer {
    let caller = call.caller().await?;
    let request = MemberRequest::read(arguments(call.wish()?))?;
    let kick = Event::KickUser;
    let member = moderate::moderate(call.app(), caller.person(), kick, &request).await?;
    let member = MemberBody::from(&member);
    Ok(done(MemberAnswer { member }))
}

/// Which event means the same. `muted: false` and `banned: false` are a duration of nothing.
fn event(fields: &mut Map<String, Value>) -> Result<Event, Refusal> {
    let is_set = |key: &str| fields.get(key).is_some_and(|value| !value.is_null());
    let (key, event) = match (is_set("role"), is_set("muted"), is_set("banned")) {
        (_, false, false) => return Ok(Event::InviteUser),
        (false, true, false) => ("muted", Event::MuteUser),
        (false, false, true) => ("banned", Event::BanUser),
        _ => {
            return Err(Refusal::bad_request(
                "role, muted and banned are changed one at a time",
            ));
        }
    };
    match fields.get(key) {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => {
            fields.insert("durationMs".to_owned(), Value::from(0));
        }
        _ => {
            let message = format!("{key} is neither true nor false");
            return Err(Refusal::bad_request(message));
        }
    }
    Ok(event)
}
