//! `editMessage`, `deleteMessage`, `addReaction`, `removeReaction`: entries of the room's log like messages, about one that is there.

use std::time::Instant;

use serde_json::Value;

use super::connect::Client;
use super::reply::Reply;
use super::{App, history, join, send};
use crate::append::Outcome;
use crate::chat::change::{Asker, admit};
use crate::chat::message::{Draft, Message};
use crate::chat::refusal::Refusal;
use crate::chat::room::RoomId;
use crate::clock;
use crate::protocol::{ChangeRequest, Event};
use crate::store::Page;

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
    let outcome = append(app, client, &reply, request).await;
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

async fn append(app: &App, client: &Client, reply: &Reply, request: ChangeRequest) -> Outcome {
    let room = request.room.clone();
    let draft = admitted(app, client, reply, request).await?;
    send::outcome(app.appender.submit(room, draft)).await
}

async fn admitted(
    app: &App,
    client: &Client,
    reply: &Reply,
    request: ChangeRequest,
) -> Result<Draft, Refusal> {
    let is_member = join::is_member(&reply.socket, &request.room);
    let seat = client.seats.of(&request.room).filter(|_| is_member);
    if let Some(seat) = &seat {
        seat.may_change(clock::unix_ms())?;
    }
    let asker = Asker {
        sender: &client.sender,
        is_member,
        is_moderator: seat.is_some_and(|seat| seat.is_moderator()),
    };
    let target = if asker.is_member {
        at(app, &request.room, request.change.ref_seq).await?
    } else {
        // Nobody outside learns what is there.
        None
    };
    client.with_buckets(|buckets| {
        let limits = (&app.limits, buckets);
        admit(
            request.change,
            target.as_ref(),
            asker,
            limits,
            send::moment(),
        )
    })
}

/// What a room's log has at a seq.
async fn at(app: &App, room: &RoomId, seq: u64) -> Result<Option<Message>, Refusal> {
    let Some(after) = seq.checked_sub(1) else {
        return Ok(None);
    };
    let history = history::page(app, room, Page::After { after, limit: 1 }).await?;
    let mut messages = history.messages.iter();
    Ok(messages.find(|message| message.seq == seq).cloned())
}
