//! `POST /api/auth/token`: a short-lived token for sockets, which every instance believes without asking the sessions' keeper. After an
//! outage or a deploy thousands of clients come back at once, and Redis need not answer for each.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::json;

use super::{Credential, Visitor, answer, unkept, visitor};
use crate::chat::refusal::{Code, Refusal};
use crate::clock;
use crate::date::to_iso;
use crate::http::Site;
use crate::token::{Claims, SessionDigest};

/// For whoever has a session. A token makes no further token: a stolen one would live for ever.
pub(in crate::http) async fn issue(State(site): State<Site>, headers: HeaderMap) -> Response {
    answer(make(&site, &headers).await)
}

async fn make(site: &Site, headers: &HeaderMap) -> Result<Response, Refusal> {
    let visitor = visitor(&site.app, headers).await?;
    let Visitor::User {
        sender,
        is_guest,
        credential: Credential::Session { sid, .. },
    } = visitor
    else {
        let why = "only a session gives tokens; log in first";
        return Err(Refusal::new(Code::Unauthorized, why));
    };
    let ends_ms = clock::unix_ms().saturating_add(milliseconds(site.token_ttl));
    let claims = Claims::own(&sender, is_guest, SessionDigest::of(&sid), ends_ms);
    let token = site.app.tokens.issue(&claims).map_err(|error| {
        tracing::error!(%error, "a token was not made");
        Refusal::new(Code::Internal, "the token could not be made")
    })?;
    let page = json!({"ok": true, "token": token, "expiresAt": to_iso(ends_ms)});
    Ok(unkept(Json(page).into_response()))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
