//! `GET /api/search`: messages by their words, in the rooms that whoever asks may read.

use std::collections::HashMap;

use axum::Extension;
use axum::response::{IntoResponse as _, Json, Response};

use super::call::Call;
use super::peer::{Peer, client_address};
use super::rooms::messages::may_read;
use crate::chat::message::Message;
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::clock;
use crate::protocol::{Done, FoundBody, SearchRequest};
use crate::socket::App;
use crate::store::{Search, SearchMark, StoreError};

/// Questions to the store for one answer. When most of what is found is not for whoever asks, the answer is short and says where to go on.
const ROUNDS_MAX: usize = 5;

pub(super) async fn search(peer: Option<Extension<Peer>>, call: Call) -> Result<Response, Refusal> {
    let (site, app) = (&call.site, call.app());
    let client = client_address(peer, &call.headers, &site.trusted_proxies);
    let request = SearchRequest {
        q: call.asked("q"),
        room_id: call.asked("roomId"),
        limit: call.asked_number("limit")?,
        before: call.asked("before"),
    };
    let search = request.read(&app.limits)?;
    let user_id = call.reader_id().await?;
    let user = Some(user_id.as_str()).filter(|id| !id.is_empty());
    let begun = site.searches().begin(user, client, clock::monotonic());
    begun.map_err(|wait| {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Refusal::new(Code::RateLimited, "too many searches").retry_after_ms(wait_ms)
    })?;
    if let Some(room) = &search.room {
        may_read(app, room, &user_id).await?;
    }
    let (messages, next) = readable(app, search, &user_id).await?;
    Ok(Json(Done::new(FoundBody::new(&messages, next))).into_response())
}

/// What is found, without what is not for this user.
async fn readable(
    app: &App,
    mut search: Search,
    user_id: &str,
) -> Result<(Vec<Message>, Option<SearchMark>), Refusal> {
    let mut messages = Vec::new();
    let mut rooms: HashMap<RoomId, bool> = HashMap::new();
    let limit = usize::try_from(search.limit).unwrap_or(usize::MAX);
    for _ in 0..ROUNDS_MAX {
        // Never more than fit: what is left out would not be found again.
        search.limit = u32::try_from(limit - messages.len()).unwrap_or(u32::MAX);
        let found = app.store.search(search.clone()).await;
        let found = found.map_err(|error| unasked(&error))?;
        for message in found.messages {
            let is_readable = match rooms.get(&message.room) {
                Some(is_readable) => *is_readable,
                None => {
                    let is_readable = is_readable(app, &message.room, user_id).await?;
                    rooms.insert(message.room.clone(), is_readable);
                    is_readable
                }
            };
            if is_readable {
                messages.push(message);
            }
        }
        search.before = found.next;
        if found.next.is_none() || messages.len() >= limit {
            break;
        }
    }
    Ok((messages, search.before))
}

/// A room that cannot be judged is an error, and not one without hits.
async fn is_readable(app: &App, room: &RoomId, user_id: &str) -> Result<bool, Refusal> {
    match may_read(app, room, user_id).await {
        Ok(()) => Ok(true),
        Err(refusal) if matches!(refusal.code, Code::Unavailable | Code::Internal) => Err(refusal),
        Err(_) => Ok(false),
    }
}

fn unasked(error: &StoreError) -> Refusal {
    tracing::warn!(%error, "messages not searched");
    Refusal::from(error)
}
