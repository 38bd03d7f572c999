//! `GET /api/rooms/{id}/messages`: a page of a room's log. Rooms are public; whoever may join may read.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;

use super::auth::{Visitor, visitor};
use super::{Site, refused, status_of};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::protocol::{self, Done, HistoryBody};
use crate::socket::page;

/// Texts, so that a wrong one is answered in our words.
#[derive(Debug, Deserialize)]
pub(super) struct Cursor {
    before: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

pub(super) async fn messages(
    State(site): State<Site>,
    Path(room): Path<String>,
    Query(cursor): Query<Cursor>,
    headers: HeaderMap,
) -> Response {
    match read(&site, &room, &cursor, &headers).await {
        Ok(response) => response,
        Err(refusal) => refused(status_of(refusal.code), &refusal),
    }
}

async fn read(
    site: &Site,
    room: &str,
    cursor: &Cursor,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let app = &site.app;
    if !app.chat.guests && matches!(visitor(app, headers).await?, Visitor::Anonymous { .. }) {
        return Err(Refusal::new(Code::Unauthorized, "log in first"));
    }
    let room = RoomId::parse(room)?;
    let before = number("before", cursor.before.as_deref())?;
    let after = number("after", cursor.after.as_deref())?;
    let limit = match number("limit", cursor.limit.as_deref())? {
        Some(0) => return Err(Refusal::bad_request("limit is 0")),
        Some(limit) => u32::try_from(limit)
            .unwrap_or(u32::MAX)
            .min(app.limits.page_messages_max),
        None => app.limits.join_messages_default,
    };
    let history = page(app, &room, protocol::page(before, after, limit)).await?;
    Ok(Json(Done::new(HistoryBody::from(&history))).into_response())
}

fn number(field: &str, text: Option<&str>) -> Result<Option<u64>, Refusal> {
    text.map(|text| {
        text.parse()
            .map_err(|_| Refusal::bad_request(format!("{field} is not a whole number from 0")))
    })
    .transpose()
}
