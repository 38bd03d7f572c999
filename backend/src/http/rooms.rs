//! `GET /api/rooms/{id}/messages`: a page of a room's log, for whoever may join it.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;

use super::auth::{Visitor, visitor};
use super::{Site, refused, status_of};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::clock;
use crate::protocol::{Cursor, Done, HistoryBody};
use crate::socket::{App, readable, wanted};

/// Texts, so that a wrong one is answered in our words.
#[derive(Debug, Deserialize)]
pub(super) struct Texts {
    before: Option<String>,
    after: Option<String>,
    around: Option<String>,
    limit: Option<String>,
}

pub(super) async fn messages(
    State(site): State<Site>,
    Path(room): Path<String>,
    Query(texts): Query<Texts>,
    headers: HeaderMap,
) -> Response {
    match read(&site, &room, &texts, &headers).await {
        Ok(response) => response,
        Err(refusal) => refused(status_of(refusal.code), &refusal),
    }
}

async fn read(
    site: &Site,
    room: &str,
    texts: &Texts,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let app = &site.app;
    let room = RoomId::parse(room)?;
    may_read(app, &room, &reading_user(app, headers).await?).await?;
    let cursor = Cursor {
        before: number("before", texts.before.as_deref())?,
        after: number("after", texts.after.as_deref())?,
        around: number("around", texts.around.as_deref())?,
        limit: number("limit", texts.limit.as_deref())?,
    };
    // Not from memory: nobody tells this client of what is on its way here.
    let wanted = wanted(&cursor, &app.limits)?;
    let history = readable(&room, wanted.read(&app.reader, &room).await)?;
    Ok(Json(Done::new(HistoryBody::from(&*history))).into_response())
}

/// Who reads; empty for a visitor without a name.
pub(super) async fn reading_user(app: &App, headers: &HeaderMap) -> Result<String, Refusal> {
    match visitor(app, headers).await? {
        Visitor::User { sender, .. } => Ok(sender.id),
        Visitor::Anonymous { .. } if app.chat.guests => Ok(String::new()),
        Visitor::Anonymous { .. } => Err(Refusal::new(Code::Unauthorized, "log in first")),
    }
}

/// The one place that says what may be read over HTTP. A room that is not there is empty, and becomes public when somebody joins it.
pub(super) async fn may_read(app: &App, room: &RoomId, user_id: &str) -> Result<(), Refusal> {
    match app.rooms.room(room).await? {
        Some(_) => app
            .rooms
            .standing(room, user_id)
            .await?
            .may_enter(clock::unix_ms()),
        None => Ok(()),
    }
}

fn number(field: &str, text: Option<&str>) -> Result<Option<u64>, Refusal> {
    text.map(|text| {
        text.parse()
            .map_err(|_| Refusal::bad_request(format!("{field} is not a whole number from 0")))
    })
    .transpose()
}
