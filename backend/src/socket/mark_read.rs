//! `markRead`: up to where somebody has read. It only moves forward; small rooms are told.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::reply::Reply;
use crate::deeds::mark_read;
use crate::protocol::MarkRequest;

pub(super) async fn mark(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let request = match MarkRequest::read(arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    let seat = client.seat(&reply.socket, &request.room);
    match mark_read::mark(app, client.person(), &seat, &request).await {
        Ok(marked) => reply.done(marked).await,
        Err(refusal) => {
            let about = (Some(request.room.as_str()), None);
            reply.refuse(&refusal, about).await;
        }
    }
}
