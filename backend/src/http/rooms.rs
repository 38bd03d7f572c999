//! `/api/rooms…` and `/api/direct`: rooms, their messages and their members, over HTTP as over sockets.
//!
//! Every wish is read by the reader of the event of the same meaning and carried out by the same deed.

pub(super) mod direct;
pub(super) mod list;
pub(super) mod members;
pub(super) mod messages;
pub(super) mod room;
pub(super) mod there;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::chat::refusal::Refusal;
use crate::protocol::Done;

/// What a handler answers.
type Answer = Result<Response, Refusal>;

/// Yes, with a body.
fn done(body: impl Serialize) -> Response {
    Json(Done::new(body)).into_response()
}

/// Yes, it is there now and was not before.
fn made(body: impl Serialize) -> Response {
    (StatusCode::CREATED, Json(Done::new(body))).into_response()
}

/// Fields as the arguments of an event.
fn arguments(fields: Map<String, Value>) -> Vec<Value> {
    vec![Value::Object(fields)]
}

/// How many entries a page of a list has.
fn page_limit(asked: Option<u64>) -> Result<u32, Refusal> {
    let limit = asked.unwrap_or(LIST_DEFAULT);
    match u32::try_from(limit) {
        Ok(limit) if (1..=LIST_MAX).contains(&limit) => Ok(limit),
        _ => Err(Refusal::bad_request(format!(
            "limit is not from 1 to {LIST_MAX}"
        ))),
    }
}

/// Entries of a list's page. Each may cost a question to the store.
const LIST_DEFAULT: u64 = 50;
const LIST_MAX: u32 = 200;
