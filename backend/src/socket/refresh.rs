//! `authRefresh`: the same user brings a new token, and stays.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::hold::Hold;
use super::reply::Reply;
use crate::chat::refusal::{Code, Refusal};
use crate::date::to_iso;
use crate::http::auth::bearer;
use crate::protocol::{RefreshRequest, Refreshed};

pub(super) async fn refresh(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    match renew(app, client, arguments).await {
        Ok(ends_ms) => {
            let expires_at = to_iso(ends_ms);
            reply.done(Refreshed { expires_at }).await;
        }
        Err(refusal) => reply.refuse(&refusal, (None, None)).await,
    }
}

/// A bad token changes nothing: what the connection rests on holds until it ends.
async fn renew(app: &App, client: &Client, arguments: Vec<Value>) -> Result<i64, Refusal> {
    let request = RefreshRequest::read(arguments)?;
    let bearer = bearer(app, &request.token).await?;
    if bearer.sender.id != client.sender.id {
        let why = "this token is another user's; connect anew to change who you are";
        return Err(Refusal::new(Code::Forbidden, why));
    }
    client.set_hold(Hold::from(&bearer));
    Ok(bearer.ends_ms)
}
