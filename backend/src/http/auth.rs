//! Who asks: express-session's cookie, read and made. `POST /api/auth/guest`, `GET /api/auth/me`, `POST /api/auth/logout`.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::{Site, refused, status_of};
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::clock;
use crate::session::cookie::{self, CookieSettings};
use crate::session::{Session, SessionError, USER_PATHS};
use crate::socket::App;
use crate::socket::identity::{self, KnownBy};

/// Who a request's cookie speaks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Visitor {
    /// The session names a user, who may be a guest.
    User {
        sender: Sender,
        is_guest: bool,
        session_id: String,
        session: Session,
    },
    /// No cookie, a forged or expired one, or a session without a user.
    Anonymous { session_id: Option<String> },
}

/// Reads the session behind a request, and keeps it alive.
///
/// # Errors
/// `SESSION_STORE_UNAVAILABLE` when there is a signed cookie and its session cannot be read.
pub async fn visitor(app: &App, headers: &HeaderMap) -> Result<Visitor, Refusal> {
    let Some(sid) = cookie::read_cookie(headers, cookie::NAME, &app.secrets) else {
        return Ok(Visitor::Anonymous { session_id: None });
    };
    let session = match app.sessions.load(&sid).await {
        Ok(Some(session)) => session,
        Ok(None) => return Ok(Visitor::Anonymous { session_id: None }),
        Err(error @ SessionError::Unavailable(_)) => return Err(unavailable(&error)),
        Err(error @ SessionError::Malformed(_)) => {
            tracing::warn!(%error, "session ignored");
            return Ok(Visitor::Anonymous { session_id: None });
        }
    };
    if let Err(error) = app.sessions.touch(&sid, &session).await {
        // It was read a moment ago and lives on; only its end was not moved.
        tracing::debug!(%error, "session not touched");
    }
    Ok(
        match session
            .user(&USER_PATHS)
            .and_then(|user| Some((identity::user(&user)?, user.guest)))
        {
            Some((sender, is_guest)) => Visitor::User {
                sender,
                is_guest,
                session_id: sid,
                session,
            },
            None => Visitor::Anonymous {
                session_id: Some(sid),
            },
        },
    )
}

/// Makes a guest's session, or renames the guest that already has one. A logged-in user stays who they are.
pub(super) async fn guest(State(site): State<Site>, headers: HeaderMap, body: Bytes) -> Response {
    let result = match wanted_name(&body) {
        Ok(name) => make_guest(&site, &headers, name.as_deref()).await,
        Err(refusal) => Err(refusal),
    };
    result.unwrap_or_else(|refusal| refused(status_of(refusal.code), &refusal))
}

pub(super) async fn me(State(site): State<Site>, headers: HeaderMap) -> Response {
    match visitor(&site.app, &headers).await {
        Ok(Visitor::User {
            sender, is_guest, ..
        }) => user_page(&sender, is_guest, None),
        Ok(Visitor::Anonymous { .. }) => refused(
            StatusCode::UNAUTHORIZED,
            &Refusal::new(Code::Unauthorized, "nobody is logged in"),
        ),
        Err(refusal) => refused(status_of(refusal.code), &refusal),
    }
}

pub(super) async fn logout(State(site): State<Site>, headers: HeaderMap) -> Response {
    let app = &site.app;
    if let Some(sid) = cookie::read_cookie(&headers, cookie::NAME, &app.secrets)
        && let Err(error) = app.sessions.destroy(&sid).await
    {
        let refusal = unavailable(&error);
        return refused(status_of(refusal.code), &refusal);
    }
    let forget = cookie::clear_cookie(&cookie_settings(&site));
    with_cookie(Json(json!({"ok": true})).into_response(), &forget)
}

async fn make_guest(
    site: &Site,
    headers: &HeaderMap,
    name: Option<&str>,
) -> Result<Response, Refusal> {
    let app = &site.app;
    let now_ms = clock::unix_ms();
    let settings = cookie_settings(site);
    let (sid, session, sender) = match visitor(app, headers).await? {
        Visitor::User {
            sender,
            is_guest: false,
            ..
        } => return Ok(user_page(&sender, false, None)),
        Visitor::User {
            sender,
            session_id,
            session,
            ..
        } => {
            let sender = Sender {
                name: name.and_then(identity::clean_name).unwrap_or(sender.name),
                ..sender
            };
            (
                session_id,
                renamed(&session, &sender.name).renewed(now_ms),
                sender,
            )
        }
        Visitor::Anonymous { .. } if !app.chat.guests => {
            return Err(Refusal::new(Code::Unauthorized, "guests are not let in"));
        }
        // A fresh sid, as express-session makes one at a login: one that somebody planted is worth nothing.
        Visitor::Anonymous { .. } => {
            let sid = cookie::new_sid();
            let sender = identity::guest(KnownBy::Session(&sid), name);
            (
                sid,
                Session::guest(&sender.id, &sender.name, &settings, now_ms),
                sender,
            )
        }
    };
    app.sessions
        .save(&sid, &session)
        .await
        .map_err(|error| unavailable(&error))?;
    let cookie = cookie::write_cookie(&settings, &sid, &app.secrets, now_ms);
    Ok(user_page(&sender, true, Some(&cookie)))
}

/// The record with another name in it; whatever else the application keeps there stays.
fn renamed(session: &Session, name: &str) -> Session {
    let mut session = session.clone();
    if let Some(Value::Object(user)) = session.0.get_mut("user") {
        user.insert("name".to_owned(), Value::from(name));
    }
    session
}

fn wanted_name(body: &[u8]) -> Result<Option<String>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| {
        Refusal::bad_request("the body is not JSON such as {\"displayName\": \"Ann\"}")
    })?;
    match body.get("displayName") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.clone())),
        Some(_) => Err(Refusal::bad_request("displayName is not a text")),
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

fn with_cookie(mut page: Response, cookie: &str) -> Response {
    match HeaderValue::from_str(cookie) {
        Ok(value) => {
            page.headers_mut().insert(header::SET_COOKIE, value);
            page.headers_mut()
                .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            page
        }
        Err(error) => {
            tracing::error!(%error, "the session cookie fits no header");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn unavailable(error: &SessionError) -> Refusal {
    tracing::warn!(%error, "sessions not available");
    Refusal::new(
        Code::SessionStoreUnavailable,
        "sessions cannot be read; try again",
    )
    .retry_after_ms(1_000)
}
