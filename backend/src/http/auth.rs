//! Who asks, and how to become somebody: `/api/auth/*`. One step per file; here is what they share.

mod attempts;
mod guest;
mod login;
mod socket_token;
mod visitor;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

use super::{Site, refused, status_of};
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::session::SessionError;
use crate::session::cookie::CookieSettings;

pub use attempts::Attempts;
pub(crate) use visitor::bearer;
pub use visitor::{Credential, Visitor, visitor};

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/auth/guest", post(guest::guest))
        .route("/api/auth/register", post(login::register))
        .route("/api/auth/login", post(login::login))
        .route("/api/auth/logout", post(guest::logout))
        .route("/api/auth/me", get(guest::me))
        .route("/api/auth/token", post(socket_token::issue))
}

fn answer(result: Result<Response, Refusal>) -> Response {
    result.unwrap_or_else(|refusal| refused(status_of(refusal.code), &refusal))
}

/// The fields of a body; an empty one has none.
fn fields(body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| {
        Refusal::bad_request("the body is not a JSON object such as {\"displayName\": \"Ann\"}")
    })
}

fn text(fields: &Map<String, Value>, key: &str) -> Result<Option<String>, Refusal> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::bad_request(format!("{key} is not a text"))),
    }
}

fn cookie_settings(site: &Site) -> CookieSettings {
    let max_age_ms = i64::try_from(site.session.ttl.as_millis()).ok();
    CookieSettings {
        max_age_ms,
        secure: site.session.cookie_secure,
        ..CookieSettings::default()
    }
}

fn user_page(sender: &Sender, is_guest: bool, cookie: Option<&str>) -> Response {
    let user = json!({"id": sender.id, "name": sender.name, "guest": is_guest});
    let page = Json(json!({"ok": true, "user": user})).into_response();
    match cookie {
        Some(cookie) => with_cookie(page, cookie),
        None => page,
    }
}

fn with_cookie(page: Response, cookie: &str) -> Response {
    match HeaderValue::from_str(cookie) {
        Ok(value) => {
            let mut page = unkept(page);
            page.headers_mut().insert(header::SET_COOKIE, value);
            page
        }
        Err(error) => {
            tracing::error!(%error, "the session cookie fits no header");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What nobody on the way may keep.
fn unkept(mut page: Response) -> Response {
    page.headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}

fn unavailable(error: &SessionError) -> Refusal {
    tracing::warn!(%error, "sessions not available");
    Refusal::new(
        Code::SessionStoreUnavailable,
        "sessions cannot be read; try again",
    )
    .retry_after_ms(1_000)
}
