//! Works through one socket's inbox, in order.
//!
//! Messages to one store commit share it, so sends overlap: each is submitted in order and answered when it is stored. A join, leave or
//! history request waits for the sends before it. The worker ends when the inbox is empty and every send is answered.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use socketioxide_core::Value as Packet;

use super::connect::Client;
use super::reply::Reply;
use super::{
    App, change, create_room, history, invite_user, join, leave, mark_read, moderate, open_direct,
    present, refresh, send, sync, typing, update_room,
};
use crate::chat::refusal::Refusal;
use crate::protocol::{Event, arguments};

/// One event that waits for its turn.
pub(super) struct Job {
    pub(super) packet: Packet,
    pub(super) reply: Reply,
    pub(super) arrived: Instant,
}

pub(super) async fn run(app: Arc<App>, client: Arc<Client>) {
    let mut sends = FuturesUnordered::new();
    loop {
        let has_room = sends.len() < app.chat.in_flight_messages_max;
        if has_room && let Some(job) = client.inbox.take() {
            if job.reply.event == Event::SendMessage {
                sends.push(send::submit(&app, &client, job));
                continue;
            }
            while sends.next().await.is_some() {}
            answer(&app, &client, job).await;
            continue;
        }
        if sends.is_empty() {
            if client.inbox.rest() {
                return;
            }
            continue;
        }
        tokio::select! {
            Some(()) = sends.next() => {}
            () = client.inbox.arrived.notified(), if has_room => {}
        }
    }
}

async fn answer(app: &App, client: &Client, job: Job) {
    let Job {
        packet,
        reply,
        arrived,
    } = job;
    let arguments = match read(&packet) {
        Ok(arguments) => arguments,
        Err(refusal) => return reply.refuse(&refusal, (None, None)).await,
    };
    match reply.event {
        Event::JoinRoom => join::join(app, client, arguments, reply).await,
        Event::LeaveRoom => leave::leave(app, client, arguments, reply).await,
        Event::Sync => sync::sync(app, client, arguments, reply).await,
        Event::GetHistory => history::get(app, arguments, reply).await,
        Event::EditMessage | Event::DeleteMessage | Event::AddReaction | Event::RemoveReaction => {
            change::change(app, client, arguments, reply, arrived).await
        }
        Event::Typing => typing::note(app, client, arguments, reply).await,
        Event::GetPresence => present::get(app, arguments, reply).await,
        Event::AuthRefresh => refresh::refresh(app, client, arguments, reply).await,
        Event::MarkRead => mark_read::mark(app, client, arguments, reply).await,
        Event::OpenDirect => open_direct::open(app, client, arguments, reply).await,
        Event::CreateRoom => create_room::create(app, client, arguments, reply).await,
        Event::UpdateRoom => update_room::update(app, client, arguments, reply).await,
        Event::InviteUser => invite_user::invite(app, client, arguments, reply).await,
        Event::KickUser | Event::BanUser | Event::MuteUser => {
            moderate::moderate(app, client, arguments, reply).await;
        }
        // Sends overlap and do not come here.
        Event::SendMessage => {}
    }
}

/// The arguments of an event's packet. Attachments appear as the placeholders they are, which no field of ours takes.
pub(super) fn read(packet: &Packet) -> Result<Vec<serde_json::Value>, Refusal> {
    match packet {
        Packet::Str(text, _) => arguments(text.as_str()),
        Packet::Bytes(_) => Err(Refusal::bad_request("the event is not text")),
    }
}
