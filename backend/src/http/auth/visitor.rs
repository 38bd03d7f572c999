//! Who a request speaks for: a bot by `X-Api-Key`, else `Authorization: Bearer`, else the session cookie.
//!
//! **What cannot be read never makes a guest**: a bad key, a bad token and a session that cannot be had are refused.

use axum::http::{HeaderMap, HeaderName, header};

use super::unavailable;
use crate::bots::KEY_BYTES_MIN;
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::clock;
use crate::session::cookie;
use crate::session::{Session, SessionError, USER_PATHS};
use crate::socket::App;
use crate::socket::identity;
use crate::token::{BadToken, Bearer};

/// Who a request speaks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Visitor {
    /// Somebody we know, who may be a guest.
    User {
        sender: Sender,
        is_guest: bool,
        credential: Credential,
    },
    /// No cookie, a forged or expired one, or a session without a user.
    Anonymous { session_id: Option<String> },
}

/// What we know somebody by.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    Session {
        sid: String,
        session: Session,
    },
    Token(Bearer),
    /// A bot's.
    Key,
}

/// Has a bot's key. No page may send it: CORS does not name it, because a key in a page is everybody's.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Reads what a request brings, and keeps its session alive.
///
/// # Errors
/// `UNAUTHORIZED` for a bad key, a bad token or a record that is no session, `BANNED` for who is shut out, `SESSION_STORE_UNAVAILABLE` when there is
/// a signed cookie and its session cannot be read.
pub async fn visitor(app: &App, headers: &HeaderMap) -> Result<Visitor, Refusal> {
    let visitor = known(app, headers).await?;
    if let Visitor::User { sender, .. } = &visitor {
        app.bans.check(&sender.id)?;
    }
    Ok(visitor)
}

async fn known(app: &App, headers: &HeaderMap) -> Result<Visitor, Refusal> {
    if let Some(sender) = keyed(app, headers)? {
        return Ok(Visitor::User {
            sender,
            is_guest: false,
            credential: Credential::Key,
        });
    }
    if let Some(token) = bearer_token(headers) {
        let bearer = bearer(app, token).await?;
        return Ok(Visitor::User {
            sender: bearer.sender.clone(),
            is_guest: bearer.is_guest,
            credential: Credential::Token(bearer),
        });
    }
    let Some(sid) = cookie::read_cookie(headers, cookie::NAME, &app.secrets) else {
        return Ok(Visitor::Anonymous { session_id: None });
    };
    let session = match app.sessions.load(&sid).await {
        Ok(Some(session)) => session,
        Ok(None) => {
            return Ok(Visitor::Anonymous {
                session_id: Some(sid),
            });
        }
        Err(error @ SessionError::Unavailable(_)) => return Err(unavailable(&error)),
        Err(error @ SessionError::Malformed(_)) => {
            tracing::warn!(%error, "a session that cannot be read");
            let why = "this session cannot be read; log in again";
            return Err(Refusal::new(Code::Unauthorized, why));
        }
    };
    if let Err(error) = app.sessions.touch(&sid, &session).await {
        // It was read a moment ago and lives on; only its end was not moved.
        tracing::debug!(%error, "session not touched");
    }
    let user = session.user(&USER_PATHS);
    Ok(
        match user.and_then(|user| Some((identity::user(&user)?, user.guest))) {
            Some((sender, is_guest)) => Visitor::User {
                sender,
                is_guest,
                credential: Credential::Session { sid, session },
            },
            None => Visitor::Anonymous {
                session_id: Some(sid),
            },
        },
    )
}

/// Who a token speaks for.
///
/// # Errors
/// `UNAUTHORIZED`, or `UNAVAILABLE` when the issuer's keys cannot be had: then trying again can help.
pub(crate) async fn bearer(app: &App, token: &str) -> Result<Bearer, Refusal> {
    let bearer = match app.tokens.verify(token, clock::unix_ms()).await {
        Ok(bearer) => bearer,
        Err(error @ BadToken::KeysUnavailable(_)) => {
            tracing::warn!(%error, "a token cannot be judged");
            let why = "tokens cannot be checked; try again";
            return Err(Refusal::new(Code::Unavailable, why).retry_after_ms(1_000));
        }
        Err(error @ BadToken::Refused(_)) => {
            // The words are ours and the library's, never the token's.
            tracing::debug!(%error, "a token was refused");
            return Err(Refusal::new(
                Code::Unauthorized,
                "this token is not accepted",
            ));
        }
    };
    if bearer
        .session
        .is_some_and(|session| app.is_revoked(session))
    {
        return Err(Refusal::new(Code::Unauthorized, "this session has ended"));
    }
    app.bans.check(&bearer.sender.id)?;
    Ok(bearer)
}

/// The bot of a request that brings a key. Whoever sends one means it, so a cookie that came along does not count; a token that is meant
/// as well is one too many.
fn keyed(app: &App, headers: &HeaderMap) -> Result<Option<Sender>, Refusal> {
    let mut keys = headers.get_all(API_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    if keys.next().is_some() || bearer_token(headers).is_some() {
        let why = "a key and something else to be known by: send one";
        return Err(Refusal::new(Code::Unauthorized, why));
    }
    bot(app, key.as_bytes()).map(Some)
}

/// Whether nothing but a cookie can say who asks.
pub(super) fn is_by_cookie(headers: &HeaderMap) -> bool {
    !headers.contains_key(API_KEY) && bearer_token(headers).is_none()
}

/// Whom a key speaks for.
///
/// # Errors
/// `UNAUTHORIZED`, `BANNED`.
pub(crate) fn bot(app: &App, key: &[u8]) -> Result<Sender, Refusal> {
    let Some(sender) = app.bots.known_by(key) else {
        let why = match key.len() < KEY_BYTES_MIN {
            true => format!("a key has at least {KEY_BYTES_MIN} bytes"),
            false => "this key is not accepted".to_owned(),
        };
        return Err(Refusal::new(Code::Unauthorized, why));
    };
    app.bans.check(&sender.id)?;
    Ok(sender)
}

/// The token of `Authorization: Bearer …`. Other schemes are for others, such as a proxy before us.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
