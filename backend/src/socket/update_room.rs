//! `updateRoom`: another name, other rules. Everybody in the room is told.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::reply::Reply;
use crate::deeds::update_room::apply;
use crate::protocol::{RoomAnswer, RoomBody, UpdateRequest};

pub(super) async fn update(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let updated = match UpdateRequest::read(arguments) {
        Ok(request) => apply(app, client.person(), &request).await,
        Err(refusal) => Err(refusal),
    };
    match updated {
        Ok(standing) => {
            let room = RoomBody::from(&standing);
            reply.done(RoomAnswer { room }).await;
        }
        Err(refusal) => reply.refuse(&refusal, (None, None)).await,
    }
}
