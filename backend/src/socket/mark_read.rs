//! `markRead`: up to where somebody has read. It only moves forward; small rooms are told.

use serde_json::Value;

use super::connect::Client;
use super::reply::Reply;
use super::{App, history, join};
use crate::chat::membership::Access;
use crate::chat::message::Place;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::protocol::{self, MarkRequest, Marked, ReadReceipt};
use crate::store::Page;

pub(super) async fn mark(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let request = match MarkRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    match act(app, client, &reply, &request).await {
        Ok(marked) => reply.done(marked).await,
        Err(refusal) => {
            let about = (Some(request.room.as_str()), None);
            reply.refuse(&refusal, about).await;
        }
    }
}

async fn act(
    app: &App,
    client: &Client,
    reply: &Reply,
    request: &MarkRequest,
) -> Result<Marked, Refusal> {
    let room = &request.room;
    if !join::is_member(&reply.socket, room) {
        return Err(Refusal::new(Code::NotMember, "join the room first"));
    }
    client.take_token(app)?;
    // The newest entry up to there: nobody reads what is not there yet.
    let before = request.seq.saturating_add(1);
    let page = history::page(app, room, Page::Before { before, limit: 1 }).await?;
    let wanted = page
        .messages
        .last()
        .map(|message| message.place())
        .unwrap_or_default();
    let standing = app.rooms.standing_to_join(room, &client.sender.id).await?;
    let known = standing.member.read;
    let read = if wanted.seq > known.seq {
        wanted
    } else {
        known
    };
    if read != known {
        app.rooms.marks.put(room, &client.sender.id, read);
        tell(app, client, room, standing.room.access, read).await;
    }
    Ok(Marked {
        last_read_seq: read.seq,
        unread: page.last_n.saturating_sub(read.n),
    })
}

/// In public rooms nobody is told: they have no list of those who would be.
async fn tell(app: &App, client: &Client, room: &RoomId, access: Access, read: Place) {
    if access == Access::Public || !app.rooms.is_small(room).await {
        return;
    }
    let receipt = ReadReceipt {
        room_id: room.as_str(),
        user_id: &client.sender.id,
        last_read_seq: read.seq,
    };
    app.members
        .tell_room(room, protocol::READ_RECEIPT, &receipt)
        .await;
}
