//! A search as clients ask for it over HTTP, and what it has found.

use serde::{Deserialize, Serialize};

use super::MessageBody;
use crate::chat::limits::{Limits, page_limit};
use crate::chat::message::Message;
use crate::chat::refusal::Refusal;
use crate::chat::room::RoomId;
use crate::chat::search::Query;
use crate::store::{Search, SearchMark};

/// Longest question, in bytes.
const QUESTION_BYTES_MAX: usize = 512;

/// The query of `GET /api/search`. Texts, so that a wrong one is answered in our words.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchRequest {
    q: Option<String>,
    room_id: Option<String>,
    limit: Option<String>,
    /// From the answer before.
    before: Option<String>,
}

impl SearchRequest {
    /// # Errors
    /// `BAD_REQUEST` with what would be right.
    pub fn read(&self, limits: &Limits) -> Result<Search, Refusal> {
        let question = self.q.as_deref().unwrap_or_default();
        if question.len() > QUESTION_BYTES_MAX {
            let why = format!("q is longer than {QUESTION_BYTES_MAX} bytes");
            return Err(Refusal::bad_request(why));
        }
        let query = Query::parse(question).map_err(|why| Refusal::bad_request(why.to_string()))?;
        let limit = self.limit.as_deref().map(str::parse).transpose();
        let limit =
            limit.map_err(|_| Refusal::bad_request("limit is not a whole number from 0"))?;
        let before = self.before.as_deref().map(read_mark).transpose()?;
        Ok(Search {
            query,
            room: self.room_id.as_deref().map(RoomId::parse).transpose()?,
            before,
            limit: page_limit(limit, limits)?,
        })
    }
}

/// Whatever somebody writes there is a place or none; it opens nothing.
fn read_mark(text: &str) -> Result<SearchMark, Refusal> {
    let mark = u128::from_str_radix(text, 16).map(SearchMark);
    mark.map_err(|_| Refusal::bad_request("before is not from an answer of /api/search"))
}

/// The answer: newest first.
#[derive(Debug, Serialize)]
pub struct FoundBody<'a> {
    messages: Vec<MessageBody<'a>>,
    /// What to ask with for more; there may be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

impl<'a> FoundBody<'a> {
    #[must_use]
    pub fn new(messages: &'a [Message], next: Option<SearchMark>) -> Self {
        Self {
            messages: messages.iter().map(MessageBody::from).collect(),
            before: next.map(|SearchMark(mark)| format!("{mark:x}")),
        }
    }
}
