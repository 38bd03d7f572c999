//! Webhooks and what is kept of them as rows, both ways.

use rusqlite::Row;

use crate::webhooks::{
    Cursor, Receiver, Record, SigningSecret, Standing, State, Wants, Webhook, WebhookId,
    WebhooksError,
};

/// The columns of a webhook: id, url, secrets, kinds, rooms (lists as JSON), created_ms.
type Columns = (String, String, String, String, String, i64);

pub(super) fn columns(webhook: &Webhook) -> Result<Columns, WebhooksError> {
    let json = |list: Vec<String>| {
        serde_json::to_string(&list).map_err(|why| WebhooksError::Broken(why.to_string()))
    };
    let secrets = webhook.secrets.iter().map(SigningSecret::reveal).collect();
    Ok((
        webhook.id.as_str().to_owned(),
        webhook.url.reveal().to_owned(),
        json(secrets)?,
        json(webhook.wants.kinds())?,
        json(webhook.wants.rooms())?,
        webhook.created_ms,
    ))
}

pub(super) fn texts(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}

/// What is no webhook in a row is somebody else's doing.
pub(super) fn webhook(columns: Columns) -> Result<Webhook, WebhooksError> {
    let (id, url, secrets, kinds, rooms, created_ms) = columns;
    let broken =
        |what: &str| WebhooksError::Broken(format!("{what} of webhook {id} is not Berth's"));
    let list =
        |json: &str, what| serde_json::from_str::<Vec<String>>(json).map_err(|_| broken(what));
    let secrets = list(&secrets, "the secret")?;
    let secrets = secrets.iter().map(|text| SigningSecret::parse(text));
    Ok(Webhook {
        secrets: secrets
            .collect::<Result<_, _>>()
            .map_err(|_| broken("the secret"))?,
        wants: Wants::parse(&list(&kinds, "kinds")?, &list(&rooms, "rooms")?)
            .map_err(|_| broken("what it wants"))?,
        id: WebhookId::parse(&id).map_err(|_| broken("the id"))?,
        url: Receiver::parse(&url).map_err(|_| broken("the URL"))?,
        created_ms,
    })
}

/// None: its id is not one of ours.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Option<Record>> {
    let Ok(id) = WebhookId::parse(&row.get::<_, String>(0)?) else {
        return Ok(None);
    };
    Ok(Some(Record {
        id,
        is_begun: row.get(1)?,
        holder: row.get(2)?,
        standing: Standing {
            state: State::parse(&row.get::<_, String>(3)?),
            failing_since_ms: row.get(4)?,
            failures: row.get::<_, i64>(5)?.try_into().unwrap_or(0),
            error: row.get(6)?,
            delivered_ms: row.get(7)?,
        },
        resumed_ms: row.get(8)?,
    }))
}

pub(super) fn cursor(row: &Row<'_>) -> rusqlite::Result<Cursor> {
    let seq: i64 = row.get(0)?;
    Ok(Cursor {
        seq: u64::try_from(seq).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, seq))?,
        epoch: row.get(1)?,
    })
}

/// A number as it is stored.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
