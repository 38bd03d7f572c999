//! `createRoom`: a room with an owner.

use serde_json::Value;

use super::App;
use super::connect::Client;
use super::reply::Reply;
use crate::deeds::create_room::make;
use crate::protocol::{CreateRequest, RoomAnswer, RoomBody};

pub(super) async fn create(app: &App, client: &Client, arguments: Vec<Value>, reply: Reply) {
    let made = match CreateRequest::read(arguments) {
        Ok(request) => make(app, client.person(), request).await,
        Err(refusal) => Err(refusal),
    };
    match made {
        Ok(standing) => {
            let room = RoomBody::from(&standing);
            reply.done(RoomAnswer { room }).await;
        }
        Err(refusal) => reply.refuse(&refusal, (None, None)).await,
    }
}
