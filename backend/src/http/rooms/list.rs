//! `GET /api/rooms`: those that somebody is a member of, or with `?public=true` those that are open to everybody. `POST` makes one.

use futures_util::StreamExt as _;
use futures_util::stream;

use super::{Answer, arguments, done, made, page_limit};
use crate::chat::membership::{Access, Member, Room};
use crate::chat::refusal::Refusal;
use crate::chat::room::RoomId;
use crate::chat::standing::Standing;
use crate::deeds::create_room;
use crate::http::call::Call;
use crate::protocol::{
    CreateRequest, ListedRoom, PartnerBody, RoomAnswer, RoomBody, RoomList, Unread,
};
use crate::socket::{App, readable};
use crate::store::Page;

/// Rooms whose logs are looked at, at the same time.
const ROOMS_AT_ONCE: usize = 8;

pub(in crate::http) async fn list(call: Call) -> Answer {
    let limit = page_limit(call.asked_number("limit")?)?;
    let after = call.asked("after").map(RoomId::parse).transpose()?;
    match call.asked("public") {
        None | Some("false") => own(&call, after.as_ref(), limit).await,
        Some("true") => public(&call, after.as_ref(), limit).await,
        Some(_) => Err(Refusal::bad_request("public is neither true nor false")),
    }
}

pub(in crate::http) async fn create(call: Call) -> Answer {
    let caller = call.caller().await?;
    let request = CreateRequest::read(arguments(call.wish()?))?;
    let standing = create_room::make(call.app(), caller.person(), request).await?;
    let room = RoomBody::from(&standing);
    Ok(made(RoomAnswer { room }))
}

async fn public(call: &Call, after: Option<&RoomId>, limit: u32) -> Answer {
    call.reader_id().await?;
    let named = call.asked("name").filter(|name| !name.is_empty());
    let rooms = call.app().rooms.public_rooms(named, after, limit).await?;
    let next = next(&rooms, limit, |room| &room.id);
    let rooms = rooms.iter().map(RoomBody::from).collect();
    Ok(done(RoomList { rooms, next }))
}

async fn own(call: &Call, after: Option<&RoomId>, limit: u32) -> Answer {
    let (app, caller) = (call.app(), call.caller().await?);
    let user_id = &caller.sender.id;
    let found = app.rooms.rooms_of(user_id, after, limit).await?;
    let next = next(&found, limit, |(room, _)| &room.id);
    let standings: Vec<Standing> = found
        .iter()
        .filter(|(room, _)| room.access != Access::Archived)
        .map(|(room, member)| Standing {
            room: room.clone(),
            member: app.rooms.with_mark(&room.id, member.clone()),
        })
        .collect();
    let looks: Vec<_> = standings.iter().map(|one| look(app, one)).collect();
    let looks: Vec<_> = stream::iter(looks).buffered(ROOMS_AT_ONCE).collect().await;
    let rooms = standings.iter().zip(looks);
    let rooms: Result<Vec<_>, Refusal> = rooms
        .map(|(standing, look)| Ok(ListedRoom::new(standing, look?)))
        .collect();
    Ok(done(RoomList {
        rooms: rooms?,
        next,
    }))
}

/// The id to go on behind, when there may be more.
fn next<'a, T>(found: &'a [T], limit: u32, id: impl Fn(&'a T) -> &'a RoomId) -> Option<&'a str> {
    let is_full = u32::try_from(found.len()).is_ok_and(|count| count >= limit);
    found.last().filter(|_| is_full).map(|one| id(one).as_str())
}

/// How far the room's log has come since somebody read it, and who is at the other end.
pub(super) async fn look(
    app: &App,
    standing: &Standing,
) -> Result<(Unread, Option<PartnerBody>), Refusal> {
    let room = &standing.room.id;
    let newest = app.reader.page(room, Page::Latest { limit: 1 }).await;
    let newest = readable(room, newest)?;
    let unread = Unread {
        last_seq: newest.last_seq,
        unread: standing.unread(newest.last_n),
    };
    Ok((
        unread,
        partner(app, &standing.room, &standing.member).await?,
    ))
}

/// The other one of a direct room. Who has never been here is called what they registered as.
async fn partner(app: &App, room: &Room, me: &Member) -> Result<Option<PartnerBody>, Refusal> {
    if room.access != Access::Direct {
        return Ok(None);
    }
    let two = app.rooms.members(&room.id, None, 2).await?;
    let other = two.into_iter().find(|one| one.user_id != me.user_id);
    Ok(other.map(|other| PartnerBody {
        id: other.user_id,
        name: other.name,
    }))
}
