//! `GET /api/admin/overview`: what an operator's page shows of this instance. Without the token nobody sees any of it.
//!
//! It speaks for this instance alone; who wants all of them asks through the proxy until all have answered.

mod hot;
pub(super) mod orders;

use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Json, Response};
use berth_adapter::Kind;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::health::{self, Watched};
use super::{Site, refused, status_of};
use crate::chat::refusal::{Code, Refusal};
use crate::chat::room::RoomId;
use crate::clock;
use crate::protocol::WebhookBody;
use crate::settings::{Admin, Dependency};

pub(crate) use hot::Hot;

/// As patient as with the other dependencies.
const WEBHOOKS_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn overview(State(site): State<Site>, headers: HeaderMap) -> Response {
    if let Err(refusal) = admit(&site.admin, &headers) {
        return refused(status_of(refusal.code), &refusal);
    }
    let (watched, webhooks) = tokio::join!(health::look(&site), webhooks(&site));
    let mut response = Json(body(&site, &watched, webhooks)).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// Digests are compared, so the time it takes says nothing about the token.
pub(super) fn admit(admin: &Admin, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(token) = &admin.token else {
        let message = "no admin token is set; set ADMIN_TOKEN to use this";
        return Err(Refusal::new(Code::Forbidden, message));
    };
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given.is_some_and(|given| Sha256::digest(given) == Sha256::digest(token.reveal())) {
        return Ok(());
    }
    let message = "the admin token is missing or wrong";
    Err(Refusal::new(Code::Unauthorized, message))
}

/// None: nobody can say in time.
async fn webhooks(site: &Site) -> Option<Vec<WebhookBody>> {
    let shown = tokio::time::timeout(WEBHOOKS_TIMEOUT, site.app.webhooks.shown());
    let shown = shown.await.ok()?.ok()?;
    Some(shown.iter().map(WebhookBody::from).collect())
}

fn body(site: &Site, watched: &[Watched], webhooks: Option<Vec<WebhookBody>>) -> Value {
    let app = &site.app;
    let is_draining = app.is_leaving();
    app.metrics.process.refresh();
    let uptime = clock::monotonic().saturating_duration_since(site.started);
    json!({
        "ok": true,
        "mode": mode(site, watched),
        "instance": {
            "id": app.instance,
            "version": env!("CARGO_PKG_VERSION"),
            "state": if is_draining { "draining" } else { "up" },
            "uptimeSeconds": uptime.as_secs(),
            // Then its memory is that of all of them together.
            "sharesProcess": site.cluster.kind() == Kind::Hub,
        },
        "hotRooms": hot_rooms(site),
        "dependencies": watched.iter().map(dependency).collect::<Vec<_>>(),
        "webhooks": webhooks,
        "figures": app.metrics.figures(),
    })
}

/// Where most happens, of the rooms that have members here.
fn hot_rooms(site: &Site) -> Vec<Value> {
    let ends = site.app.delivery.ends();
    let now = clock::monotonic();
    let mut hot = site.hot.lock().unwrap_or_else(PoisonError::into_inner);
    let ranked = hot.rank(ends, now);
    drop(hot);
    let in_words = |(room, tail, per_second): (RoomId, u64, f64)| {
        let connections = site.app.members.count_in(&room);
        json!({"id": room.as_str(), "connections": connections, "tail": tail, "perSecond": per_second})
    };
    ranked.into_iter().map(in_words).collect()
}

/// One word for how the cluster is, from here.
fn mode(site: &Site, watched: &[Watched]) -> &'static str {
    let is_up = |name| watched.iter().all(|one| one.name != name || one.is_up);
    if !is_up(Dependency::Store) {
        return "degraded-store";
    }
    match site.cluster.kind() {
        Kind::Redis if !is_up(Dependency::Redis) => "degraded-redis",
        Kind::Hub if !site.cluster.link().borrow().is_clustered() => "degraded-redis",
        Kind::Redis | Kind::Hub => "cluster",
        Kind::Alone => "single",
    }
}

fn dependency(one: &Watched) -> Value {
    json!({
        "name": one.name.as_str(),
        "kind": one.kind,
        "up": one.is_up,
        "required": one.is_required,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;

    fn admitted(token: Option<&str>, given: Option<&str>) -> Result<(), Code> {
        let admin = Admin {
            token: token.map(Secret::new),
        };
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert(header::AUTHORIZATION, given.parse().unwrap());
        }
        admit(&admin, &headers).map_err(|refusal| refusal.code)
    }

    #[test]
    fn only_the_token_opens_and_without_one_nothing_does() {
        let token = Some("0123456789abcdef");
        assert_eq!(admitted(token, Some("Bearer 0123456789abcdef")), Ok(()));
        for given in [
            None,
            Some("Bearer "),
            Some("Bearer 0123456789abcdeF"),
            Some("Bearer 0123456789abcdef "),
            Some("Basic 0123456789abcdef"),
            Some("0123456789abcdef"),
        ] {
            assert_eq!(admitted(token, given), Err(Code::Unauthorized), "{given:?}");
            assert_eq!(admitted(None, given), Err(Code::Forbidden), "{given:?}");
        }
    }
}
