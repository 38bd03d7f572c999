//! `/api/webhooks`: who is told of what is said. For whoever has the admin token.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;

use super::{Site, admin, refused, status_of};
use crate::chat::refusal::{Code, Refusal};
use crate::protocol::{CreatedWebhook, Done, Nothing, WebhookBody, WebhookRequest, WebhooksBody};
use crate::webhooks::{NotRemoved, WebhookId};

pub(super) async fn list(State(site): State<Site>, headers: HeaderMap) -> Response {
    answer(StatusCode::OK, listed(&site, &headers).await)
}

pub(super) async fn create(State(site): State<Site>, headers: HeaderMap, body: Bytes) -> Response {
    answer(StatusCode::CREATED, created(&site, &headers, &body).await)
}

pub(super) async fn remove(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    answer(StatusCode::OK, removed(&site, &headers, &id).await)
}

pub(super) async fn resume(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    answer(StatusCode::OK, resumed(&site, &headers, &id).await)
}

async fn listed(site: &Site, headers: &HeaderMap) -> Result<WebhooksBody, Refusal> {
    admin::admit(&site.admin, headers)?;
    let shown = site.app.webhooks.shown().await?;
    Ok(WebhooksBody {
        webhooks: shown.iter().map(WebhookBody::from).collect(),
    })
}

async fn created(
    site: &Site,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<CreatedWebhook, Refusal> {
    admin::admit(&site.admin, headers)?;
    let new = WebhookRequest::read(body)?;
    let webhook = site.app.webhooks.create(new.url, new.secret, new.wants);
    Ok(CreatedWebhook::from(webhook.await?))
}

async fn removed(site: &Site, headers: &HeaderMap, id: &str) -> Result<Nothing, Refusal> {
    admin::admit(&site.admin, headers)?;
    match site.app.webhooks.remove(&known(id)?).await {
        Ok(()) => Ok(Nothing {}),
        Err(NotRemoved::Unknown) => Err(unknown()),
        Err(NotRemoved::Own) => {
            let message = "this webhook is of the settings; remove it there";
            Err(Refusal::new(Code::Conflict, message))
        }
        Err(NotRemoved::Failed(error)) => Err(error.into()),
    }
}

async fn resumed(site: &Site, headers: &HeaderMap, id: &str) -> Result<Nothing, Refusal> {
    admin::admit(&site.admin, headers)?;
    match site.app.webhooks.resume(&known(id)?).await? {
        true => Ok(Nothing {}),
        false => Err(unknown()),
    }
}

fn known(id: &str) -> Result<WebhookId, Refusal> {
    WebhookId::parse(id).map_err(|_| unknown())
}

fn unknown() -> Refusal {
    Refusal::new(Code::BadRequest, "there is no such webhook")
}

/// What is nowhere is 404, whatever else a bad request is.
fn answer<T: Serialize>(status: StatusCode, result: Result<T, Refusal>) -> Response {
    let mut response = match result {
        Ok(body) => (status, Json(Done::new(body))).into_response(),
        Err(refusal) if refusal == unknown() => refused(StatusCode::NOT_FOUND, &refusal),
        Err(refusal) => refused(status_of(refusal.code), &refusal),
    };
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}
