//! `POST /api/auth/register` and `POST /api/auth/login`: names and passwords.
//!
//! A wrong password and a user that does not exist get the same answer after the same time. The session id is always a new one.

use std::net::IpAddr;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use uuid::Uuid;

use super::{answer, cookie_settings, fields, text, unavailable, user_page};
use crate::chat::message::Sender;
use crate::chat::refusal::{Code, Refusal};
use crate::clock;
use crate::http::Site;
use crate::http::peer::{Peer, client_address};
use crate::session::{Session, SessionError, cookie};
use crate::socket::identity;
use crate::users::password::PasswordError;
use crate::users::{BadCredential, User, Username, UsersError, check_password};

pub(in crate::http) async fn register(
    State(site): State<Site>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let client = client_address(peer, &headers, &site.trusted_proxies);
    answer(make_user(&site, client, &headers, &body).await)
}

pub(in crate::http) async fn login(
    State(site): State<Site>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let client = client_address(peer, &headers, &site.trusted_proxies);
    answer(log_in(&site, client, &headers, &body).await)
}

async fn make_user(
    site: &Site,
    client: IpAddr,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Refusal> {
    if !site.is_registration_open {
        return Err(Refusal::new(Code::Forbidden, "registration is closed"));
    }
    let (name, password) = credentials(body)?;
    let username = Username::parse(&name)?;
    check_password(&password)?;
    let display_name = text(&fields(body)?, "displayName")?;
    begin(site, None, client)?;
    let display_name = display_name.as_deref().and_then(identity::clean_name);
    let user = User {
        id: Uuid::now_v7().to_string(),
        display_name: display_name.unwrap_or(name),
        username,
        password_hash: site.app.passwords.hash(password).await?,
        roles: Vec::new(),
        created_ms: clock::unix_ms(),
    };
    site.app.users.create(&user).await?;
    tracing::info!(user = user.id, "registered");
    open_session(site, headers, &user).await
}

async fn log_in(
    site: &Site,
    client: IpAddr,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Refusal> {
    let (name, password) = credentials(body)?;
    let wrong = || Refusal::new(Code::Unauthorized, "user name or password is wrong");
    // A name or password that nobody can have is wrong like any other.
    let username = Username::parse(&name).ok();
    let counted_as = name.get(..64).unwrap_or(&name).to_ascii_lowercase();
    begin(site, Some(&counted_as), client)?;
    let user = match &username {
        Some(username) => site.app.users.by_name(username).await?,
        None => None,
    };
    let is_possible = check_password(&password).is_ok();
    let kept = user.as_ref().filter(|_| is_possible);
    let kept = kept.map(|user| user.password_hash.clone());
    // An endless password is not hashed; its length is no secret.
    let password = if is_possible { password } else { String::new() };
    let is_right = site.app.passwords.verify(password, kept).await?;
    let user = user.filter(|_| is_right).ok_or_else(wrong)?;
    site.attempts().succeeded(&counted_as, client);
    site.app.bans.check(&user.id)?;
    open_session(site, headers, &user).await
}

/// A new session for somebody who has proved who they are; the one they came with, if any, ends.
async fn open_session(site: &Site, headers: &HeaderMap, user: &User) -> Result<Response, Refusal> {
    let app = &site.app;
    let (settings, now_ms) = (cookie_settings(site), clock::unix_ms());
    let sid = cookie::new_sid();
    let session = Session::user_logged_in(
        &user.id,
        &user.display_name,
        user.username.as_str(),
        &settings,
        now_ms,
    );
    let saved = app.sessions.save(&sid, &session).await;
    saved.map_err(|error| unavailable(&error))?;
    if let Some(before) = cookie::read_cookie(headers, cookie::NAME, &app.secrets)
        && let Err(error @ SessionError::Unavailable(_)) = app.sessions.destroy(&before).await
    {
        // It belonged to the same browser, which forgets it now; it ends by itself.
        tracing::debug!(%error, "the session before the login was not removed");
    }
    let sender = Sender {
        id: user.id.clone(),
        name: user.display_name.clone(),
    };
    let cookie = cookie::write_cookie(&settings, &sid, &app.secrets, now_ms);
    Ok(user_page(&sender, false, Some(&cookie)))
}

fn credentials(body: &Bytes) -> Result<(String, String), Refusal> {
    let fields = fields(body)?;
    let wanted =
        |key| text(&fields, key)?.ok_or_else(|| Refusal::bad_request(format!("{key} is missing")));
    Ok((wanted("username")?, wanted("password")?))
}

fn begin(site: &Site, user: Option<&str>, client: IpAddr) -> Result<(), Refusal> {
    let begun = site.attempts().begin(user, client, clock::monotonic());
    begun.map_err(|wait| {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        Refusal::new(Code::RateLimited, "too many attempts").retry_after_ms(wait_ms)
    })
}

impl From<BadCredential> for Refusal {
    fn from(bad: BadCredential) -> Self {
        Self::bad_request(bad.to_string())
    }
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => {
                Self::new(Code::Overloaded, "too many logins at once; try again")
                    .retry_after_ms(1_000)
            }
            PasswordError::Failed(why) => {
                tracing::error!(why, "a password was not hashed");
                Self::new(Code::Internal, "the password could not be checked")
            }
        }
    }
}

impl From<UsersError> for Refusal {
    fn from(error: UsersError) -> Self {
        match error {
            UsersError::Taken => Self::new(Code::Conflict, "this user name is taken"),
            UsersError::Unavailable(_) | UsersError::Broken(_) => {
                // The words of a store may name hosts; they belong in the log.
                tracing::warn!(%error, "the users do not answer");
                Self::new(Code::Unavailable, "users cannot be read; try again")
                    .retry_after_ms(1_000)
            }
        }
    }
}
