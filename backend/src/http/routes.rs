//! What the API answers, one line per method and path. The router is built from it, and the API's document is checked against it.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::admin::orders;
use super::rooms::{direct, list, members, messages, room, there};
use super::{Site, admin, auth, health, instance, metrics, openapi, search, webhooks};

/// One of the API's operations.
struct Route {
    method: Method,
    path: &'static str,
    handler: MethodRouter<Site>,
}

fn get<H: Handler<T, Site>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route {
        method: Method::GET,
        path,
        handler: on(MethodFilter::GET, handler),
    }
}

fn post<H: Handler<T, Site>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route {
        method: Method::POST,
        path,
        handler: on(MethodFilter::POST, handler),
    }
}

fn put<H: Handler<T, Site>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route {
        method: Method::PUT,
        path,
        handler: on(MethodFilter::PUT, handler),
    }
}

fn patch<H: Handler<T, Site>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route {
        method: Method::PATCH,
        path,
        handler: on(MethodFilter::PATCH, handler),
    }
}

fn delete<H: Handler<T, Site>, T: 'static>(path: &'static str, handler: H) -> Route {
    Route {
        method: Method::DELETE,
        path,
        handler: on(MethodFilter::DELETE, handler),
    }
}

/// Who adds one describes it in `http/openapi.json`.
fn routes() -> Vec<Route> {
    vec![
        get("/metrics", metrics::metrics),
        get("/health/readiness", health::readiness),
        get("/health/liveness", health::liveness),
        get("/api/openapi.json", openapi::document),
        get("/api/instance", instance::instance),
        post("/api/auth/guest", auth::guest),
        post("/api/auth/register", auth::register),
        post("/api/auth/login", auth::login),
        post("/api/auth/logout", auth::logout),
        get("/api/auth/me", auth::me),
        post("/api/auth/token", auth::issue),
        get("/api/rooms", list::list),
        post("/api/rooms", list::create),
        get("/api/rooms/{id}", room::get),
        patch("/api/rooms/{id}", room::update),
        delete("/api/rooms/{id}", room::archive),
        get("/api/rooms/{id}/messages", messages::page),
        post("/api/rooms/{id}/messages", messages::post),
        patch("/api/rooms/{id}/messages/{seq}", messages::edit),
        delete("/api/rooms/{id}/messages/{seq}", messages::delete),
        put(
            "/api/rooms/{id}/messages/{seq}/reactions/{emoji}",
            messages::react,
        ),
        delete(
            "/api/rooms/{id}/messages/{seq}/reactions/{emoji}",
            messages::take_back,
        ),
        get("/api/rooms/{id}/members", members::list),
        get("/api/rooms/{id}/members/{userId}", members::get),
        put("/api/rooms/{id}/members/{userId}", members::put),
        delete("/api/rooms/{id}/members/{userId}", members::remove),
        post("/api/rooms/{id}/read", there::read),
        get("/api/rooms/{id}/presence", there::presence),
        post("/api/direct", direct::open),
        get("/api/search", search::search),
        get("/api/admin/overview", admin::overview),
        post("/api/admin/broadcast", orders::broadcast),
        post("/api/admin/kick", orders::kick),
        post("/api/admin/ban", orders::ban),
        post("/api/admin/drain", orders::drain),
        get("/api/webhooks", webhooks::list),
        post("/api/webhooks", webhooks::create),
        delete("/api/webhooks/{id}", webhooks::remove),
        post("/api/webhooks/{id}/resume", webhooks::resume),
    ]
}

/// The method and the path of every operation.
#[must_use]
pub fn operations() -> Vec<(String, &'static str)> {
    let routes = routes().into_iter();
    routes
        .map(|route| (route.method.to_string(), route.path))
        .collect()
}

pub(super) fn router() -> Router<Site> {
    routes().into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.handler)
    })
}
