//! `GET /metrics`: the Prometheus exposition.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Site;

pub(super) async fn metrics(State(site): State<Site>) -> Response {
    let counts = site.cluster.counts();
    let cluster = &site.app.metrics.link.frames;
    for (what, count) in [
        ("published", counts.published),
        ("dropped", counts.dropped),
        ("received", counts.received),
        ("malformed", counts.malformed),
        ("reconnects", counts.reconnects),
    ] {
        cluster
            .with_label_values(&[what])
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    site.app.metrics.process.refresh();
    match site.app.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
