//! `GET /api/openapi.json`: what the API takes and answers, for programs and their makers.
//!
//! Kept by hand. A test asks for the document, calls every operation in it and compares.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};

const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
