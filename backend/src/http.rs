//! The HTTP side: REST, health, metrics and the page around the Socket.IO layer.
//!
//! Owns what every response carries and what is refused before any handler. It speaks to the same core as the sockets do.

mod admin;
pub mod auth;
mod health;
mod instance;
mod metrics;
pub mod page;
mod rooms;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use socketioxide::layer::SocketIoLayer;
use tower::Layer as _;
use tower_http::cors::{AllowOrigin, CorsLayer, ExposeHeaders};

use crate::chat::refusal::{Code, Refusal};
use crate::protocol::Refused;
use crate::settings::{Dependency, Origins, Server};
use crate::socket::{Adapter, App, end_if_evicted};

pub use health::Watched;

/// Which instance answered. The page shows it, and tests look for it.
pub const INSTANCE_HEADER: HeaderName = HeaderName::from_static("x-berth-instance");

/// How long a browser may remember the answer to a preflight.
const PREFLIGHT_SECONDS: std::time::Duration = std::time::Duration::from_secs(600);

/// What the HTTP handlers share.
#[derive(Clone)]
pub struct Site(Arc<Shared>);

impl std::ops::Deref for Site {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

pub struct Shared {
    pub app: Arc<App>,
    pub origins: Origins,
    pub instance_header: HeaderValue,
    pub port: u16,
    pub cluster: berth_adapter::Cluster,
    pub readiness_requires: Option<Vec<Dependency>>,
    pub session: crate::settings::Session,
    pub admin: crate::settings::Admin,
    /// When this instance began to listen.
    pub started: std::time::Instant,
}

impl Site {
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

/// Everything this server answers. Layers run from the last to the first.
pub fn router(site: &Site, server: &Server, sockets: &SocketIoLayer<Adapter>) -> Router {
    let pages = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/health/readiness", get(health::readiness))
        .route("/health/liveness", get(health::liveness))
        .route("/api/instance", get(instance::instance))
        .route("/api/admin/overview", get(admin::overview))
        .route("/api/auth/guest", post(auth::guest))
        .route("/api/auth/me", get(auth::me))
        .route("/api/auth/logout", post(auth::logout))
        .route("/api/rooms/{id}/messages", get(rooms::messages))
        .with_state(site.clone())
        .merge(page::routes())
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(server.body_bytes_max));
    // Wrapped by hand, once: axum applies a layer to every route anew, and each would have Engine.IO sessions of its own.
    Router::new()
        .fallback_service(sockets.layer(pages))
        .layer(from_fn_with_state(site.clone(), guard_handshake))
        .layer(cors(&server.cors_origins))
        .layer(from_fn_with_state(site.clone(), sign_and_count))
}

async fn not_found() -> Response {
    refused(
        StatusCode::NOT_FOUND,
        &Refusal::new(Code::BadRequest, "no such path"),
    )
}

/// Counts the request and names this instance on the response, whoever made it: Engine.IO and preflights included.
async fn sign_and_count(State(site): State<Site>, request: Request, next: Next) -> Response {
    site.app.metrics.http.requests_total.inc();
    let mut response = next.run(request).await;
    let class = match response.status().as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    site.app
        .metrics
        .http
        .responses_total
        .with_label_values(&[class])
        .inc();
    response
        .headers_mut()
        .insert(INSTANCE_HEADER, site.instance_header.clone());
    response
}

/// Refuses handshakes that cannot or must not succeed, before Engine.IO makes a session of them.
async fn guard_handshake(State(site): State<Site>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/socket.io") {
        return next.run(request).await;
    }
    if !is_origin_allowed(&site.origins, &request) {
        return refused(
            StatusCode::FORBIDDEN,
            &Refusal::new(Code::Forbidden, "this origin is not allowed"),
        );
    }
    let has_session = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair.starts_with("sid="));
    if !has_session && site.app.draining.is_cancelled() {
        // A plain 503 makes the client try again; a Socket.IO refusal would make it give up.
        return refused(StatusCode::SERVICE_UNAVAILABLE, &Refusal::draining());
    }
    if has_session {
        return end_if_evicted(&site.app, request, next).await;
    }
    next.run(request).await
}

/// WebSockets know no CORS: another site's page could use the visitor's cookie. So the origin is judged here.
fn is_origin_allowed(origins: &Origins, request: &Request) -> bool {
    let Origins::Only(allowed) = origins else {
        return true;
    };
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let is_same_site = match (
        origin.split_once("://"),
        request.headers().get(header::HOST),
    ) {
        (Some((_, authority)), Some(host)) => host.as_bytes() == authority.as_bytes(),
        _ => false,
    };
    is_same_site || allowed.iter().any(|one| one == origin)
}

fn cors(origins: &Origins) -> CorsLayer {
    let allowed = match origins {
        Origins::Any => AllowOrigin::mirror_request(),
        Origins::Only(list) => AllowOrigin::list(
            list.iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok()),
        ),
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
        .expose_headers(ExposeHeaders::list([INSTANCE_HEADER]))
        .max_age(PREFLIGHT_SECONDS)
}

/// A refusal as JSON, in the shape of a negative ack.
pub(crate) fn refused(status: StatusCode, refusal: &Refusal) -> Response {
    (status, Json(Refused::ack(refusal))).into_response()
}

/// The status that goes with a refusal.
pub(crate) fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Forbidden | Code::NotMember | Code::Muted | Code::Banned => StatusCode::FORBIDDEN,
        Code::RoomNotFound => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RateLimited | Code::SlowMode => StatusCode::TOO_MANY_REQUESTS,
        Code::SessionStoreUnavailable | Code::Overloaded | Code::Unavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
