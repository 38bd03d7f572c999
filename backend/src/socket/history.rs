//! `getHistory`: a page of a room's log, for members.

use std::sync::Arc;

use serde_json::Value;

use super::reply::Reply;
use super::{App, join};
use crate::chat::limits::page_limit;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::protocol::{Cursor, HistoryBody, HistoryRequest};
use crate::store::{History, Page, StoreError};

pub(super) async fn get(app: &App, arguments: Vec<Value>, reply: Reply) {
    let request = match HistoryRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    let room = request.room;
    if !join::is_member(&reply.socket, &room) {
        let refusal = Refusal::new(Code::NotMember, "join the room before reading it");
        return reply.refuse(&refusal, (Some(room.as_str()), None)).await;
    }
    let result = match wanted(&request.cursor, app) {
        Ok(wanted) => page(app, &room, wanted).await,
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(history) => reply.done(HistoryBody::from(&*history)).await,
        Err(refusal) => reply.refuse(&refusal, (Some(room.as_str()), None)).await,
    }
}

/// The page that a cursor means.
///
/// # Errors
/// `BAD_REQUEST` when it asks for more than a page.
pub(crate) fn wanted(cursor: &Cursor, app: &App) -> Result<Page, Refusal> {
    let limit = page_limit(cursor.limit, &app.limits)?;
    Ok(match (cursor.before, cursor.after) {
        // Both make a window; its end is asked for first.
        (Some(before), _) => Page::Before { before, limit },
        (None, Some(after)) => Page::After { after, limit },
        (None, None) => Page::Latest { limit },
    })
}

/// What was read, or the refusal that goes with why not.
pub(crate) fn readable(
    room: &RoomId,
    read: Result<Arc<History>, StoreError>,
) -> Result<Arc<History>, Refusal> {
    read.map_err(|error| {
        tracing::warn!(%room, %error, "history not read");
        Refusal::from(&error)
    })
}

/// One page for a member. What is newer comes to it by itself.
pub(super) async fn page(app: &App, room: &RoomId, page: Page) -> Result<Arc<History>, Refusal> {
    readable(room, app.delivery.page(room, page).await)
}
