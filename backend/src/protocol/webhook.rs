//! Webhooks as operators see them over HTTP.

use serde::{Deserialize, Serialize};

use crate::chat::refusal::Refusal;
use crate::date::to_iso;
use crate::webhooks::{Receiver, Shown, SigningSecret, Standing, Wants, Webhook};

/// The body of `POST /api/webhooks`.
#[derive(Debug, Deserialize)]
pub struct WebhookRequest {
    url: String,
    /// None: one is made.
    secret: Option<String>,
    /// None or empty: every kind.
    #[serde(default)]
    kinds: Vec<String>,
    /// None or empty: every room.
    #[serde(default)]
    rooms: Vec<String>,
}

/// The same, judged.
#[derive(Debug)]
pub struct NewWebhook {
    pub url: Receiver,
    pub secret: Option<SigningSecret>,
    pub wants: Wants,
}

impl WebhookRequest {
    /// # Errors
    /// `BAD_REQUEST` with what would be right.
    pub fn read(body: &[u8]) -> Result<NewWebhook, Refusal> {
        let request: Self = serde_json::from_slice(body).map_err(|why| {
            Refusal::bad_request(format!(
                "the body is not as in {{\"url\": \"https://example.com/hook\", \"rooms\": [\"lobby\"]}}: {why}"
            ))
        })?;
        let bad = |field: &str| {
            let field = field.to_owned();
            move |why: String| Refusal::bad_request(format!("{field} {why}"))
        };
        let secret = request.secret.as_deref().map(SigningSecret::parse);
        Ok(NewWebhook {
            url: Receiver::parse(&request.url).map_err(bad("url"))?,
            secret: secret.transpose().map_err(bad("secret"))?,
            wants: Wants::parse(&request.kinds, &request.rooms).map_err(bad("webhook"))?,
        })
    }
}

/// One webhook. Never with its secret, but for [`CreatedWebhook`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookBody {
    id: String,
    url: String,
    kinds: Vec<String>,
    rooms: Vec<String>,
    /// Where it is from: `settings` or `api`.
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<String>,
    /// The instance that tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
}

/// The answer to `GET /api/webhooks`.
#[derive(Debug, Serialize)]
pub struct WebhooksBody {
    pub webhooks: Vec<WebhookBody>,
}

/// The answer to `POST /api/webhooks`: the only one with the secret.
#[derive(Debug, Serialize)]
pub struct CreatedWebhook {
    webhook: WebhookBody,
    secret: String,
}

impl From<&Shown> for WebhookBody {
    fn from(shown: &Shown) -> Self {
        let (webhook, standing) = (&shown.webhook, &shown.standing);
        // Behind the mark is which start of it.
        let holder = shown
            .holder
            .as_deref()
            .and_then(|holder| holder.rsplit_once('#'));
        Self {
            id: webhook.id.as_str().to_owned(),
            url: webhook.url.reveal().to_owned(),
            kinds: webhook.wants.kinds(),
            rooms: webhook.wants.rooms(),
            origin: if shown.is_own { "settings" } else { "api" },
            created_at: (!shown.is_own).then(|| to_iso(webhook.created_ms)),
            state: standing.state.as_str(),
            failing_since: standing.failing_since_ms.map(to_iso),
            failures: standing.failures,
            error: standing.error.clone(),
            delivered_at: standing.delivered_ms.map(to_iso),
            instance_id: holder.map(|(instance, _)| instance.to_owned()),
        }
    }
}

impl From<Webhook> for CreatedWebhook {
    fn from(webhook: Webhook) -> Self {
        let secrets: Vec<String> = webhook.secrets.iter().map(SigningSecret::reveal).collect();
        let shown = Shown {
            webhook,
            is_own: false,
            holder: None,
            standing: Standing::default(),
        };
        Self {
            webhook: WebhookBody::from(&shown),
            secret: secrets.join(","),
        }
    }
}
