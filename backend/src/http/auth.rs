//! Who asks: express-session's cookie, read and made. `POST /api/auth/guest`, `GET /api/auth/me`, `POST /api/auth/logout`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use super::Site;
use crate::chat::message::Sender;
use crate::chat::refusal::Refusal;
use crate::socket::App;

/// Who a request's cookie speaks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Visitor {
    /// The session names a user.
    User { sender: Sender, session_id: String },
    /// No cookie, a forged or expired one, or a session without a user.
    Anonymous { session_id: Option<String> },
}

/// # Errors
/// `SESSION_STORE_UNAVAILABLE` when there is a signed cookie and its session cannot be read.
pub async fn visitor(_app: &App, _headers: &HeaderMap) -> Result<Visitor, Refusal> {
    Ok(Visitor::Anonymous { session_id: None })
}

pub(super) async fn guest(State(_site): State<Site>) -> Response {
    Json(json!({"ok": true})).into_response()
}

pub(super) async fn me(State(_site): State<Site>) -> Response {
    Json(json!({"ok": true})).into_response()
}

pub(super) async fn logout(State(_site): State<Site>) -> Response {
    Json(json!({"ok": true})).into_response()
}
