//! `POST /api/auth/guest`, `GET /api/auth/me`, `POST /api/auth/logout`.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::{Value, json};

use super::{
    Credential, Visitor, answer, cookie_settings, fields, is_by_cookie, text, unavailable,
    user_page, visitor, with_cookie,
};
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::clock;
use crate::http::Site;
use crate::session::{Session, cookie};
use crate::socket::identity::{self, KnownBy};
use crate::socket::{Ended, Revocation};
use crate::token::SessionDigest;

/// Makes a guest's session, or renames the guest that already has one. A logged-in user stays who they are.
pub(in crate::http) async fn guest(
    State(site): State<Site>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let name = fields(&body).and_then(|fields| text(&fields, "displayName"));
    answer(match name {
        Ok(name) => make_guest(&site, &headers, name.as_deref()).await,
        Err(refusal) => Err(refusal),
    })
}

pub(in crate::http) async fn me(State(site): State<Site>, headers: HeaderMap) -> Response {
    answer(match visitor(&site.app, &headers).await {
        Ok(Visitor::User {
            sender, is_guest, ..
        }) => Ok(user_page(&sender, is_guest, None)),
        Ok(Visitor::Anonymous { .. }) => {
            Err(Refusal::new(Code::Unauthorized, "nobody is logged in"))
        }
        Err(refusal) => Err(refusal),
    })
}

/// Ends the session, everywhere: its sockets on all instances are closed, and its tokens are worth nothing any more.
pub(in crate::http) async fn logout(State(site): State<Site>, headers: HeaderMap) -> Response {
    answer(end_session(&site, &headers).await)
}

async fn end_session(site: &Site, headers: &HeaderMap) -> Result<Response, Refusal> {
    let app = &site.app;
    if let Some(sid) = cookie::read_cookie(headers, cookie::NAME, &app.secrets) {
        // Whose it is must be known before it is gone. A record that cannot be understood has no sockets.
        let user = match app.sessions.load(&sid).await {
            Ok(session) => session.and_then(|session| session.user(&crate::session::USER_PATHS)),
            Err(crate::session::SessionError::Malformed(_)) => None,
            Err(error) => return Err(unavailable(&error)),
        };
        let destroyed = app.sessions.destroy(&sid).await;
        destroyed.map_err(|error| unavailable(&error))?;
        if let Some(user) = user {
            app.revoke(Revocation {
                user_id: user.id,
                session: Some(SessionDigest::of(&sid)),
                why: Ended::LoggedOut,
            });
        }
    }
    let forget = cookie::clear_cookie(&cookie_settings(site));
    let page = (StatusCode::OK, Json(json!({"ok": true}))).into_response();
    Ok(with_cookie(page, &forget))
}

async fn make_guest(
    site: &Site,
    headers: &HeaderMap,
    name: Option<&str>,
) -> Result<Response, Refusal> {
    let app = &site.app;
    let now_ms = clock::unix_ms();
    let settings = cookie_settings(site);
    let visitor = match visitor(app, headers).await {
        // A session that cannot be read is replaced: this is how its browser gets rid of it.
        Err(refusal) if refusal.code == Code::Unauthorized && is_by_cookie(headers) => {
            Visitor::Anonymous { session_id: None }
        }
        other => other?,
    };
    let (sid, session, sender) = match visitor {
        Visitor::User {
            sender,
            is_guest: true,
            credential: Credential::Session { sid, session },
        } => {
            let sender = Sender {
                name: name.and_then(identity::clean_name).unwrap_or(sender.name),
                ..sender
            };
            let session = renamed(&session, &sender.name).renewed(now_ms);
            (sid, session, sender)
        }
        Visitor::User {
            sender, is_guest, ..
        } => return Ok(user_page(&sender, is_guest, None)),
        Visitor::Anonymous { .. } if !app.chat.guests => {
            return Err(Refusal::new(Code::Unauthorized, "guests are not let in"));
        }
        // A fresh sid, as express-session makes one at a login: one that somebody planted is worth nothing.
        Visitor::Anonymous { .. } => {
            let sid = cookie::new_sid();
            let sender = identity::guest(KnownBy::Session(&sid), name);
            let session = Session::guest(&sender.id, &sender.name, &settings, now_ms);
            (sid, session, sender)
        }
    };
    let saved = app.sessions.save(&sid, &session).await;
    saved.map_err(|error| unavailable(&error))?;
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
