//! `getHistory`: a page of a room's log, for members.

use serde_json::Value;

use super::reply::Reply;
use super::{App, join};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::protocol::{self, HistoryBody, HistoryRequest};
use crate::store::{History, Page, StoreError};

pub(super) async fn get(app: &App, arguments: Vec<Value>, reply: Reply) {
    let request = match HistoryRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)),
    };
    let room = request.room;
    if !join::is_member(&reply.socket, &room) {
        let refusal = Refusal::new(Code::NotMember, "join the room before reading it");
        return reply.refuse(&refusal, (Some(room.as_str()), None));
    }
    let limits = &app.limits;
    let limit = request
        .limit
        .unwrap_or(limits.join_messages_default)
        .min(limits.page_messages_max);
    match page(
        app,
        &room,
        protocol::page(request.before, request.after, limit),
    )
    .await
    {
        Ok(history) => reply.done(HistoryBody::from(&history)),
        Err(refusal) => reply.refuse(&refusal, (Some(room.as_str()), None)),
    }
}

/// One page, within the time a client should wait.
pub(crate) async fn page(app: &App, room: &RoomId, page: Page) -> Result<History, Refusal> {
    let asked = tokio::time::timeout(app.read_timeout, app.store.page(room, page)).await;
    let error = match asked {
        Ok(Ok(history)) => return Ok(history),
        Ok(Err(error)) => error,
        Err(_) => StoreError::Unavailable("timed out".to_owned()),
    };
    tracing::warn!(%room, %error, "history not read");
    Err(match error {
        StoreError::Unavailable(_) => Refusal::store_unavailable(),
        StoreError::Broken(_) => {
            Refusal::new(Code::Internal, "the message store answered nonsense")
        }
    })
}
