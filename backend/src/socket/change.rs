//! `editMessage`, `deleteMessage`, `addReaction`, `removeReaction`: about a message that is there.

use std::time::Instant;

use serde_json::Value;

use super::connect::Client;
use super::reply::Reply;
use super::{App, send};
use crate::chat::refusal::Refusal;
use crate::deeds::change::append;
use crate::protocol::{ChangeRequest, Event};

pub(super) async fn change(
    app: &App,
    client: &Client,
    arguments: Vec<Value>,
    reply: Reply,
    arrived: Instant,
) {
    let request = match read(reply.event, arguments) {
        Ok(request) => request,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    let (room, client_msg_id) = (request.room.clone(), request.change.client_msg_id.clone());
    let seat = client.seat(&reply.socket, &room);
    let outcome = append(app, client.person(), &seat, request).await;
    let about = (Some(room.as_str()), client_msg_id.as_deref());
    send::answer(reply, &outcome, about, arrived).await;
}

fn read(event: Event, arguments: Vec<Value>) -> Result<ChangeRequest, Refusal> {
    match event {
        Event::EditMessage => ChangeRequest::edit(arguments),
        Event::DeleteMessage => ChangeRequest::delete(arguments),
        Event::AddReaction => ChangeRequest::react(arguments, true),
        _ => ChangeRequest::react(arguments, false),
    }
}
