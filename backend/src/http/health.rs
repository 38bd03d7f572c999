//! `GET /health/*`: whether to restart this process, and whether to send it clients.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use berth_adapter::Kind;
use serde_json::{Value, json};

use super::Site;
use crate::settings::Dependency;

/// How long readiness waits for a dependency, well below the usual probe timeouts.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// A dependency as readiness saw it.
pub struct Watched {
    pub name: Dependency,
    pub kind: &'static str,
    pub is_up: bool,
    pub is_required: bool,
    pub detail: Option<String>,
}

/// Looks at nothing but itself: a store that is down is no reason to kill the clients' connections.
pub(super) async fn liveness() -> Response {
    page(StatusCode::OK, &json!({"status": "alive"}), &[])
}

pub(super) async fn readiness(State(site): State<Site>) -> Response {
    let is_draining = site.app.is_leaving();
    let watched = look(&site).await;
    let is_ready = !is_draining && watched.iter().all(|one| one.is_up || !one.is_required);
    let status = match (is_draining, is_ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "not ready",
    };
    let code = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    page(
        code,
        &json!({"status": status, "instanceId": site.app.instance}),
        &watched,
    )
}

pub(super) async fn look(site: &Site) -> Vec<Watched> {
    let required = |name, is_configured: bool| match &site.readiness_requires {
        Some(list) => list.contains(&name),
        None => is_configured,
    };
    let store = match tokio::time::timeout(PING_TIMEOUT, site.app.store.ping()).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("timed out".to_owned()),
    };
    note_store(site, store.is_ok());
    let link = *site.cluster.link().borrow();
    let (kind, is_up) = match site.cluster.kind() {
        Kind::Alone => ("none", true),
        Kind::Hub => ("hub", true),
        Kind::Redis => ("redis", link.is_clustered()),
    };
    if let Err(error) = &store {
        // The words of a store may name hosts; they belong in the log.
        tracing::warn!(%error, "the store does not answer");
    }
    vec![
        Watched {
            name: Dependency::Store,
            kind: site.app.store.name(),
            is_up: store.is_ok(),
            is_required: required(Dependency::Store, true),
            detail: None,
        },
        Watched {
            name: Dependency::Redis,
            kind,
            is_up,
            is_required: required(Dependency::Redis, kind == "redis"),
            detail: (kind == "redis").then(|| {
                let up = |is_up| if is_up { "up" } else { "down" };
                format!(
                    "publisher {}, subscriber {}",
                    up(link.publisher),
                    up(link.subscriber)
                )
            }),
        },
    ]
}

fn note_store(site: &Site, is_up: bool) {
    let metrics = &site.app.metrics;
    metrics.link.store_status.set(i64::from(is_up));
    if site.app.store.name() == "mongodb" {
        metrics.link.mongo_connection_status.set(i64::from(is_up));
    }
}

/// JSON for programs, one line per dependency for people with curl.
fn page(code: StatusCode, head: &Value, watched: &[Watched]) -> Response {
    let head = head.to_string();
    let lines: Vec<String> = watched
        .iter()
        .map(|one| {
            let mut line = json!({
                "kind": one.kind,
                "status": if one.is_up { "up" } else { "down" },
                "required": one.is_required,
            });
            if let (Some(detail), Some(fields)) = (&one.detail, line.as_object_mut()) {
                fields.insert("detail".to_owned(), Value::from(detail.as_str()));
            }
            format!("    \"{}\": {line}", one.name.as_str())
        })
        .collect();
    let body = if lines.is_empty() {
        format!("{head}\n")
    } else {
        let head = head.trim_end_matches('}');
        format!(
            "{head},\n  \"dependencies\": {{\n{}\n  }}\n}}\n",
            lines.join(",\n")
        )
    };
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
    ];
    (code, headers, body).into_response()
}
