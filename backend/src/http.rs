//! The HTTP side: REST, health, metrics and the page around the Socket.IO layer.
//!
//! Owns what every response carries and what is refused before any handler. It speaks to the same core as the sockets do.

mod admin;
pub mod auth;
mod call;
mod guard;
mod health;
mod instance;
mod lean;
mod metrics;
mod openapi;
pub mod page;
pub mod peer;
mod rooms;
mod routes;
mod search;
mod trial;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use socketioxide::layer::SocketIoLayer;
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::{AllowOrigin, CorsLayer, ExposeHeaders};

use crate::chat::refusal::{Code, Refusal};
use crate::protocol::Refused;
use crate::settings::{Dependency, Origins, Server};
use crate::socket::{Adapter, App};

pub use health::Watched;
pub use routes::operations;

/// Which instance answered. The page shows it, and tests look for it.
pub const INSTANCE_HEADER: HeaderName = HeaderName::from_static("x-berth-instance");

/// How long a browser may remember the answer to a preflight.
const PREFLIGHT_SECONDS: Duration = Duration::from_secs(600);

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
    pub(crate) hot: Mutex<admin::Hot>,
    /// Only where this was started to be tried out.
    pub trial: Option<crate::trial::Trial>,
    /// When this instance began to listen.
    pub started: std::time::Instant,
    /// Whether anybody may register.
    pub is_registration_open: bool,
    pub token_ttl: Duration,
    pub attempts: Mutex<auth::Attempts>,
    /// Searches, which are counted as attempts are.
    pub searches: Mutex<auth::Attempts>,
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

impl Site {
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Shared {
    pub(crate) fn attempts(&self) -> MutexGuard<'_, auth::Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn searches(&self) -> MutexGuard<'_, auth::Attempts> {
        self.searches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything this server answers. Layers run from the last to the first.
pub fn router(site: &Site, server: &Server, sockets: &SocketIoLayer<Adapter>) -> Router {
    let pages = routes::router()
        .merge(trial::routes())
        .layer(from_fn_with_state(site.clone(), guard::guard_changes))
        .with_state(site.clone())
        .merge(page::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(server.body_bytes_max));
    // Wrapped by hand, once: axum applies a layer to every route anew, and each would have Engine.IO sessions of its own.
    Router::new()
        .fallback_service(sockets.layer(pages).map_request(lean::lean))
        .layer(from_fn_with_state(site.clone(), guard::guard_handshake))
        .layer(cors(&server.cors_origins))
        .layer(from_fn_with_state(site.clone(), sign_and_count))
}

async fn not_found() -> Response {
    refused(
        StatusCode::NOT_FOUND,
        &Refusal::new(Code::BadRequest, "no such path"),
    )
}

async fn not_allowed() -> Response {
    refused(
        StatusCode::METHOD_NOT_ALLOWED,
        &Refusal::new(Code::BadRequest, "this path does not take that method"),
    )
}

/// Counts the request and names this instance on the response, whoever made it: Engine.IO and preflights included.
async fn sign_and_count(State(site): State<Site>, request: Request, next: Next) -> Response {
    site.app.metrics.http.requests_total.inc();
    let mut response = next.run(request).await;
    if let Some(code) = response.extensions().get::<Code>() {
        let refusals = &site.app.metrics.chat.refusals_total;
        refusals.with_label_values(&[code.as_str()]).inc();
    }
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
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers(ExposeHeaders::list([INSTANCE_HEADER, header::RETRY_AFTER]))
        .max_age(PREFLIGHT_SECONDS)
}

/// A refusal as JSON, in the shape of a negative ack.
pub(crate) fn refused(status: StatusCode, refusal: &Refusal) -> Response {
    let mut response = (status, Json(Refused::ack(refusal))).into_response();
    // Whoever sends the response counts it.
    response.extensions_mut().insert(refusal.code);
    if let Some(wait_ms) = refusal.retry_after_ms {
        let seconds = HeaderValue::from(wait_ms.div_ceil(1_000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        refused(status_of(self.code), &self)
    }
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
