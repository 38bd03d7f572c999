//! `POST /api/trial/restart` and `/api/trial/bus`: breaks something on purpose, where `berth` was started to be tried out.
//!
//! Only for who sits at this machine, by a page of this origin: whoever reaches a demo over a network may look at it and no more.

use std::net::{IpAddr, SocketAddr};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::json;

use super::guard::is_same_origin;
use super::peer::Peer;
use super::{Site, not_found, refused};
use crate::chat::refusal::{Code, Refusal};
use crate::trial::Wish;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Restart {
    instance_id: String,
}

#[derive(Deserialize)]
pub(super) struct Bus {
    on: bool,
}

/// No part of the API: they are there to be tried out with the page.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/api/trial/restart", post(restart))
        .route("/api/trial/bus", post(bus))
}

async fn restart(
    State(site): State<Site>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Json(body): Json<Restart>,
) -> Response {
    let instance = body.instance_id;
    wish(&site, peer, &headers, Wish::Restart { instance }).await
}

async fn bus(
    State(site): State<Site>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Json(body): Json<Bus>,
) -> Response {
    wish(&site, peer, &headers, Wish::Bus { on: body.on }).await
}

async fn wish(
    site: &Site,
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
    wish: Wish,
) -> Response {
    let Some(trial) = &site.trial else {
        return not_found().await;
    };
    if !may_wish(peer, headers) {
        let message = "only whoever sits at this machine may break things";
        let refusal = Refusal::new(Code::Forbidden, message);
        return refused(StatusCode::FORBIDDEN, &refusal);
    }
    trial.wish(wish);
    (StatusCode::ACCEPTED, Json(json!({"ok": true}))).into_response()
}

/// The other end is this machine, so is everybody for whom it speaks, and no other site's page asks.
pub(super) fn may_wish(peer: Option<Extension<Peer>>, headers: &HeaderMap) -> bool {
    let is_peer_here = peer.is_some_and(|Extension(Peer(address))| is_here(address.ip()));
    let told = headers.get_all("x-real-ip").iter();
    let forwarded = headers.get_all("x-forwarded-for").iter();
    let are_clients_here = told.chain(forwarded).all(|value| {
        let mut addresses = value.to_str().unwrap_or_default().split(',');
        addresses.all(|text| read(text).is_some_and(is_here))
    });
    let is_page_ours = !headers.contains_key(header::ORIGIN) || is_same_origin(headers);
    is_peer_here && are_clients_here && is_page_ours
}

fn read(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.parse().ok();
    bare.or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

fn is_here(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(peer: &str, lines: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        may_wish(Some(Extension(Peer(peer.parse().unwrap()))), &headers)
    }

    #[test]
    fn only_who_sits_at_this_machine_may_break_things() {
        for peer in ["127.0.0.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
            assert!(may(peer, &[]), "{peer}");
            assert!(may(
                peer,
                &[("x-real-ip", "127.0.0.1"), ("x-forwarded-for", "::1")]
            ));
        }
        assert!(!may("192.0.2.7:5", &[]));
        assert!(!may_wish(None, &HeaderMap::new()));
        for (name, value) in [
            ("x-real-ip", "192.0.2.7"),
            ("x-real-ip", "nonsense"),
            ("x-forwarded-for", "127.0.0.1, 192.0.2.7"),
            ("x-forwarded-for", ""),
        ] {
            assert!(!may("127.0.0.1:5", &[(name, value)]), "{name}: {value}");
        }
    }

    #[test]
    fn another_sites_page_may_not() {
        let from = |origin| may("127.0.0.1:5", &[("origin", origin)]);
        assert!(from("http://127.0.0.1:8080"));
        assert!(!from("http://127.0.0.1:8081"));
        assert!(!from("https://evil.example"));
        assert!(!from("null"));
    }
}
