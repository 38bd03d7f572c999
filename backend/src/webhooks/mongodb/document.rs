//! Webhooks and what is kept of them as documents, both ways.

use std::collections::HashMap;

use mongodb::bson::{self, Bson, Document, doc};

use crate::chat::room::RoomId;
use crate::webhooks::{
    Cursor, Receiver, Record, SigningSecret, Standing, State, Wants, Webhook, WebhookId,
    WebhooksError,
};

pub(super) fn of(webhook: &Webhook) -> Document {
    let secrets: Vec<String> = webhook.secrets.iter().map(SigningSecret::reveal).collect();
    doc! {
        "_id": webhook.id.as_str(),
        "url": webhook.url.reveal(),
        "secrets": secrets,
        "kinds": webhook.wants.kinds(),
        "rooms": webhook.wants.rooms(),
        "createdAt": bson::DateTime::from_millis(webhook.created_ms),
    }
}

/// What is no webhook in a document is somebody else's doing.
pub(super) fn webhook(found: &Document) -> Result<Webhook, WebhooksError> {
    let broken =
        |what: &str| WebhooksError::Broken(format!("a document of `webhooks` has no {what}"));
    let text = |key: &str| found.get_str(key).map_err(|_| broken(key));
    let list = |key: &str| -> Result<Vec<&str>, WebhooksError> {
        let list = found.get_array(key).map_err(|_| broken(key))?;
        Ok(list.iter().filter_map(Bson::as_str).collect())
    };
    let secrets = list("secrets")?;
    let secrets = secrets.iter().map(|text| SigningSecret::parse(text));
    let created = found.get_datetime("createdAt");
    Ok(Webhook {
        id: WebhookId::parse(text("_id")?).map_err(|_| broken("_id"))?,
        url: Receiver::parse(text("url")?).map_err(|_| broken("url"))?,
        secrets: secrets
            .collect::<Result<_, _>>()
            .map_err(|_| broken("secrets"))?,
        wants: Wants::parse(&list("kinds")?, &list("rooms")?).map_err(|_| broken("kinds"))?,
        created_ms: created.map_err(|_| broken("createdAt"))?.timestamp_millis(),
    })
}

pub(super) fn standing(standing: &Standing) -> Document {
    let date = |ms: Option<i64>| ms.map(bson::DateTime::from_millis);
    doc! {
        "state": standing.state.as_str(),
        "failingSince": date(standing.failing_since_ms),
        "failures": stored(standing.failures),
        "error": &standing.error,
        "deliveredAt": date(standing.delivered_ms),
    }
}

/// None: its id is not one of ours. Fields that nobody has set are missing.
pub(super) fn record(found: &Document) -> Option<Record> {
    let text = |key: &str| found.get_str(key).ok();
    let ms = |key: &str| Some(found.get_datetime(key).ok()?.timestamp_millis());
    Some(Record {
        id: WebhookId::parse(text("_id")?).ok()?,
        is_begun: found.get_bool("isBegun").unwrap_or(false),
        holder: text("holder").map(str::to_owned),
        standing: Standing {
            state: State::parse(text("state").unwrap_or_default()),
            failing_since_ms: ms("failingSince"),
            failures: found.get_i64("failures").map_or(0, count),
            error: text("error").map(str::to_owned),
            delivered_ms: ms("deliveredAt"),
        },
        resumed_ms: found.get_i64("resumedMs").unwrap_or(0),
    })
}

pub(super) fn cursor(cursor: &Cursor) -> Document {
    doc! { "seq": stored(cursor.seq), "epoch": &cursor.epoch }
}

/// Of these rooms, in their order.
pub(super) fn cursors(
    found: &[Document],
    rooms: &[RoomId],
) -> Result<Vec<Option<Cursor>>, WebhooksError> {
    let broken =
        |_| WebhooksError::Broken("a document of `webhookCursors` is not Berth's".to_owned());
    let mut by_room = HashMap::new();
    for one in found {
        let room = one.get_document("_id").and_then(|id| id.get_str("roomId"));
        let cursor = Cursor {
            seq: one.get_i64("seq").map(count).map_err(broken)?,
            epoch: one.get_str("epoch").map_err(broken)?.to_owned(),
        };
        by_room.insert(room.map_err(broken)?, cursor);
    }
    let cursor = |room: &RoomId| by_room.get(room.as_str()).cloned();
    Ok(rooms.iter().map(cursor).collect())
}

fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}
