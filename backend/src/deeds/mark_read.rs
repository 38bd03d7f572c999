//! Marking up to where somebody has read. It only moves forward; small rooms are told.

use super::{Person, Seat};
use crate::chat::membership::Access;
use crate::chat::message::Place;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::protocol::{self, MarkRequest, Marked, ReadReceipt};
use crate::socket::{App, page, readable};
use crate::store::Page;

pub(crate) async fn mark(
    app: &App,
    person: Person<'_>,
    seat: &Seat,
    request: &MarkRequest,
) -> Result<Marked, Refusal> {
    let room = &request.room;
    if !seat.is_inside() {
        return Err(Refusal::new(Code::NotMember, "join the room first"));
    }
    person.take_token(app)?;
    // The newest entry up to there: nobody reads what is not there yet.
    let before = request.seq.saturating_add(1);
    let upto = Page::Before { before, limit: 1 };
    let mut newest = page(app, room, upto).await?;
    if newest.last_seq < request.seq {
        // Who was answered by another instance may be ahead of what this one has heard.
        newest = readable(room, app.reader.page(room, upto).await)?;
    }
    let wanted = newest
        .messages
        .last()
        .map(|message| message.place())
        .unwrap_or_default();
    let standing = app.rooms.standing_to_join(room, &person.sender.id).await?;
    let known = standing.member.read;
    let read = if wanted.seq > known.seq {
        wanted
    } else {
        known
    };
    if read != known {
        app.rooms.marks.put(room, &person.sender.id, read);
        tell(app, &person.sender.id, room, standing.room.access, read).await;
    }
    Ok(Marked {
        last_read_seq: read.seq,
        unread: newest.last_n.saturating_sub(read.n),
    })
}

/// In public rooms nobody is told: they have no list of those who would be.
async fn tell(app: &App, user_id: &str, room: &RoomId, access: Access, read: Place) {
    if access == Access::Public || !app.rooms.is_small(room).await {
        return;
    }
    let receipt = ReadReceipt {
        room_id: room.as_str(),
        user_id,
        last_read_seq: read.seq,
    };
    app.members
        .tell_room(room, protocol::READ_RECEIPT, &receipt)
        .await;
}
