//! `GET /api/instance`: which backend this is, and by which ways people come in.

use axum::extract::State;
use axum::response::Json;
use berth_adapter::Kind;
use serde_json::{Value, json};

use super::Site;

pub(super) async fn instance(State(site): State<Site>) -> Json<Value> {
    Json(json!({
        "instanceId": site.app.instance,
        "port": site.port,
        "version": env!("CARGO_PKG_VERSION"),
        // Only `berth` joins its backends by the hub: there to be tried out, so the page offers faults to try.
        "trial": site.cluster.kind() == Kind::Hub,
        "login": true,
        "register": site.is_registration_open,
        "guests": site.app.chat.guests,
    }))
}
