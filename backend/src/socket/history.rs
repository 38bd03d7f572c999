//! `getHistory`: a page of a room's log, for members.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::reply::Reply;
use super::{App, join};
use crate::chat::limits::{Limits, page_limit};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::delivery::Delivery;
use crate::protocol::{Cursor, HistoryBody, HistoryRequest};
use crate::reader::Reader;
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
    let result = match wanted(&request.cursor, &app.limits) {
        // What is newer comes to a member by itself.
        Ok(wanted) => readable(&room, wanted.read(&*app.delivery, &room).await),
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(history) => reply.done(HistoryBody::from(&*history)).await,
        Err(refusal) => reply.refuse(&refusal, (Some(room.as_str()), None)).await,
    }
}

/// What a cursor means: a page, or the two that meet at a seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    One(Page),
    Around { before: Page, after: Page },
}

/// # Errors
/// `BAD_REQUEST` when it asks for more than a page.
pub(crate) fn wanted(cursor: &Cursor, limits: &Limits) -> Result<Wanted, Refusal> {
    let limit = page_limit(cursor.limit, limits)?;
    Ok(match (cursor.before, cursor.after, cursor.around) {
        // Both make a window; its end is asked for first.
        (Some(before), _, _) => Wanted::One(Page::Before { before, limit }),
        (None, Some(after), _) => Wanted::One(Page::After { after, limit }),
        (None, None, Some(around)) if limit > 1 => Wanted::Around {
            before: Page::Before {
                before: around,
                limit: limit / 2,
            },
            after: from(around, limit - limit / 2),
        },
        (None, None, Some(around)) => Wanted::One(from(around, limit)),
        (None, None, None) => Wanted::One(Page::Latest { limit }),
    })
}

/// The page that begins with this seq.
fn from(seq: u64, limit: u32) -> Page {
    let after = seq.saturating_sub(1);
    Page::After { after, limit }
}

/// Who can be asked for pages: the store, or memory before it.
#[async_trait]
pub(crate) trait Pages: Sync {
    async fn one(&self, room: &RoomId, page: Page) -> Result<Arc<History>, StoreError>;
}

#[async_trait]
impl Pages for Reader {
    async fn one(&self, room: &RoomId, page: Page) -> Result<Arc<History>, StoreError> {
        self.page(room, page).await
    }
}

#[async_trait]
impl Pages for Delivery {
    async fn one(&self, room: &RoomId, page: Page) -> Result<Arc<History>, StoreError> {
        self.page(room, page).await
    }
}

impl Wanted {
    pub(crate) async fn read(
        self,
        pages: &dyn Pages,
        room: &RoomId,
    ) -> Result<Arc<History>, StoreError> {
        let (before, after) = match self {
            Self::One(page) => return pages.one(room, page).await,
            Self::Around { before, after } => (
                pages.one(room, before).await?,
                pages.one(room, after).await?,
            ),
        };
        let mut whole = History::clone(&after);
        whole.messages.splice(0..0, before.messages.iter().cloned());
        whole.has_more |= before.has_more;
        Ok(Arc::new(whole))
    }
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
pub(crate) async fn page(app: &App, room: &RoomId, page: Page) -> Result<Arc<History>, Refusal> {
    readable(room, app.delivery.page(room, page).await)
}
