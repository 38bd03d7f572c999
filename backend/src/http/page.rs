//! The chat page: static files baked into the program, served with headers that keep a browser strict about them.
//!
//! It knows nothing of chat; the page talks Socket.IO and `/api/auth` like any other client.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// Everything comes from this origin; nothing is inline, so text that slips into the markup still cannot run.
/// `ws:` and `wss:` are spelled out because older Safari does not count a WebSocket as `'self'`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

struct Asset {
    name: &'static str,
    content_type: &'static str,
    body: &'static str,
    /// A strong validator: quoted hex of the body's hash. The names carry no version, so browsers ask every time.
    etag: HeaderValue,
}

impl Asset {
    fn new(name: &'static str, content_type: &'static str, body: &'static str) -> Self {
        Self {
            name,
            content_type,
            body,
            etag: etag_of(body),
        }
    }
}

macro_rules! asset {
    ($name:literal, $content_type:expr) => {
        Asset::new(
            $name,
            $content_type,
            include_str!(concat!("../../page/", $name)),
        )
    };
}

static INDEX: LazyLock<Asset> = LazyLock::new(|| asset!("index.html", HTML));

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    vec![
        asset!("admin.css", CSS),
        asset!("chat.css", CSS),
        asset!("rooms.css", CSS),
        asset!("icon.svg", SVG),
        asset!("lock.svg", SVG),
        asset!("about_room.js", JAVASCRIPT),
        asset!("admin.js", JAVASCRIPT),
        asset!("bars.js", JAVASCRIPT),
        asset!("berth-chat.js", JAVASCRIPT),
        asset!("chaos.js", JAVASCRIPT),
        asset!("chat.js", JAVASCRIPT),
        asset!("composer.js", JAVASCRIPT),
        asset!("courier.js", JAVASCRIPT),
        asset!("element.js", JAVASCRIPT),
        asset!("figures.js", JAVASCRIPT),
        asset!("finder.js", JAVASCRIPT),
        asset!("fleet.js", JAVASCRIPT),
        asset!("frames.js", JAVASCRIPT),
        asset!("gate.js", JAVASCRIPT),
        asset!("header.js", JAVASCRIPT),
        asset!("identity.js", JAVASCRIPT),
        asset!("instance_table.js", JAVASCRIPT),
        asset!("link.js", JAVASCRIPT),
        asset!("log.js", JAVASCRIPT),
        asset!("message.js", JAVASCRIPT),
        asset!("moderation.js", JAVASCRIPT),
        asset!("my_rooms.js", JAVASCRIPT),
        asset!("new_room.js", JAVASCRIPT),
        asset!("operator.js", JAVASCRIPT),
        asset!("orders.js", JAVASCRIPT),
        asset!("outbox.js", JAVASCRIPT),
        asset!("people.js", JAVASCRIPT),
        asset!("person_menu.js", JAVASCRIPT),
        asset!("polling.js", JAVASCRIPT),
        asset!("read_marks.js", JAVASCRIPT),
        asset!("refusal.js", JAVASCRIPT),
        asset!("room.js", JAVASCRIPT),
        asset!("room_list.js", JAVASCRIPT),
        asset!("rows.js", JAVASCRIPT),
        asset!("search.js", JAVASCRIPT),
        asset!("sidebar.js", JAVASCRIPT),
        asset!("socket.js", JAVASCRIPT),
        asset!("speech.js", JAVASCRIPT),
        asset!("sure.js", JAVASCRIPT),
        asset!("text.js", JAVASCRIPT),
        asset!("timeline.js", JAVASCRIPT),
        asset!("webhook_table.js", JAVASCRIPT),
    ]
});

/// The operator's page. What it shows is behind the admin token, itself it knows nothing.
static ADMIN: LazyLock<Asset> = LazyLock::new(|| asset!("admin.html", HTML));

/// The client helper under the name that others import. Its parts lie beside the page's, which is one of its users.
static HELPER: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "/berth-chat.js",
        JAVASCRIPT,
        "export * from \"./page/berth-chat.js\";\n",
    )
});

/// `GET /`, `GET /admin`, `GET /page/{file}` and `GET /berth-chat.js`.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(index))
        .route("/admin", get(admin))
        .route("/page/{file}", get(file))
        .route("/berth-chat.js", get(helper))
}

async fn index(headers: HeaderMap) -> Response {
    answer(&INDEX, &headers)
}

async fn admin(headers: HeaderMap) -> Response {
    answer(&ADMIN, &headers)
}

async fn helper(headers: HeaderMap) -> Response {
    answer(&HELPER, &headers)
}

async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => answer(asset, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer(asset: &Asset, request: &HeaderMap) -> Response {
    let known = request
        .get(header::IF_NONE_MATCH)
        .is_some_and(|tags| has_tag(tags, &asset.etag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        asset.body.into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, asset.etag.clone());
    response
}

/// Whether an `If-None-Match` list names `etag`, compared weakly (RFC 9110 section 13.1.2).
fn has_tag(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    tags.as_bytes().split(|byte| *byte == b',').any(|tag| {
        let tag = tag.trim_ascii();
        tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes()
    })
}

fn etag_of(body: &str) -> HeaderValue {
    let digest = Sha256::digest(body.as_bytes());
    let hex: String = digest
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Quoted hex is always a valid header value; an empty tag would only cost a download.
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests;
