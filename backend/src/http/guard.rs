//! Refuses what another site's page must not do in a visitor's name, before any handler sees it.
//!
//! Browsers send cookies along with a WebSocket handshake and with many requests that another site's page makes. CORS does not stop
//! those; it only hides the answers. So origins are judged here.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{Site, refused};
use crate::chat::refusal::{Code, Refusal};
use crate::session::cookie;
use crate::settings::Origins;

/// Refuses handshakes that cannot or must not succeed, before Engine.IO makes a session of them.
pub(super) async fn guard_handshake(
    State(site): State<Site>,
    request: Request,
    next: Next,
) -> Response {
    if !request.uri().path().starts_with("/socket.io") {
        return next.run(request).await;
    }
    // WebSockets know no CORS, and a form can post a polling payload: so every request of a handshake and after it is judged.
    if !is_origin_allowed(&site.origins, request.headers()) {
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
    if !has_session && site.app.is_leaving() {
        // A plain 503 makes the client try again; a Socket.IO refusal would make it give up.
        return refused(StatusCode::SERVICE_UNAVAILABLE, &Refusal::draining());
    }
    next.run(request).await
}

/// Refuses changes by another site's page in the name of a visitor's cookie.
pub(super) async fn guard_changes(
    State(site): State<Site>,
    request: Request,
    next: Next,
) -> Response {
    let is_change = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let is_ours = request.uri().path().starts_with("/api/");
    if is_change && is_ours && is_cross_site_change(&site.origins, request.headers()) {
        return refused(
            StatusCode::FORBIDDEN,
            &Refusal::new(
                Code::Forbidden,
                "another site's page may not do this with a cookie; allow its origin and send JSON",
            ),
        );
    }
    next.run(request).await
}

/// Whether a change must be refused: a browser sends a cookie along, from a page that is neither ours nor allowed, or in a form that
/// needs no preflight. Programs other than browsers send no `Origin`, and browsers send one with every such request.
fn is_cross_site_change(origins: &Origins, headers: &HeaderMap) -> bool {
    if !has_session_cookie(headers) || is_same_origin(headers) {
        return false;
    }
    if headers.contains_key(header::ORIGIN) {
        return !(is_origin_allowed(origins, headers) && is_json(headers));
    }
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site" || site == "same-site")
}

fn has_session_cookie(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::COOKIE).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .any(|pair| {
            let name = pair.split(|byte| *byte == b'=').next();
            name.is_some_and(|name| name.trim_ascii() == cookie::NAME.as_bytes())
        })
}

/// A form cannot send it; a script of another origin can only after a preflight that we allowed.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|text| text.split(';').next());
    media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case("application/json"))
}

fn is_origin_allowed(origins: &Origins, headers: &HeaderMap) -> bool {
    let Origins::Only(allowed) = origins else {
        return true;
    };
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    is_same_origin(headers) || allowed.iter().any(|one| one == origin)
}

/// Whether the page comes from this host. The scheme is the proxy's business.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    match (
        origin.and_then(|origin| origin.split_once("://")),
        headers.get(header::HOST),
    ) {
        (Some((_, authority)), Some(host)) => host.as_bytes() == authority.as_bytes(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers as `name: value` lines.
    fn headers(lines: &[&str]) -> HeaderMap {
        let pairs = lines.iter().map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse().unwrap(), value.parse().unwrap())
        });
        let pairs: Vec<(header::HeaderName, header::HeaderValue)> = pairs.collect();
        pairs.into_iter().collect()
    }

    #[track_caller]
    fn check(lines: &[&str], is_refused_by_any: bool, is_refused_by_named: bool) {
        let mut all = vec!["host: chat.example"];
        all.extend(lines);
        let named = Origins::Only(vec!["https://app.example".to_owned()]);
        let refused = (
            is_cross_site_change(&Origins::Any, &headers(&all)),
            is_cross_site_change(&named, &headers(&all)),
        );
        assert_eq!(refused, (is_refused_by_any, is_refused_by_named), "{all:?}");
    }

    const COOKIE: &str = "cookie: a=1; connect.sid=s%3Ax.y";
    const JSON: &str = "content-type: application/json; charset=utf-8";

    #[test]
    fn a_cookie_counts_only_for_pages_that_may_use_it() {
        check(&[COOKIE, "origin: https://chat.example"], false, false);
        check(&[COOKIE, "origin: https://app.example", JSON], false, false);
        check(&[COOKIE, "origin: https://evil.example", JSON], false, true);
        check(&[COOKIE, "origin: null", JSON], false, true);
    }

    #[test]
    fn a_form_of_another_origin_is_refused_always() {
        for origin in ["https://app.example", "https://evil.example", "null"] {
            let origin = format!("origin: {origin}");
            check(&[COOKIE, &origin, "content-type: text/plain"], true, true);
            check(&[COOKIE, &origin], true, true);
        }
        check(&[COOKIE, "sec-fetch-site: cross-site"], true, true);
    }

    #[test]
    fn without_a_cookie_or_a_browser_there_is_nothing_to_refuse() {
        check(&["origin: https://evil.example"], false, false);
        check(
            &["cookie: xconnect.sid=1", "origin: https://evil.example"],
            false,
            false,
        );
        check(&[COOKIE], false, false);
        check(&[COOKIE, JSON], false, false);
        check(&[COOKIE, "sec-fetch-site: same-origin"], false, false);
    }
}
