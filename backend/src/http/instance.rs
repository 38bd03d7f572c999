//! `GET /api/instance`: which backend this is, and by which ways people come in.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Json;
use serde_json::{Value, json};

use super::peer::Peer;
use super::{Site, trial};

pub(super) async fn instance(
    State(site): State<Site>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Json<Value> {
    // Everybody may break their own connection; the server only who sits at it.
    let trial = site
        .trial
        .as_ref()
        .map(|_| json!({"server": trial::may_wish(peer, &headers)}));
    Json(json!({
        "instanceId": site.app.instance,
        "port": site.port,
        "version": env!("CARGO_PKG_VERSION"),
        // There to be tried out, so the page offers faults to try.
        "trial": trial,
        "login": true,
        "register": site.is_registration_open,
        "guests": site.app.chat.guests,
    }))
}
