//! Who asks, and how to become somebody: `/api/auth/*`. One step per file; here is what they share.

mod attempts;
mod guest;
mod login;
mod socket_token;
mod visitor;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Map, Value, json};

use super::Site;
use super::call::fields;
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::session::SessionError;
use crate::session::cookie::CookieSettings;

pub use attempts::Attempts;
pub(super) use guest::{guest, logout, me};
pub(super) use login::{login, register};
pub(super) use socket_token::issue;
use visitor::is_by_cookie;
pub use visitor::{Credential, Visitor, visitor};
pub(crate) use visitor::{bearer, bot};

fn answer(result: Result<Response, Refusal>) -> Response {
    result.unwrap_or_else(IntoResponse::into_response)
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
