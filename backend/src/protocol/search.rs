//! A search as clients ask for it over HTTP, and what it has found.

use serde::Serialize;

use super::MessageBody;
use crate::chat::limits::{Limits, page_limit};
use crate::chat::message::Message;
use crate::chat::refusal::Refusal;
use crate::chat::room::RoomId;
use crate::chat::search::Query;
use crate::store::{Search, SearchMark};

/// Longest question, in bytes.
const QUESTION_BYTES_MAX: usize = 512;

/// The query of `GET /api/search`.
#[derive(Clone, Copy, Debug)]
pub struct SearchRequest<'a> {
    pub q: Option<&'a str>,
    pub room_id: Option<&'a str>,
    pub limit: Option<u64>,
    /// From the answer before.
    pub before: Option<&'a str>,
}

impl SearchRequest<'_> {
    /// # Errors
    /// `BAD_REQUEST` with what would be right.
    pub fn read(&self, limits: &Limits) -> Result<Search, Refusal> {
        let question = self.q.unwrap_or_default();
        if question.len() > QUESTION_BYTES_MAX {
            let why = format!("q is longer than {QUESTION_BYTES_MAX} bytes");
            return Err(Refusal::bad_request(why));
        }
        let query = Query::parse(question).map_err(|why| Refusal::bad_request(why.to_string()))?;
        let before = self.before.map(read_mark).transpose()?;
        Ok(Search {
            query,
            room: self.room_id.map(RoomId::parse).transpose()?,
            before,
            limit: page_limit(self.limit, limits)?,
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
