//! `getPresence`: who is in a room, page by page, for members.

use serde_json::Value;

use super::reply::Reply;
use super::{App, join};
use crate::chat::refusal::{Code, Refusal};
use crate::protocol::PresenceRequest;

pub(super) async fn get(app: &App, arguments: Vec<Value>, reply: Reply) {
    let request = match PresenceRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    let room = request.room;
    if !join::is_member(&reply.socket, &room) {
        let refusal = Refusal::new(Code::NotMember, "join the room to see who is there");
        return reply.refuse(&refusal, (Some(room.as_str()), None)).await;
    }
    let cursor = request.cursor.as_deref();
    reply.done(app.present(&room, cursor).await).await;
}
