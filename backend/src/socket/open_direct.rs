//! `openDirect`: the room between two users, the same whoever opens it and however often.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::reply::Reply;
use crate::deeds::open_direct::make;
use crate::protocol::{DirectRequest, RoomAnswer, RoomBody};

pub(super) async fn open(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let opened = match DirectRequest::read(arguments) {
        Ok(request) => make(app, client.person(), &request.user_id).await,
        Err(refusal) => Err(refusal),
    };
    match opened {
        Ok(standing) => {
            let room = RoomBody::from(&standing);
            reply.done(RoomAnswer { room }).await;
        }
        Err(refusal) => reply.refuse(&refusal, (None, None)).await,
    }
}
